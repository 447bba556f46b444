"""The stand-in for both outside services, the AI and the channel, and the only witness of a run.

    POST /ai    {"lines": [{"role", "text"}, …], "delay": seconds}  → {"text", "model", "tokens_in", "tokens_out"}
    POST /send  {"conversation", "recipient", "message", "text"}    → {"id"}
    POST /bot<token>/sendMessage, /sendChatAction   as Telegram's Bot API answers
    POST /v1/chat/completions   as OpenAI's API answers, in one piece or streamed; `delay` is an extra argument: the
                                pieces of a stream come spread over it
    GET  /stats                 what arrived, in order of arrival
    GET  /wait?sends=N&timeout=S    answers when N replies have arrived, or after S seconds
    POST /reset                 forget

Each message of the load carries its mark, `#<conversation>.<sequence>`; the AI's answer repeats the mark of the
last line it was shown, so a reply says which message it answers, and nothing lost or doubled can hide.
Times are the machine's monotonic clock in seconds, the same clock the load generator reads.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import re
import time
from typing import Any
from urllib.parse import parse_qs

import uvloop

from bench.wire import Server

MARK = re.compile(r"#(\d+)\.(\d+)")
PIECES = 20  # of a streamed answer


class StandIn:
    """Answers and remembers."""

    def __init__(self) -> None:
        self.reset()
        self._waiters: list[tuple[int, asyncio.Event]] = []

    def reset(self) -> None:
        self.ai_calls = 0
        self.ai_open = 0
        self.ai_peak = 0
        self.replies: list[tuple[int, int, float]] = []
        self.unmarked = 0
        self.typing = 0
        self.longest_context = 0

    def handle(self, method: str, path: str, body: bytes, answer: Server) -> None:
        if path == "/ai":
            self._ai(body, answer)
        elif path == "/send":
            self._send(body, answer)
        elif path == "/v1/chat/completions":
            self._chat(body, answer)
        elif path.startswith("/bot"):
            self._telegram(path, body, answer)
        elif path == "/stats":
            answer(200, json.dumps(self.stats()).encode())
        elif path.startswith("/wait?"):
            query = parse_qs(path[6:])
            self._spawn(self._wait(int(query["sends"][0]), float(query["timeout"][0]), answer))
        elif path == "/reset":
            self.reset()
            gc.collect()
            answer(200, b"{}")
        else:
            answer(404, b"{}")

    def stats(self) -> dict[str, object]:
        return {
            "ai_calls": self.ai_calls,
            "ai_peak": self.ai_peak,
            "longest_context": self.longest_context,
            "unmarked": self.unmarked,
            "typing": self.typing,
            "replies": self.replies,
        }

    def _reply(self, lines: list[dict[str, str]], name: str) -> str:
        """The answer to the last line; each line has its text under `name`."""
        self.ai_calls += 1
        self.longest_context = max(self.longest_context, len(lines))
        last = lines[-1][name]
        marks = MARK.findall(last)  # lines that follow each other may come as one
        mark = "#{}.{}".format(*marks[-1]) if marks else "nothing marked"
        return f"An answer to {mark}: {last[-40:]}"

    def _ai(self, body: bytes, answer: Server) -> None:
        asked = json.loads(body)
        lines = asked["lines"]
        reply = json.dumps(
            {
                "text": self._reply(lines, "text"),
                "model": "stand-in",
                "tokens_in": sum(len(line["text"]) for line in lines) // 4,
                "tokens_out": 20,
            }
        ).encode()
        self._later(asked.get("delay", 0), answer, reply)

    def _later(self, delay: float, answer: Server, reply: bytes) -> None:
        self._opened()
        if not delay:
            self._ai_done(answer, reply)
        else:
            asyncio.get_running_loop().call_later(delay, self._ai_done, answer, reply)

    def _opened(self) -> None:
        self.ai_open += 1
        self.ai_peak = max(self.ai_peak, self.ai_open)

    def _ai_done(self, answer: Server, reply: bytes) -> None:
        self.ai_open -= 1
        answer(200, reply)

    def _chat(self, body: bytes, answer: Server) -> None:
        asked = json.loads(body)
        text = self._reply(asked["messages"], "content")
        told = sum(len(message["content"]) for message in asked["messages"]) // 4
        usage = {"prompt_tokens": told, "completion_tokens": 20, "total_tokens": told + 20}
        named = {"id": "chatcmpl-1", "created": 1, "model": asked["model"]}
        if asked.get("stream"):
            self._opened()
            answer.begin_events()
            self._spawn(self._stream(answer, text, asked.get("delay", 0), named, usage))
            return
        message = {"role": "assistant", "content": text}
        choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
        whole = {**named, "object": "chat.completion", "choices": choices, "usage": usage}
        self._later(asked.get("delay", 0), answer, json.dumps(whole).encode())

    async def _stream(
        self, answer: Server, text: str, delay: float, named: dict[str, Any], usage: dict[str, int]
    ) -> None:
        named = {**named, "object": "chat.completion.chunk"}
        size = -(-len(text) // PIECES)
        for at in range(0, len(text), size):
            await asyncio.sleep(delay / PIECES)
            delta = {"content": text[at : at + size]}
            answer.write_event(
                _event({**named, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
            )
        stop = {**named, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
        answer.write_event(
            _event(stop) + _event({**named, "choices": [], "usage": usage}) + b"data: [DONE]\n\n"
        )
        answer.end_events()
        self.ai_open -= 1

    def _telegram(self, path: str, body: bytes, answer: Server) -> None:
        if path.endswith("/sendChatAction"):
            self.typing += 1
            answer(200, b'{"ok": true, "result": true}')
            return
        wanted = parse_qs(body.decode())
        self._arrived(wanted["text"][0])
        chat = b'{"id": %d, "type": "private", "first_name": "Contact"}' % int(wanted["chat_id"][0])
        number = len(self.replies)
        answer(
            200,
            b'{"ok": true, "result": {"message_id": %d, "date": 1, "chat": %b, "text": "taken"}}'
            % (number, chat),
        )

    def _send(self, body: bytes, answer: Server) -> None:
        self._arrived(json.loads(body)["text"])
        answer(200, b'{"id": "s%d"}' % len(self.replies))

    def _arrived(self, text: str) -> None:
        arrived = time.monotonic()
        mark = MARK.search(text)
        if mark:
            self.replies.append((int(mark.group(1)), int(mark.group(2)), arrived))
        else:
            self.unmarked += 1
        for wanted, event in self._waiters:
            if len(self.replies) >= wanted:
                event.set()

    async def _wait(self, sends: int, timeout: float, answer: Server) -> None:
        event = asyncio.Event()
        waiter = (sends, event)
        if len(self.replies) < sends:
            self._waiters.append(waiter)
            try:
                await asyncio.wait_for(event.wait(), timeout)
            except TimeoutError:
                pass
            finally:
                self._waiters.remove(waiter)
        answer(200, json.dumps({"sends": len(self.replies)}).encode())

    def _spawn(self, work: object) -> None:
        task = asyncio.ensure_future(work)  # type: ignore[arg-type]
        self._keep = getattr(self, "_keep", set())
        self._keep.add(task)
        task.add_done_callback(self._keep.discard)


def _event(found: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(found).encode() + b"\n\n"


async def serve(port: int) -> None:
    standin = StandIn()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Server(standin.handle), "127.0.0.1", port, backlog=2048)
    gc.freeze()
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, required=True)
    uvloop.run(serve(parser.parse_args().port))


if __name__ == "__main__":
    main()
