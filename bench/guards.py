"""What limits, breakers and the budget for retries cost a call: microseconds of CPU, the worker's and a real Redis's.

    REDIS_URL=redis://127.0.0.1:6379/9 python -m bench.guards [--calls 3000]

A claim of sends reserves its limits (bot and chat), asks its breakers (provider and account), and after the commit says
how all of them went: three round trips for the whole claim. Asking an AI asks for a hold as well, for one call at a
time. Medians of five rounds with minimum and maximum; `floor` is a PING, the price of a round trip on this machine. CPU
and not time, because a busy machine changes it less.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import structlog
from django.conf import settings

ROUNDS = 5


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--calls", type=int, default=3000, help="of each kind, each round")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    settings.configure(
        REDIS_URL=os.environ["REDIS_URL"],
        BREAKERS={"chat": "5/30", "ai": "5/30", "rpc": "3/60", "ipfs": "5/30"},
    )
    from apps.reliability import breaker, limiter
    from apps.reliability.breaker import Call, Outcome
    from apps.reliability.redis_client import redis_client

    names, ai = ("service:chat:telegram", "channel:a"), ("service:ai:host", "ai:a")

    def limits(number: int) -> list[list[limiter.Limit]]:
        bot = limiter.Limit("telegram:a", 1e6, 10_000)
        return [[bot, limiter.Limit(f"telegram:a:{chat}", 1e6, 10_000)] for chat in range(number)]

    def send(claim: int, *, retry: bool = False) -> Callable[[], None]:
        wanted, calls = limits(claim), [Call(names, retry)] * claim

        def one() -> None:
            limiter.reserve(wanted)
            breaker.admit(calls)
            breaker.record(Outcome(names, ok=claim))

        return one

    def ask() -> None:
        limiter.held([ai[1]])
        breaker.admit([Call(ai)])
        breaker.record(Outcome(ai, ok=1))

    def failing() -> None:
        breaker.admit([Call(names, True)])
        breaker.record(Outcome(names, ok=2, failed=1))

    kinds: dict[str, tuple[int, Callable[[], object]]] = {
        "floor": (1, redis_client().ping),
        "a send alone": (1, send(1)),
        "a send in a claim of 50": (50, send(50)),
        "a retry in a claim of 50": (50, send(50, retry=True)),
        "a question to an AI": (1, ask),
        "a retry where a third fails (breakers only)": (1, failing),
    }

    def spent() -> tuple[float, float]:
        said: Any = redis_client().info("cpu")
        return time.process_time(), float(said["used_cpu_user"]) + float(said["used_cpu_sys"])

    for name, (each, work) in kinds.items():
        redis_client().flushdb()
        work()
        mine, servers = [], []
        times = max(1, options.calls // each)
        for _ in range(ROUNDS):
            before = spent()
            for _ in range(times):
                work()
            for took, begin, end in zip((mine, servers), before, spent(), strict=True):
                took.append((end - begin) / (times * each) * 1e6)
        print(f"{name:44} worker {_words(mine)}   Redis {_words(servers)}")


def _words(took: list[float]) -> str:
    return f"{median(took):6.1f} [{min(took):.1f}..{max(took):.1f}]"


if __name__ == "__main__":
    main()
