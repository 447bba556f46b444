// The lines on the page, in the order of the conversation; what is not sent yet stands at the end.

import { el } from "./dom.js";
import { prose } from "./prose.js";
import { said } from "./view.js";

const NEAR = 80;

function isBehind(line, other) {
  return line.part === other.part ? line.position > other.position : line.part > other.part;
}

export class Transcript {
  constructor({ log, lines, newest, name, texts, language }) {
    Object.assign(this, { log, scroller: lines, newest, name, texts, language });
    this.lines = new Map(); // message id → line
    this.part = 1; // positions begin anew with each conversation
    newest.addEventListener("click", () => this.toEnd());
    lines.addEventListener("scroll", () => {
      if (this.isAtEnd) this.newest.hidden = true;
    });
  }

  get isAtEnd() {
    const { scrollTop, clientHeight, scrollHeight } = this.scroller;
    return scrollHeight - scrollTop - clientHeight < NEAR;
  }

  toEnd() {
    this.scroller.scrollTop = this.scroller.scrollHeight;
    this.newest.hidden = true;
  }

  get last() {
    return this.log.lastElementChild?.line;
  }

  // The first words: of the page, not of the conversation.
  greet(text) {
    const line = this.#make("out", text, 0, 0);
    this.#place(line);
  }

  // A line of this page that the server doesn't know yet.
  addUnsent(message) {
    const line = this.#make("in", message.text, Infinity, Infinity);
    message.line = line;
    this.#place(line);
    this.toEnd();
  }

  // The server took it: its id is known from now on.
  settle(line, id) {
    const there = this.lines.get(id);
    if (there && there !== line) {
      line.node.remove(); // the stream was faster and has shown it
      return there;
    }
    line.id = id;
    this.lines.set(id, line);
    return line;
  }

  has(id) {
    return this.lines.has(id);
  }

  // A line as the server tells it. Known ones only find their place. `still`: what it says was there already, as a draft.
  // Returns whether it is new.
  show({ id, position, direction, text, created_at: at }, still = false) {
    const wasAtEnd = this.isAtEnd;
    const known = this.lines.get(id);
    const line = known ?? this.#make(direction, text);
    Object.assign(line, { id, position, part: this.part });
    line.bubble.title = new Date(at).toLocaleString(this.language, { dateStyle: "medium", timeStyle: "short" });
    this.lines.set(id, line);
    line.node.classList.toggle("still", still);
    this.#place(line);
    if (wasAtEnd) this.toEnd();
    else if (direction === "out") this.newest.hidden = false;
    return !known;
  }

  // What follows is another conversation.
  beginAnew(text) {
    this.part += 1;
    const node = el("li", { class: "note" }, text);
    node.line = { node, part: this.part, position: 0 };
    this.#place(node.line);
  }

  // state: "sending", "waiting", "sent", "failed"; `again` makes the button.
  mark(line, state, words, again) {
    line.node.classList.remove("sending", "failed");
    if (state !== "sent") line.node.classList.add(state === "failed" ? "failed" : "sending");
    line.node.querySelector(".state")?.remove();
    if (!words) return;
    const node = el("div", { class: state === "failed" ? "state bad" : "state" }, words);
    if (again) {
      const button = el("button", { type: "button" }, this.texts.again);
      button.addEventListener("click", again);
      node.append(" ", button);
    }
    line.node.append(node);
    if (this.isAtEnd) this.toEnd();
  }

  // Under the last line that was taken, until there is more to tell; without a line: nowhere.
  receipt(line) {
    this.log.querySelector(".receipt")?.remove();
    if (!line?.node.isConnected) return;
    const wasAtEnd = this.isAtEnd;
    line.node.append(el("div", { class: "receipt" }, this.texts.sent));
    if (wasAtEnd) this.toEnd();
  }

  #make(direction, text, part, position) {
    const who = direction === "in" ? this.texts.youSaid : this.texts.says.replace("{name}", this.name);
    const words = direction === "in" ? el("div", { dir: "auto" }, text) : el("div", { dir: "auto", class: "prose" }, prose(text));
    const bubble = el("div", { class: "bubble" }, words);
    const node = el("li", { class: `line ${direction}` }, said(who), bubble);
    const line = { node, bubble, part, position };
    node.line = line;
    return line;
  }

  #place(line) {
    let before = this.log.lastElementChild;
    while (before && (before === line.node || (before.line && isBehind(before.line, line)))) {
      before = before.previousElementSibling;
    }
    const next = before ? before.nextElementSibling : this.log.firstElementChild;
    if (next === line.node) return; // it stands there already: moving it would have it read out again
    this.log.insertBefore(line.node, next);
  }
}
