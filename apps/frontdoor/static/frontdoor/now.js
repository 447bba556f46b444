// What is happening right now, as the worker says it: somebody is typing, and the answer as far as it is written.
//
// 1. A sign of typing carries how long it lasts; a draft lasts as long as signs of life come. Neither can hang.
// 2. A draft comes in pieces with their offset, and whole now and then; a piece that doesn't fit waits for the whole.
// 3. The message itself ends both. What comes late, from before the message, is known by its draft or by the moment.

import { prose } from "./prose.js";

const DRAFT_LASTS = 10000;
const LATE = 1500; // how long after an answer a straggler of it is expected

export class Now {
  constructor({ now, draft, status, transcript, texts }) {
    Object.assign(this, { node: now, body: draft, status, transcript, texts });
    this.ended = new Set(); // ids of drafts that have become messages
    this.deafUntil = 0;
    this.#clear();
  }

  typing({ seconds }) {
    if (Date.now() < this.deafUntil) return;
    this.#live(Math.min(Math.max(Number(seconds) || 0, 0), 60) * 1000);
  }

  draft({ draft, offset, text }) {
    if (this.ended.has(draft) || (draft !== this.id && Date.now() < this.deafUntil)) return;
    if (draft !== this.id) {
      if (offset !== 0) return; // joined in the middle: the whole comes soon
      Object.assign(this, { id: draft, text: "" });
    }
    if (offset > this.text.length || (offset + text.length <= this.text.length && this.text)) return;
    this.text = this.text.slice(0, offset) + text;
    const wasAtEnd = this.transcript.isAtEnd;
    this.body.replaceChildren(prose(this.text));
    this.#live(DRAFT_LASTS);
    if (wasAtEnd) this.transcript.toEnd();
  }

  // A question: what comes now may be its answer.
  asked() {
    this.deafUntil = 0;
  }

  // The answer is there, as a message. Returns whether it was seen growing.
  answered() {
    const grew = Boolean(this.text);
    if (this.id) this.ended.add(this.id);
    this.deafUntil = Date.now() + LATE;
    this.#clear();
    return grew;
  }

  #live(milliseconds) {
    const wasAtEnd = this.transcript.isAtEnd;
    this.until = Math.max(this.until, Date.now() + milliseconds);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.#clear(), this.until - Date.now());
    this.transcript.receipt(null);
    this.node.classList.toggle("drafted", Boolean(this.text));
    if (!this.node.hidden) return;
    this.node.hidden = false;
    this.status.textContent = this.texts.typing;
    if (wasAtEnd) this.transcript.toEnd();
  }

  #clear() {
    clearTimeout(this.timer);
    Object.assign(this, { id: null, text: "", until: 0 });
    this.body.replaceChildren();
    this.node.hidden = true;
    this.status.textContent = "";
  }
}
