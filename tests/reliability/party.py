"""Another process that uses the limiter and the breaker, driven step by step over its standard input.

    {"call": "breaker.admit", "args": [[[["k"], false]]], "kwargs": {}, "threads": 8}

answers a list with what each thread got. It knows nothing of Switchboard but the address of Redis.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Barrier
from typing import Any

HOUSE = Path(__file__).resolve().parents[2]


class Party:
    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.reliability.party"],
            cwd=HOUSE,
            env=os.environ.copy(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def start(self, call: str, *args: Any, threads: int = 1, **kwargs: Any) -> None:
        """Have it begin; `result` waits for the end."""
        assert self._process.stdin
        order = {"call": call, "args": args, "kwargs": kwargs, "threads": threads}
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()

    def result(self) -> list[Any]:
        assert self._process.stdout
        return json.loads(self._process.stdout.readline())

    def does(self, call: str, *args: Any, **kwargs: Any) -> list[Any]:
        self.start(call, *args, **kwargs)
        return self.result()

    def close(self) -> None:
        self._process.communicate(timeout=20)


@contextmanager
def parties(number: int) -> Iterator[list[Party]]:
    """So many other processes, all of them ready."""
    all_of_them = [Party() for _ in range(number)]
    try:
        for party in all_of_them:
            assert party.does("breaker.admit", []) == [[]]
        yield all_of_them
    finally:
        for party in all_of_them:
            party.close()


def _together(barrier: Barrier, work: Callable[..., Any], args: Any, kwargs: Any, _: int) -> Any:
    barrier.wait(10)
    return work(*args, **kwargs)


def _main() -> None:
    import structlog
    from django.conf import settings

    # standard output is for answers
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    kinds = ("chat", "ai", "rpc", "ipfs")
    settings.configure(REDIS_URL=os.environ["REDIS_URL"], BREAKERS=dict.fromkeys(kinds, "5/30"))
    from apps.reliability import breaker, limiter

    rooms = {"breaker": breaker, "limiter": limiter}
    for line in sys.stdin:
        order = json.loads(line)
        room, name = order["call"].split(".")
        args, kwargs, threads = order["args"], order["kwargs"], order["threads"]
        if name == "reserve":
            args = [[[limiter.Limit(*limit) for limit in limits] for limits in args[0]]]
        if name == "admit":
            args = [[breaker.Call(tuple(names), retry) for names, retry in args[0]]]
        if name == "record":
            args = [breaker.Outcome(tuple(names), *rest) for names, *rest in args]
        if "policy" in kwargs:
            kwargs["policy"] = breaker.Policy(**kwargs["policy"])
        one = partial(_together, Barrier(threads), getattr(rooms[room], name), args, kwargs)
        with ThreadPoolExecutor(threads) as pool:
            print(json.dumps(list(pool.map(one, range(threads)))), flush=True)  # noqa: T201 - the answer


if __name__ == "__main__":
    _main()
