// A chat: write, see the answer come, and lose nothing when the network or the page goes away. The chat page and the
// widget are this one component; what is around it is in page.js and embed.js.
//
// 1. A message gets a UUID of ours and is shown at once. It is posted until the server takes it; posted twice it
//    is stored once.
// 2. The stream brings what was said, in order, and goes on after the last line it brought; between the messages it
//    brings what is happening right now (now.js).
// 3. The token is kept in localStorage, so a reload or a second tab shows the same conversation.

import { Api, Refused } from "./api.js";
import { Memory, uuid } from "./memory.js";
import { Now } from "./now.js";
import { Stream } from "./stream.js";
import { Transcript } from "./transcript.js";
import { build } from "./view.js";

const LONGEST = 16000;
const PAUSES = [1000, 3000]; // before the second and third try of a post
const FIRST_LOOK = 1500; // how long a first message waits for the stream, so that nothing of its answer is missed
const OUT_OF_SIGHT = 5 * 60000; // a tab that nobody looks at for so long needs no stream

export class Chat {
  // api, events: addresses. heading, closable: see view.js. onAnswer: an answer came that was not there before.
  constructor({ chatbot, api, events, name, greeting, texts, language, heading, closable, onAnswer = () => {} }) {
    Object.assign(this, { chatbot, events, texts, language, onAnswer });
    this.api = new Api(api);
    this.memory = new Memory(chatbot);
    this.parts = build({ texts, name, heading, closable });
    this.node = this.parts.node;
    this.transcript = new Transcript({ ...this.parts, name, texts, language });
    this.now = new Now({ ...this.parts, transcript: this.transcript, texts });
    if (greeting) this.transcript.greet(greeting);
    this.stream = null;
    this.conversation = null; // the one on the page
    this.unsent = [];
    this.posting = Promise.resolve();
    this.gone = new AbortController();
    this.#wire();
  }

  // Call it when the node is in the page.
  begin() {
    this.memory.onChange(() => this.#listen());
    this.unsent = this.memory.unsent;
    this.unsent.forEach((message) => {
      this.transcript.addUnsent(message);
      this.#queue(message);
    });
    this.#listen();
    this.#look();
    Promise.resolve(this.stream?.opened)
      .then(() => this.stream && pause(FIRST_LOOK))
      .then(() => this.parts.live.setAttribute("aria-live", "polite"));
  }

  close() {
    this.gone.abort();
    this.memory.close();
    this.stream?.stop();
    this.stream = null;
  }

  focus() {
    this.parts.field.focus({ preventScroll: true });
  }

  // --- the stream -----------------------------------------------------------------------------

  #listen() {
    this.stream?.stop();
    this.stream = null;
    if (!this.memory.token) return;
    if (this.conversation && this.conversation !== this.memory.known.conversation) {
      this.transcript.beginAnew(this.texts.anew);
    }
    const isKnown = this.conversation === this.memory.known.conversation;
    this.conversation = this.memory.known.conversation;
    const mine = new Stream({
      url: this.events,
      api: this.api,
      token: this.memory.token,
      lastId: isKnown ? this.lastId : null,
      calls: {
        message: (line) => this.stream === mine && this.#heard(line),
        passing: (event, data) => this.stream === mine && this.#passing(event, data),
        state: (state) => this.stream === mine && this.#showLink(state),
        refused: (error) => this.stream === mine && this.#giveUp(error),
      },
    });
    this.stream = mine;
    mine.run();
  }

