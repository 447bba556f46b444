// The parts of a chat, as elements. What they do is in chat.js.

import { CROSS, DOWN, PLANE, el, icon } from "./dom.js";

// heading: "h1" on a page of its own, "h2" inside somebody's page. closable: with a button that closes it.
export function build({ texts, name, heading, closable }) {
  const parts = {
    link: el("p", { class: "link", id: "link", role: "status", hidden: true }),
    log: el("ol", { id: "log" }),
    draft: el("div", { class: "prose", id: "draft", dir: "auto" }),
    status: el("p", { class: "said", role: "status", id: "status" }),
    newest: el("button", { type: "button", class: "newest", id: "newest", hidden: true }, texts.newest, icon(DOWN, 18)),
    field: el("textarea", {
      id: "text",
      name: "text",
      rows: 1,
      placeholder: texts.placeholder,
      enterkeyhint: "send",
      "aria-describedby": "hint",
    }),
    send: el("button", { type: "submit", id: "send", class: "round", disabled: true }, icon(PLANE), said(texts.send)),
    count: el("span", { id: "count", role: "status" }),
    close: closable ? el("button", { type: "button", class: "close" }, icon(CROSS), said(texts.close)) : null,
  };
  // Off until what was said before is there: nobody wants to hear all of it again.
  parts.live = el("div", { role: "log", "aria-live": "off", "aria-relevant": "additions" }, parts.log);
  const dots = el("span", { class: "dots", "aria-hidden": "true" }, el("i"), el("i"), el("i"));
  parts.now = el("div", { class: "line out now", id: "waiting", hidden: true }, el("div", { class: "bubble" }, parts.draft, dots));
  parts.lines = el(
    "div",
    { class: "lines", id: "lines", role: "region", tabindex: 0, "aria-label": texts.conversation },
    parts.live,
    parts.now,
  );
  parts.form = el(
    "form",
    { class: "write", id: "write", autocomplete: "off", novalidate: true },
    el("label", { class: "said", for: "text" }, texts.yours),
    parts.field,
    parts.send,
    el("p", { class: "hint", id: "hint" }, el("span", { class: "keys" }, texts.keys), " ", parts.count),
  );
  const bar = el(
    "header",
    { class: "bar" },
    el("span", { class: "face", "aria-hidden": "true" }, [...name.trim()][0]?.toLocaleUpperCase() ?? ""),
    el(heading, { class: "name", dir: "auto" }, name),
    parts.link,
  );
  if (parts.close) bar.append(parts.close);
  parts.node = el("div", { class: "chat" }, bar, parts.lines, el("div", { class: "afloat" }, parts.newest), parts.form, parts.status);
  return parts;
}

// For those who listen instead of looking.
export function said(text) {
  return el("span", { class: "said" }, text);
}
