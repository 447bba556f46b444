// Switchboard on any page: <script src="https://…/widget.js" data-chatbot="…"></script>
//
// This draws the launcher and nothing else. The chat itself is fetched when it is opened for the first time, or when
// somebody is about to. No cookies; what is remembered is in the page's own storage.
(() => {
  const script = document.currentScript ?? document.querySelector('script[data-chatbot][src*="widget.js"]');
  if (!script?.dataset.chatbot || window.Switchboard?.open) {
    console.error("Switchboard: the script needs data-chatbot, and stands in a page once.");
    return;
  }
  const options = { ...script.dataset };
  const chatbot = options.chatbot;
  const home = new URL(".", script.src).href;
  const WORDS = {
    en: "Open chat",
    ar: "افتح الدردشة",
    de: "Chat öffnen",
    es: "Abrir el chat",
    fr: "Ouvrir le chat",
    it: "Apri la chat",
    nl: "Chat openen",
    pt: "Abrir o chat",
  };
  const SHEET = `
    :host { all: initial !important; }
    [hidden] { display: none !important; }
    .launch { position: fixed; z-index: 2147483000; bottom: calc(20px + env(safe-area-inset-bottom)); right: calc(20px + env(safe-area-inset-right));
      box-sizing: border-box; width: 60px; height: 60px; padding: 0; border: 0; border-radius: 50%; display: grid; place-items: center; cursor: pointer;
      background: var(--switchboard, #2457c5); color: var(--switchboard-ink, #fff); box-shadow: 0 4px 10px rgb(15 23 42 / 18%), 0 10px 28px rgb(15 23 42 / 22%);
      transition: transform .16s ease, box-shadow .16s ease; -webkit-tap-highlight-color: transparent; }
    .launch[data-position="left"] { right: auto; left: calc(20px + env(safe-area-inset-left)); }
    .launch:hover { transform: translateY(-2px); }
    .launch:active { transform: scale(.95); }
    .launch:focus-visible { outline: 3px solid #fff; outline-offset: 0; box-shadow: 0 0 0 6px #0b3a9e; }
    .launch svg { transition: opacity .16s ease, transform .16s ease; grid-area: 1 / 1; }
    .launch .cross, .launch[aria-expanded="true"] .talk { opacity: 0; transform: rotate(-45deg) scale(.6); }
    .launch[aria-expanded="true"] .cross { opacity: 1; transform: none; }
    .launch[aria-busy="true"] .talk { animation: wait 1s infinite alternate ease-in-out; }
    .badge { position: absolute; top: -4px; right: -4px; box-sizing: border-box; min-width: 22px; height: 22px; padding: 0 6px; border: 2px solid #fff;
      border-radius: 11px; background: #c62828; color: #fff; font: 600 12px/18px system-ui, sans-serif; text-align: center; }
    @keyframes wait { to { opacity: .35; } }
    @media (max-width: 480px), (max-height: 420px) { .launch[aria-expanded="true"] { display: none; } }
    @media (prefers-reduced-motion: reduce) { .launch, .launch svg { transition: none; animation: none !important; } }
    @media (forced-colors: active) { .launch { border: 2px solid; } }
    @media print { .launch { display: none; } }`;
  const store = {
    key: `switchboard:${chatbot}:open`,
    get: () => { try { return sessionStorage.getItem(store.key); } catch { return null; } },
    set: (value) => { try { sessionStorage.setItem(store.key, value); } catch { /* no storage: closed at the next page */ } },
  };

  const host = document.createElement("switchboard-chat");
  const root = host.attachShadow({ mode: "open" });
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(SHEET);
  root.adoptedStyleSheets = [sheet];
  const button = document.createElement("button");
  const badge = document.createElement("span");
  let panel = null;
  let loading = null;
  let unread = 0;

  function draw(className, path) {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    const shape = document.createElementNS("http://www.w3.org/2000/svg", "path");
    const attributes = { viewBox: "0 0 24 24", width: 28, height: 28, "aria-hidden": "true", class: className };
    Object.entries(attributes).forEach(([name, value]) => svg.setAttribute(name, value));
    shape.setAttribute("d", path);
    shape.setAttribute("fill", "currentColor");
    svg.append(shape);
    return svg;
  }

  function language() {
    const wanted = [options.language, document.documentElement.lang, ...navigator.languages];
    return wanted.map((tag) => (tag || "").toLowerCase().split("-")[0]).find((tag) => WORDS[tag]) ?? "en";
  }

  function colour() {
    const digits = /^#([0-9a-f]{6})$/i.exec(options.color?.trim() ?? "")?.[1];
    if (!digits) return;
    host.style.setProperty("--switchboard", `#${digits}`);
    const [r, g, b] = digits.match(/../g).map((pair) => {
      const part = parseInt(pair, 16) / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    host.style.setProperty("--switchboard-ink", 0.2126 * r + 0.7152 * g + 0.0722 * b < 0.179 ? "#fff" : "#000");
  }

  const load = () => (loading ??= import(`${home}widget/__VERSION__/embed.js`));

  function mark(count) {
    unread = count;
    badge.textContent = count > 9 ? "9+" : count || "";
    badge.hidden = !count;
    button.setAttribute("aria-label", count ? `${WORDS[language()]} (${count})` : WORDS[language()]);
  }

  async function open(takeFocus = true) {
    if (!panel) {
      if (button.hasAttribute("aria-busy")) return;
      button.setAttribute("aria-busy", "true");
      try {
        const { mount } = await load();
        panel = await mount({
          root, home, chatbot, options,
          onClose: close,
          onAnswer: () => panel?.isOpen || mark(unread + 1),
        });
      } catch (error) {
        loading = null; // at the next click it is tried again
        const origin = new URL(home).origin;
        console.error(`Switchboard: the chat could not be loaded. If this page has a Content-Security-Policy, its script-src and connect-src must allow ${origin}.`, error);
        return;
      } finally {
        button.removeAttribute("aria-busy");
      }
    }
    panel.open(takeFocus);
    button.setAttribute("aria-expanded", "true");
    mark(0);
    store.set("1");
  }

  function close() {
    const hadFocus = root.activeElement;
    panel?.close();
    button.setAttribute("aria-expanded", "false");
    store.set("0");
    if (hadFocus) button.focus();
  }

  const toggle = () => (panel?.isOpen ? close() : open());

  function begin() {
    button.type = "button";
    button.className = "launch";
    button.dataset.position = options.position === "left" ? "left" : "right";
    button.setAttribute("aria-expanded", "false");
    button.setAttribute("aria-haspopup", "dialog");
    badge.className = "badge";
    button.append(
      draw("talk", "M12 3C6.500 3 2 6.700 2 11.300c0 2.500 1.300 4.700 3.400 6.200L4.600 21.300a.7.7 0 0 0 1 .8l4.300-2.300c.7.1 1.400.2 2.100.2 5.500 0 10-3.700 10-8.500S17.500 3 12 3z"),
      draw("cross", "M6.400 5 5 6.400l5.600 5.600L5 17.600 6.400 19l5.600-5.600 5.600 5.600 1.400-1.400-5.600-5.600L19 6.400 17.600 5 12 10.600z"),
      badge,
    );
    mark(0);
    colour();
    button.addEventListener("click", toggle);
    for (const sign of ["pointerenter", "focus"]) button.addEventListener(sign, () => load().catch(() => { loading = null; }), { once: true });
    // What is typed here is nobody else's: pages have shortcuts.
    for (const key of ["keydown", "keyup", "keypress"]) host.addEventListener(key, (event) => event.stopPropagation());
    root.append(button);
    document.body.append(host);
    if (store.get() === "1" || (options.open === "true" && store.get() === null)) open(false);
  }

  window.Switchboard = {
    open: () => open(),
    close,
    toggle,
    remove() {
      panel?.remove();
      host.remove();
      delete window.Switchboard;
    },
  };
  if (document.body) begin();
  else addEventListener("DOMContentLoaded", begin, { once: true });
})();