  #heard(line) {
    this.lastId = line.id;
    if (line.direction === "in" && !this.transcript.has(line.id)) {
      // Ours, and the stream was faster than the answer to our post?
      const message = this.unsent.find(({ text, line: shown }) => text === line.text && !shown.id);
      if (message) this.transcript.settle(message.line, line.id);
    }
    if (line.direction === "in") {
      this.transcript.show(line);
      this.now.asked();
      return;
    }
    const grew = this.now.answered();
    this.transcript.receipt(null);
    if (this.transcript.show(line, grew) && Date.now() - Date.parse(line.created_at) < 60000) this.onAnswer();
  }

  #passing(event, data) {
    if (event === "typing") this.now.typing(data);
    else if (event === "draft") this.now.draft(data);
  }

  #showLink(state) {
    const words = { away: this.texts.away, off: this.texts.off }[state] ?? "";
    this.parts.link.textContent = words;
    this.parts.link.hidden = !words;
  }

  // 401: the token opens nothing any more. 403: the chat is switched off, or not allowed here; it may come back, so the
  // token is kept.
  #giveUp(error) {
    if (error.status === 401) this.memory.keep(null);
    this.#showLink(error.status === 401 ? "live" : "off");
    this.now.answered();
  }

  // --- posting --------------------------------------------------------------------------------

  #send(text) {
    const message = { id: uuid(), text };
    this.unsent.push(message);
    this.memory.keepUnsent(this.unsent);
    this.transcript.addUnsent(message);
    this.#queue(message);
  }

  // One after the other, so that the order of writing is the order of the conversation.
  #queue(message) {
    message.failed = false;
    this.transcript.mark(message.line, "sending", this.texts.sending);
    this.posting = this.posting.then(() => this.#deliver(message));
  }

  async #deliver(message) {
    for (let round = 0; !this.gone.signal.aborted; ) {
      try {
        const { id } = await this.#post(message);
        this.#settle((other) => other !== message);
        this.transcript.mark(message.line, "sent");
        const known = message.line.id;
        if (!known || known === id) message.line = this.transcript.settle(message.line, id);
        if (message.line === this.transcript.last) this.transcript.receipt(message.line);
        return;
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
        if (error.status === 429 && navigator.onLine) {
          this.transcript.mark(message.line, "waiting", this.texts.moment);
          await pause(Math.max(error.retryAfter, 1000));
        } else if (error.passes && round < PAUSES.length && navigator.onLine) {
          await pause(PAUSES[round]);
          round += 1;
        } else {
          this.#fail(message, error);
          return;
        }
      }
    }
  }

  async #post(message) {
    if (!this.memory.token) await this.#start(null);
    const token = this.memory.token;
    try {
      return await this.api.post(token, message.id, message.text);
    } catch (error) {
      if (!(error instanceof Refused) || ![401, 409].includes(error.status)) throw error;
      await this.#start(token); // closed or gone: go on in a new one
      return this.api.post(this.memory.token, message.id, message.text);
    }
  }

  // A new conversation in place of the one that `old` opened, unless another tab has begun one meanwhile.
  #start(old) {
    return this.memory.alone(async () => {
      this.memory.look();
      if (!this.memory.token || this.memory.token === old) this.memory.keep(await this.api.start(this.chatbot));
      this.#listen();
      await Promise.race([this.stream.opened, pause(FIRST_LOOK)]);
    });
  }

  #settle(stays) {
    this.unsent = this.unsent.filter(stays);
    this.memory.keepUnsent(this.unsent);
  }

  #fail(message, error) {
    message.failed = true;
    if (error.passes) {
      this.transcript.mark(message.line, "failed", this.texts.notSent, () => this.#queue(message));
      return;
    }
    console.warn(`Switchboard: ${error.message}`);
    this.#settle((other) => other !== message);
    this.transcript.mark(message.line, "failed", `${this.texts.notSent} ${this.texts.refused}`);
  }

  // --- the form, and what the browser tells ----------------------------------------------------

  #wire() {
    const { field, form } = this.parts;
    field.addEventListener("input", () => this.#look());
    field.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      form.requestSubmit();
    });
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (this.parts.send.disabled) return;
      this.#send(field.value.trim());
      field.value = "";
      this.#look();
      field.focus();
    });
    const { signal } = this.gone;
    addEventListener("offline", () => this.#showLink("away"), { signal });
    addEventListener("online", () => this.unsent.filter(({ failed }) => failed).forEach((one) => this.#queue(one)), { signal });
    let away = 0;
    document.addEventListener(
      "visibilitychange",
      () => {
        clearTimeout(away);
        if (!document.hidden && !this.stream) this.#listen();
        if (!document.hidden) return;
        away = setTimeout(() => {
          this.stream?.stop();
          this.stream = null;
        }, OUT_OF_SIGHT);
      },
      { signal },
    );
  }

  #look() {
    const { field, send, count } = this.parts;
    field.style.height = "auto";
    field.style.height = `${field.scrollHeight + 2}px`;
    const length = [...field.value].length;
    const tooLong = length > LONGEST;
    send.disabled = !field.value.trim() || tooLong;
    const [now, most] = [length, LONGEST].map((number) => number.toLocaleString(this.language));
    count.textContent = length > LONGEST - 1000 ? this.texts.count.replace("{now}", now).replace("{most}", most) : "";
    count.className = tooLong ? "bad" : "";
  }
}

function pause(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
