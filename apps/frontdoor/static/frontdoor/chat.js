// The chat page: write, see the answer come, and lose nothing when the network or the page goes away.
//
// 1. A message gets a UUID of ours and is shown at once. It is posted until the server takes it; posted twice it
//    is stored once.
// 2. The stream brings what was said, in order, and goes on after the last line it brought.
// 3. The token is kept in localStorage, so a reload or a second tab shows the same conversation.

import { Api, Refused } from "./api.js";
import { Memory, uuid } from "./memory.js";
import { Stream } from "./stream.js";
import { Transcript } from "./transcript.js";

const LONGEST = 16000;
const PAUSES = [1000, 3000]; // before the second and third try of a post
const STILL_AT = 15000;
const WAIT_AT_MOST = 90000;

const $ = (id) => document.getElementById(id);
const page = $("chat");
const { chatbot, api: apiUrl, events } = page.dataset;
const api = new Api(apiUrl);
const memory = new Memory(chatbot);
const transcript = new Transcript({
  log: $("log"),
  scroller: $("lines"),
  newest: $("newest"),
  name: document.querySelector(".bar h1").textContent,
});

let stream = null;
let conversation = null; // the one on the page
let unsent = [];
let posting = Promise.resolve();

// --- the stream -------------------------------------------------------------------------------

function listen() {
  stream?.stop();
  stream = null;
  if (!memory.token) return;
  if (conversation && conversation !== memory.known.conversation) {
    transcript.beginAnew("A new conversation begins here.");
  }
  conversation = memory.known.conversation;
  const mine = new Stream({
    url: events,
    api,
    token: memory.token,
    lastId: null,
    calls: {
      message: (line) => stream === mine && heard(line),
      state: (state) => stream === mine && showLink(state),
      refused: (status) => stream === mine && giveUp(status),
    },
  });
  stream = mine;
  mine.run();
}

function heard(line) {
  if (line.direction === "in" && !transcript.has(line.id)) {
    // Ours, and the stream was faster than the answer to our post?
    const message = unsent.find(({ text, line: shown }) => text === line.text && !shown.id);
    if (message) transcript.settle(message.line, line.id);
  }
  transcript.show(line);
  if (line.direction === "out") awaitAnswer(false);
  else if (Date.now() - Date.parse(line.created_at) < WAIT_AT_MOST) awaitAnswer(true);
}

function showLink(state) {
  const words = { away: "Reconnecting…", off: "Switched off", live: "", polling: "" }[state];
  $("link").textContent = words;
  $("link").hidden = !words;
}

// 401: the token opens nothing any more. 403: the chat is switched off; it may come back, so the token is kept.
function giveUp(status) {
  if (status === 401) memory.keep(null);
  showLink(status === 401 ? "live" : "off");
  awaitAnswer(false);
}

// --- posting ----------------------------------------------------------------------------------

function send(text) {
  const message = { id: uuid(), text };
  unsent.push(message);
  memory.keepUnsent(unsent);
  transcript.addUnsent(message);
  queue(message);
}

// One after the other, so that the order of writing is the order of the conversation.
function queue(message) {
  message.failed = false;
  transcript.mark(message.line, "sending", "Sending…");
  posting = posting.then(() => deliver(message));
}

async function deliver(message) {
  for (let round = 0; ; round += 1) {
    try {
      const { id } = await post(message);
      unsent = unsent.filter((other) => other !== message);
      memory.keepUnsent(unsent);
      transcript.mark(message.line, "sent");
      const known = message.line.id;
      if (!known || known === id) transcript.settle(message.line, id);
      awaitAnswer(true);
      return;
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      if (error.passes && round < PAUSES.length && navigator.onLine) {
        await new Promise((resolve) => setTimeout(resolve, PAUSES[round]));
        continue;
      }
      fail(message, error);
      return;
    }
  }
}

async function post(message) {
  if (!memory.token) await begin();
  try {
    return await api.post(memory.token, message.id, message.text);
  } catch (error) {
    if (!(error instanceof Refused) || ![401, 409].includes(error.status)) throw error;
    memory.keep(null); // closed or gone: go on in a new one
    await begin();
    return api.post(memory.token, message.id, message.text);
  }
}

async function begin() {
  memory.keep(await api.start(chatbot));
  listen();
}

function fail(message, error) {
  message.failed = true;
  if (error.passes) {
    transcript.mark(message.line, "failed", "Not sent.", () => queue(message));
    return;
  }
  unsent = unsent.filter((other) => other !== message);
  memory.keepUnsent(unsent);
  transcript.mark(message.line, "failed", `Not sent: ${error.message}`);
}

addEventListener("offline", () => showLink("away"));
addEventListener("online", () => unsent.filter(({ failed }) => failed).forEach(queue));

// --- waiting for an answer --------------------------------------------------------------------

let timers = [];

function awaitAnswer(isWaiting) {
  timers.forEach(clearTimeout);
  timers = [];
  const wasAtEnd = transcript.isAtEnd;
  $("waiting").hidden = !isWaiting;
  $("waiting-text").textContent = "Writing an answer";
  if (!isWaiting) return;
  timers = [
    setTimeout(() => ($("waiting-text").textContent = "Still working on it"), STILL_AT),
    setTimeout(() => awaitAnswer(false), WAIT_AT_MOST),
  ];
  if (wasAtEnd) transcript.toEnd();
}

// --- the form ---------------------------------------------------------------------------------

const field = $("text");

function look() {
  field.style.height = "auto";
  field.style.height = `${field.scrollHeight + 2}px`;
  const length = [...field.value].length;
  const tooLong = length > LONGEST;
  $("send").disabled = !field.value.trim() || tooLong;
  $("count").textContent = length > LONGEST - 1000 ? `${length.toLocaleString("en")} of 16,000 characters` : "";
  $("count").className = tooLong ? "bad" : "";
}

field.addEventListener("input", look);
field.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  $("write").requestSubmit();
});

$("write").addEventListener("submit", (event) => {
  event.preventDefault();
  if ($("send").disabled) return;
  send(field.value.trim());
  field.value = "";
  look();
  field.focus();
});

// --- begin ------------------------------------------------------------------------------------

memory.onChange(() => listen());
unsent = memory.unsent;
unsent.forEach((message) => {
  transcript.addUnsent(message);
  queue(message);
});
listen();
look();
if (matchMedia("(pointer: fine)").matches) field.focus();
