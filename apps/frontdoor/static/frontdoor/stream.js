// The live stream: server-sent events read with fetch, because EventSource can't send the token in a header.
// It connects again by itself and says where it stopped (Last-Event-ID), so nothing is lost or comes twice.
// Where there is no stream (404, a proxy that swallows it), the same messages are asked for every few seconds.

import { Refused } from "./api.js";

const SILENCE = 40000; // the server says something every 15 s
const LONGEST_PAUSE = 15000;
const POLL = 3000;

export class Stream {
  // calls: message(line), passing(event, data) for "typing" and "draft", state("live" | "away" | "polling"),
  // refused(error)
  constructor({ url, api, token, lastId, calls }) {
    Object.assign(this, { url, api, token, lastId, calls });
    this.pause = 1000;
    this.stopped = false;
    this.nudge = () => {};
    this.opened = new Promise((resolve) => (this.hasOpened = resolve));
    this.onOnline = () => this.again();
    addEventListener("online", this.onOnline);
  }

  stop() {
    this.stopped = true;
    removeEventListener("online", this.onOnline);
    this.again();
  }

  // Look again now instead of waiting.
  again() {
    this.request?.abort();
    this.nudge();
  }

  async run() {
    while (!this.stopped) {
      let rest = 0;
      const began = Date.now();
      try {
        await this.#listen();
        if (Date.now() - began < 1000) rest = 1000; // whoever ended it at once may do so again
      } catch (error) {
        if (this.stopped) return;
        if (this.#isRefused(error)) return;
        rest = await this.#withoutStream(error);
      }
      if (!this.stopped && rest) await this.#wait(rest);
    }
  }

  // One connection, until it ends. Returns when the server ended it, throws otherwise.
  async #listen() {
    this.request = new AbortController();
    let timer = setTimeout(() => this.request.abort(), SILENCE);
    const headers = { Authorization: `Bearer ${this.token}`, Accept: "text/event-stream" };
    if (this.lastId) headers["Last-Event-ID"] = this.lastId;
    try {
      const response = await fetch(this.url, {
        headers,
        credentials: "omit",
        cache: "no-store",
        signal: this.request.signal,
      });
      const isStream = (response.headers.get("Content-Type") || "").startsWith("text/event-stream");
      if (!response.ok || !isStream) throw new Refused(response.ok ? 404 : response.status, "no stream");
      this.calls.state("live");
      this.hasOpened();
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      let rest = "";
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        this.pause = 1000;
        clearTimeout(timer);
        timer = setTimeout(() => this.request.abort(), SILENCE);
        const events = (rest + value).split("\n\n");
        rest = events.pop();
        events.forEach((event) => this.#take(event));
      }
    } finally {
      clearTimeout(timer);
    }
  }

  #take(event) {
    const fields = Object.fromEntries(
      event.split("\n").filter((line) => !line.startsWith(":")).map((line) => {
        const colon = line.indexOf(":");
        return [line.slice(0, colon), line.slice(colon + 1).replace(/^ /, "")];
      }),
    );
    if (!fields.data) return;
    const data = JSON.parse(fields.data);
    if (fields.event === "message") this.#show(data);
    else this.calls.passing(fields.event, data); // no id: where to go on stays the last message
  }

  #show(line) {
    this.lastId = line.id;
    this.calls.message(line);
  }

  // The stream is not there. If the API is, ask it; returns how long to rest before the next try.
  async #withoutStream(error) {
    try {
      let page;
      do {
        page = await this.api.after(this.token, this.lastId);
        page.messages.forEach((line) => this.#show(line));
      } while (page.more && !this.stopped);
      this.hasOpened();
      if (error instanceof Refused) this.calls.state("polling");
      return error instanceof Refused ? POLL : 500;
    } catch (refusal) {
      if (this.#isRefused(refusal)) return 0;
      this.calls.state("away");
      const rest = this.pause * (0.8 + 0.4 * Math.random());
      this.pause = Math.min(this.pause * 2, LONGEST_PAUSE);
      return rest;
    }
  }

  // The token opens nothing any more: the end of this stream.
  #isRefused(error) {
    if (!(error instanceof Refused) || ![401, 403].includes(error.status)) return false;
    this.stop();
    this.calls.refused(error);
    return true;
  }

  #wait(milliseconds) {
    return new Promise((resolve) => {
      this.nudge = resolve;
      setTimeout(resolve, milliseconds);
    });
  }
}
