// The widget's side of the API. No cookies: the token of the conversation travels in a header.

const PATIENCE = 15000;

export class Refused extends Error {
  // status 0: there was no answer. retryAfter: milliseconds, where the server named them.
  constructor(status, detail, retryAfter = 0) {
    super(detail);
    this.status = status;
    this.retryAfter = retryAfter;
  }

  // Whether the same request may succeed later without a change.
  get passes() {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

// Milliseconds that a refusal asks to wait.
export function retryAfter(response) {
  return Math.min(Number(response.headers.get("Retry-After")) || 0, 300) * 1000;
}

export class Api {
  constructor(base) {
    this.base = base;
  }

  chatbot(id) {
    return this.#ask("GET", `/chatbots/${encodeURIComponent(id)}`);
  }

  start(chatbot) {
    return this.#ask("POST", "/conversations", { body: { chatbot } });
  }

  post(token, id, text) {
    return this.#ask("POST", "/messages", { token, body: { id, text } });
  }

  after(token, id) {
    return this.#ask("GET", id ? `/messages?after=${encodeURIComponent(id)}` : "/messages", { token });
  }

  async #ask(method, path, { token, body } = {}) {
    const headers = {};
    if (token) headers.Authorization = `Bearer ${token}`;
    if (body) headers["Content-Type"] = "application/json";
    const patience = new AbortController();
    const timer = setTimeout(() => patience.abort(), PATIENCE);
    try {
      const response = await fetch(this.base + path, {
        method,
        headers,
        body: body && JSON.stringify(body),
        credentials: "omit",
        cache: "no-store",
        signal: patience.signal,
      });
      const said = await response.json().catch(() => ({}));
      if (!response.ok) throw new Refused(response.status, said.detail || response.statusText, retryAfter(response));
      return said;
    } catch (error) {
      if (error instanceof Refused) throw error;
      throw new Refused(0, "There is no connection right now.");
    } finally {
      clearTimeout(timer);
    }
  }
}
