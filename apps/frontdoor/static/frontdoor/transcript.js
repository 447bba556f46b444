// The lines on the page, in the order of the conversation; what is not sent yet stands at the end.

const NEAR = 80;

function isBehind(line, other) {
  return line.part === other.part ? line.position > other.position : line.part > other.part;
}

export class Transcript {
  constructor({ log, scroller, newest, name }) {
    Object.assign(this, { log, scroller, newest, name });
    this.lines = new Map(); // message id → line
    this.part = 1; // positions begin anew with each conversation
    newest.addEventListener("click", () => this.toEnd());
    scroller.addEventListener("scroll", () => {
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
      return;
    }
    line.id = id;
    this.lines.set(id, line);
  }

  has(id) {
    return this.lines.has(id);
  }

  // A line as the server tells it. Known ones only find their place.
  show({ id, position, direction, text }) {
    const wasAtEnd = this.isAtEnd;
    const line = this.lines.get(id) ?? this.#make(direction, text);
    Object.assign(line, { id, position, part: this.part });
    this.lines.set(id, line);
    this.#place(line);
    if (wasAtEnd) this.toEnd();
    else if (direction === "out") this.newest.hidden = false;
  }

  // What follows is another conversation.
  beginAnew(text) {
    this.part += 1;
    const node = document.createElement("li");
    node.className = "note";
    node.textContent = text;
    node.line = { node, part: this.part, position: 0 };
    this.#place(node.line);
  }

  // state: "sending", "sent", "failed"; `again` makes the button.
  mark(line, state, words, again) {
    line.node.classList.remove("sending", "failed");
    if (state !== "sent") line.node.classList.add(state);
    line.node.querySelector(".state")?.remove();
    if (!words) return;
    const node = document.createElement("div");
    node.className = state === "failed" ? "state bad" : "state";
    node.append(words);
    if (again) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = "Try again";
      button.addEventListener("click", again);
      node.append(" ", button);
    }
    line.node.append(node);
    if (this.isAtEnd) this.toEnd();
  }

  #make(direction, text, part, position) {
    const node = document.createElement("li");
    node.className = `line ${direction}`;
    const who = document.createElement("span");
    who.className = "said";
    who.textContent = direction === "in" ? "You said:" : `${this.name} says:`;
    const bubble = document.createElement("div");
    bubble.className = "bubble";
    bubble.dir = "auto";
    bubble.textContent = text;
    node.append(who, bubble);
    const line = { node, part, position };
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
