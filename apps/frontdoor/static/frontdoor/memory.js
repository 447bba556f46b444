// What the page remembers over a reload: the token of its conversation (for all tabs), and what this tab has not
// yet sent. Where the browser allows no storage, it forgets; nothing else breaks.

function read(store, key) {
  try {
    return JSON.parse(window[store].getItem(key));
  } catch {
    return null;
  }
}

function write(store, key, value) {
  try {
    if (value === null) window[store].removeItem(key);
    else window[store].setItem(key, JSON.stringify(value));
  } catch {
    // Storage is switched off or full: the conversation lasts as long as the page.
  }
}

export class Memory {
  constructor(chatbot) {
    this.key = `switchboard:${chatbot}`;
    this.known = read("localStorage", this.key);
  }

  get token() {
    return this.known?.token ?? null;
  }

  // What another tab may have kept meanwhile.
  look() {
    this.known = read("localStorage", this.key) ?? this.known;
  }

  // One tab at a time, where the browser can: two that begin at once must not begin two conversations.
  alone(work) {
    return navigator.locks ? navigator.locks.request(this.key, work) : work();
  }

  keep(conversation) {
    this.known = conversation;
    write("localStorage", this.key, conversation);
  }

  // Another tab began a conversation, or gave one up.
  onChange(call) {
    this.onStorage = (event) => {
      if (event.key !== this.key) return;
      this.known = read("localStorage", this.key);
      call();
    };
    addEventListener("storage", this.onStorage);
  }

  close() {
    removeEventListener("storage", this.onStorage);
  }

  get unsent() {
    return read("sessionStorage", this.key) ?? [];
  }

  keepUnsent(messages) {
    write("sessionStorage", this.key, messages.length ? messages.map(({ id, text }) => ({ id, text })) : null);
  }
}

// crypto.randomUUID exists on secure pages only; a chat on http://192.168.… works all the same.
export function uuid() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
