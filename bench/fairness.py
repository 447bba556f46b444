"""What a customer notices of another who floods: 10,000 messages at once beside three a second.

    python -m bench.fairness [--db postgres sqlite] [--ai-seconds 1] [--flood 10000]

1. alone      the neighbour posts on its timetable, and nobody else
2. flooded    the same, while another customer posts 10,000 messages, each in a conversation of its own, as fast as
              they are taken
3. unshared   the flood comes from the neighbour's own customer: what the same minute is like where nobody shares

Each is a fresh system: one web and one worker process. Figures are the neighbour's: from its POST leaving to its answer
arriving at the channel.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from bench.servers import Postgres, workplace
from bench.sides.running import Running
from bench.sides.switchboard import Switchboard
from bench.witness import StandIn, judge, latencies_ms, percentile, post

RATE, MESSAGES = 3.0, 60
FLOODED_FROM = 1_000_000
"""The flood's conversations are counted from here, the neighbour's from 0."""


def order(running: Running, customer: dict[str, str], **more: Any) -> dict[str, Any]:
    return {
        "host": "127.0.0.1",
        "port": running.port,
        "path": running.path,
        "headers": {"X-API-Key": customer["key"]},
        "account": customer["slow_account"],
        "first_sequence": 0,
        **more,
    }


def one(running: Running, standin: StandIn, kind: str, flood: int) -> dict[str, Any]:
    """One of the three; the neighbour's figures."""
    ours = {"key": running.headers["X-API-Key"], "slow_account": running.slow_account}
    neighbour = running.neighbour
    standin.reset()
    timetable = order(
        running,
        neighbour,
        first_conversation=0,
        conversations=20,
        messages=MESSAGES,
        connections=8,
        rate=RATE,
    )
    loads = [timetable]
    if kind != "alone":
        who = neighbour if kind == "unshared" else ours
        loads.append(
            order(
                running,
                who,
                first_conversation=FLOODED_FROM,
                conversations=flood,
                messages=flood,
                connections=48,
            )
        )
    with ThreadPoolExecutor(len(loads)) as pool:
        theirs, *floods = pool.map(post, loads)
    accepted = theirs["accepted"] + [one for load in floods for one in load["accepted"]]
    standin.wait(len(accepted), seconds=300)
    stats = standin.stats_when_quiet(quiet=1.0)
    verdict = judge({"accepted": accepted, "refused": {}}, stats)
    late = latencies_ms(theirs, stats)
    last = max(at for *_, at in stats["replies"])
    return {
        "kind": kind,
        "clean": verdict.clean,
        "answered": len(late),
        "p50": percentile(late, 0.5),
        "p95": percentile(late, 0.95),
        "max": late[-1],
        "drained_after_s": last - min(posted for _, _, posted, _ in accepted),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--db", nargs="+", choices=["postgres", "sqlite"], default=["postgres", "sqlite"])
    parser.add_argument("--ai-seconds", nargs="+", type=float, default=[1.0])
    parser.add_argument("--flood", type=int, default=10_000)
    parser.add_argument("--kind", nargs="+", default=["alone", "flooded", "unshared"])
    options = parser.parse_args()
    print(f"load of the machine before: {os.getloadavg()[0]:.2f} on {os.cpu_count()} cores", flush=True)
    results = []
    with workplace() as directory:
        standin = StandIn(directory)
        for database in options.db:
            postgres = Postgres(directory) if database == "postgres" else None
            try:
                for seconds in options.ai_seconds:
                    place = directory / f"{database}-{seconds}"
                    place.mkdir()
                    side = Switchboard(postgres, standin.url, place)
                    for kind in options.kind:
                        with side.up(slow_seconds=seconds) as running:
                            figures = one(running, standin, kind, options.flood)
                        results.append({"database": database, "ai_seconds": seconds, **figures})
                        print(json.dumps(results[-1]), flush=True)
            finally:
                if postgres:
                    postgres.stop()
        standin.stop()
    return 0 if all(result["clean"] for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
