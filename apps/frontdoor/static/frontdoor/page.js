// The chat page: one chat, as large as the window.

import { Chat } from "./chat.js";
import { dress, style } from "./look.js";
import { choose } from "./texts.js";

const host = document.getElementById("chat");
const wanted = new URLSearchParams(location.search).get("language");
const { language, texts } = choose([wanted, ...navigator.languages]);
document.documentElement.lang = language;

const root = host.attachShadow({ mode: "open" });
await style(root, "./chat.css");
const { chatbot, api, events, name, greeting } = host.dataset;
const chat = new Chat({ chatbot, api, events, name, greeting, texts, language, heading: "h1" });
const main = document.createElement("main");
main.className = "sb page";
main.append(chat.node);
dress(main, { language });
root.append(main);
chat.begin();
if (matchMedia("(pointer: fine)").matches) chat.focus();
