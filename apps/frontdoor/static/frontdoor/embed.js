// The widget's panel: a chat in somebody's page, beside its launcher and in the same shadow root. `/widget.js` imports
// this when it is opened for the first time.
//
// On a wide screen the panel stands beside the page, which stays usable. On a narrow one it covers the page: it is modal
// then, and the focus stays in it. Escape closes it in either case, and the focus goes back to the launcher.

import { Api, Refused } from "./api.js";
import { Chat } from "./chat.js";
import { el } from "./dom.js";
import { dress, style } from "./look.js";
import { choose } from "./texts.js";

const NARROW = matchMedia("(max-width: 480px), (max-height: 420px)");

// root: the launcher's shadow root. home: Switchboard's address. options: the data- attributes of the script.
// onClose(): the person closed it. onAnswer(): an answer came.
export async function mount({ root, home, chatbot, options, onClose, onAnswer }) {
  const { language, texts } = choose([options.language, document.documentElement.lang, ...navigator.languages]);
  const api = new URL("api/v1/widget", home).href;
  await style(root, "./chat.css", "./panel.css");
  const panel = new Panel({ root, options, language, texts, onClose });
  try {
    const about = await new Api(api).chatbot(chatbot);
    panel.fill(
      new Chat({
        chatbot,
        api,
        events: new URL(about.events, home).href,
        name: options.title || about.name,
        greeting: about.greeting,
        texts,
        language,
        heading: "h2",
        closable: true,
        onAnswer,
      }),
      options.title || about.name,
    );
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    if (error.passes) {
      panel.remove();
      throw error; // it is tried again at the next opening
    }
    console.error(`Switchboard: ${error.message}`);
    panel.refuse(error.status === 403 ? texts.elsewhere : texts.missing);
  }
  return panel;
}

class Panel {
  constructor({ root, options, language, texts, onClose }) {
    Object.assign(this, { root, texts, onClose, isOpen: false });
    this.node = el("div", { class: "sb panel", role: "dialog", tabindex: -1, hidden: true });
    this.node.dataset.position = options.position === "left" ? "left" : "right";
    this.undress = dress(this.node, { theme: options.theme, color: options.color, language });
    this.gone = new AbortController();
    const { signal } = this.gone;
    this.node.addEventListener("keydown", (event) => this.#key(event), { signal });
    NARROW.addEventListener("change", () => this.#cover(), { signal });
    window.visualViewport?.addEventListener("resize", () => this.#fit(), { signal });
    window.visualViewport?.addEventListener("scroll", () => this.#fit(), { signal });
    root.append(this.node);
  }

  fill(chat, name) {
    this.chat = chat;
    this.node.setAttribute("aria-label", name);
    this.node.append(chat.node);
    chat.parts.close.addEventListener("click", () => this.onClose());
    chat.begin();
  }

  // Nothing to chat with: say so, where the chat would have been.
  refuse(text) {
    const close = el("button", { type: "button", class: "dismiss" }, this.texts.close);
    close.addEventListener("click", () => this.onClose());
    this.node.dataset.brief = "";
    this.node.setAttribute("aria-label", text);
    this.node.replaceChildren(el("p", { class: "note" }, text), close);
  }

  // takeFocus: a person opened it, so that is where they want to be.
  open(takeFocus) {
    this.isOpen = true;
    this.node.hidden = false;
    this.#cover();
    this.chat?.transcript.toEnd();
    if (!takeFocus) return;
    // On a touch screen the field would bring up the keyboard, over what they came to read.
    if (this.chat && matchMedia("(pointer: fine)").matches) this.chat.focus();
    else this.node.focus();
  }

  close() {
    this.isOpen = false;
    this.node.hidden = true;
    this.#cover();
  }

  remove() {
    this.close();
    this.chat?.close();
    this.undress();
    this.gone.abort();
    this.node.remove();
  }

  #cover() {
    const covers = this.isOpen && NARROW.matches;
    this.node.toggleAttribute("data-covers", covers);
    if (covers) this.node.setAttribute("aria-modal", "true");
    else this.node.removeAttribute("aria-modal");
    const page = document.documentElement;
    if (covers && this.overflow === undefined) {
      this.overflow = page.style.overflow;
      page.style.overflow = "hidden"; // the page behind must not scroll away
    } else if (!covers && this.overflow !== undefined) {
      page.style.overflow = this.overflow;
      this.overflow = undefined;
    }
    this.#fit();
  }

  // What the keyboard of a phone leaves of the screen; fixed elements don't follow it by themselves.
  #fit() {
    const view = window.visualViewport;
    const covers = this.node.hasAttribute("data-covers") && view;
    this.node.style.height = covers ? `${view.height}px` : "";
    this.node.style.top = covers ? `${view.offsetTop}px` : "";
  }

  #key(event) {
    if (event.key === "Escape" && !event.isComposing) {
      event.preventDefault();
      this.onClose();
    } else if (event.key === "Tab" && this.node.hasAttribute("data-covers")) {
      const stops = [...this.node.querySelectorAll("button, textarea, a[href], [tabindex='0']")].filter(
        (stop) => !stop.disabled && stop.getClientRects().length,
      );
      const at = stops.indexOf(this.root.activeElement);
      const edge = event.shiftKey ? at <= 0 : at === stops.length - 1;
      if (!edge) return;
      event.preventDefault();
      stops.at(event.shiftKey ? -1 : 0)?.focus();
    }
  }
}
