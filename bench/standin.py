"""The stand-in for both outside services, the AI and the channel, and the only witness of a run.

    POST /ai    {"lines": [{"role", "text"}, …], "delay": seconds}  → {"text", "model", "tokens_in", "tokens_out"}
    POST /send  {"conversation", "recipient", "message", "text"}    → {"id"}
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
from urllib.parse import parse_qs

import uvloop

from bench.wire import Answer, Server

MARK = re.compile(r"#(\d+)\.(\d+)")


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
        self.longest_context = 0

    def handle(self, method: str, path: str, body: bytes, answer: Answer) -> None:
        if path == "/ai":
            self._ai(body, answer)
        elif path == "/send":
            self._send(body, answer)
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
            "replies": self.replies,
        }

    def _ai(self, body: bytes, answer: Answer) -> None:
        asked = json.loads(body)
        lines = asked["lines"]
        self.ai_calls += 1
        self.longest_context = max(self.longest_context, len(lines))
        last = lines[-1]["text"]
        mark = MARK.search(last)
        reply = json.dumps(
            {
                "text": f"An answer to {mark.group(0) if mark else 'nothing marked'}: {last[-40:]}",
                "model": "stand-in",
                "tokens_in": sum(len(line["text"]) for line in lines) // 4,
                "tokens_out": 20,
            }
        ).encode()
        delay = asked.get("delay", 0)
        if not delay:
            self.ai_peak = max(self.ai_peak, self.ai_open + 1)
            answer(200, reply)
            return
        self.ai_open += 1
        self.ai_peak = max(self.ai_peak, self.ai_open)
        asyncio.get_running_loop().call_later(delay, self._ai_done, answer, reply)

    def _ai_done(self, answer: Answer, reply: bytes) -> None:
        self.ai_open -= 1
        answer(200, reply)

    def _send(self, body: bytes, answer: Answer) -> None:
        arrived = time.monotonic()
        mark = MARK.search(json.loads(body)["text"])
        if mark:
            self.replies.append((int(mark.group(1)), int(mark.group(2)), arrived))
        else:
            self.unmarked += 1
        answer(200, b'{"id": "s%d"}' % len(self.replies))
        for wanted, event in self._waiters:
            if len(self.replies) >= wanted:
                event.set()

    async def _wait(self, sends: int, timeout: float, answer: Answer) -> None:
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
