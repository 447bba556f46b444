// The little Markdown that answers are written in, as elements: paragraphs, lists, headings, code, bold, italics, links.
// Everything else stays text. An answer that is still growing is read the same way.

import { el } from "./dom.js";

const ITEM = /^\s*(?:([-*•+])|(\d{1,9})[.)])\s+(.*)$/;
const INLINE =
  /`([^`\n]+)`|\*\*([^\n]+?)\*\*|\*([^*\s][^*\n]*)\*|\[([^\][\n]{1,300})\]\((https?:\/\/[^\s)]{1,2000})\)|(https?:\/\/[^\s<>"]{1,2000})/g;

export function prose(text) {
  const fragment = document.createDocumentFragment();
  const lines = text.split("\n");
  let paragraph = [];
  const endParagraph = () => {
    if (paragraph.length) fragment.append(el("p", {}, ...inline(paragraph.join("\n"))));
    paragraph = [];
  };
  for (let at = 0; at < lines.length; at += 1) {
    const line = lines[at];
    const heading = line.match(/^#{1,6}\s+(.*)$/);
    if (/^\s*```/.test(line)) {
      endParagraph();
      const code = [];
      while (++at < lines.length && !/^\s*```/.test(lines[at])) code.push(lines[at]);
      fragment.append(el("pre", { tabindex: 0 }, el("code", {}, code.join("\n"))));
    } else if (ITEM.test(line)) {
      endParagraph();
      at = list(lines, at, fragment) - 1;
    } else if (heading) {
      endParagraph();
      fragment.append(el("p", {}, el("strong", {}, ...inline(heading[1]))));
    } else if (!line.trim()) endParagraph();
    else paragraph.push(line);
  }
  endParagraph();
  return fragment;
}

// Items in a row, from `at`; returns where they end. Indented lines belong to the item above; levels are not told apart.
function list(lines, at, fragment) {
  const first = lines[at].match(ITEM);
  const isNumbered = Boolean(first[2]);
  const node = isNumbered ? el("ol", { start: first[2] }) : el("ul");
  for (; at < lines.length; at += 1) {
    const item = lines[at].match(ITEM);
    if (item && Boolean(item[2]) === isNumbered) node.append(el("li", {}, ...inline(item[3])));
    else if (item && /^\s/.test(lines[at])) node.lastChild.append("\n– ", ...inline(item[3]));
    else if (lines[at].trim() && /^\s/.test(lines[at])) node.lastChild.append("\n", ...inline(lines[at].trim()));
    else if (!lines[at].trim() && ITEM.test(lines[at + 1] ?? "")) continue;
    else break;
  }
  fragment.append(node);
  return at;
}

function inline(text) {
  const found = [];
  let end = 0;
  for (const match of text.matchAll(INLINE)) {
    const [whole, code, bold, italic, label, target, bare] = match;
    if (match.index < end || (italic && /\w/.test(text[match.index - 1] ?? ""))) continue;
    found.push(text.slice(end, match.index));
    end = match.index + whole.length;
    if (code) found.push(el("code", {}, code));
    else if (bold) found.push(el("strong", {}, ...inline(bold)));
    else if (italic) found.push(el("em", {}, ...inline(italic)));
    else if (label) found.push(anchor(target, label));
    else {
      const url = bare.replace(/[.,;:!?)\]'"*]+$/, "");
      found.push(anchor(url, url), bare.slice(url.length));
    }
  }
  found.push(text.slice(end));
  return found.filter((part) => part !== "");
}

function anchor(url, label) {
  return el("a", { href: url, target: "_blank", rel: "noopener noreferrer nofollow" }, label);
}
