// Colours and direction of a chat: light or dark as the person's system has it, in the colour that the site chose.

const DARK = matchMedia("(prefers-color-scheme: dark)");
const RIGHT_TO_LEFT = ["ar", "fa", "he", "ur"];

// theme: "light", "dark" or anything else for the system's. color: "#rrggbb". Returns what undoes it.
export function dress(node, { theme, color, language }) {
  const choose = () => {
    node.dataset.scheme = theme === "light" || theme === "dark" ? theme : DARK.matches ? "dark" : "light";
  };
  choose();
  DARK.addEventListener("change", choose);
  node.lang = language;
  node.dir = RIGHT_TO_LEFT.includes(language) ? "rtl" : "ltr";
  const accent = parse(color);
  if (accent) {
    node.style.setProperty("--mine", color.trim());
    node.style.setProperty("--mine-ink", ink(accent));
  }
  return () => DARK.removeEventListener("change", choose);
}

// Black or white, whichever reads better; one of them has a contrast of at least 4.5 with any colour.
export function ink([red, green, blue]) {
  const [r, g, b] = [red, green, blue].map((value) => {
    const part = value / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  const luminance = 0.2126 * r + 0.7152 * g + 0.0722 * b;
  return 1.05 / (luminance + 0.05) >= (luminance + 0.05) / 0.05 ? "#ffffff" : "#000000";
}

function parse(color) {
  const digits = /^#([0-9a-f]{6})$/i.exec((color ?? "").trim())?.[1];
  return digits?.match(/../g).map((pair) => parseInt(pair, 16));
}

// The style sheets beside this file, given to a shadow root without an inline style, which a page's policy may forbid.
export async function style(root, ...names) {
  const sheets = await Promise.all(names.map(sheet));
  root.adoptedStyleSheets = [...root.adoptedStyleSheets, ...sheets];
}

async function sheet(name) {
  const response = await fetch(new URL(name, import.meta.url), { credentials: "omit" });
  if (!response.ok) throw new Error(`${name}: ${response.status}`);
  const made = new CSSStyleSheet();
  made.replaceSync(await response.text());
  return made;
}
