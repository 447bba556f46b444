"""What a claim costs, whatever the backlog: a whole drain of a ledger with a million rows, on both databases.

    python -m bench.claims [--db postgres sqlite] [--places 100]

1,000,000 finished jobs, 100,000 waiting for the claimed task in 20,000 lanes, 10,000 of them in one lane. Each
turn claims, completes and promotes as a worker does; each of the three is timed. At the end the queue is empty
but for what is due in an hour, and the empty claim is timed. Nothing else runs: these are the statements alone.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import django

from bench.servers import ROOT, Postgres, workplace
from bench.witness import percentile

TASK, QUEUE = "bench.claimed", "bench-claimed"


def timed(times: list[float], work: Callable[[], Any]) -> Any:
    begun = time.perf_counter()
    result = work()
    times.append((time.perf_counter() - begun) * 1000)
    return result


def drain(places: int, deep_turns: int) -> dict[str, Any]:
    """Claim, complete, promote until nothing is due, or only the deep lane is left and has had its turns."""
    from apps.jobs import ledger

    claims: list[float] = []
    finishes: list[float] = []
    promotions: list[float] = []
    alone: list[float] = []
    claimed = 0
    while True:
        jobs, found = timed(claims, lambda: ledger.claim(TASK, places=places, worker=1))
        if not found:
            claims.pop()
            break
        if not jobs:
            continue
        claimed += len(jobs)
        timed(finishes, lambda jobs=jobs: ledger.complete(jobs))
        lanes = {job.lane for job in jobs if job.lane}
        timed(promotions, lambda lanes=lanes: ledger.promote(lanes))
        if len(jobs) == 1:
            alone.append(claims[-1])
            if len(alone) >= deep_turns:
                break
    figures = {
        "claimed": claimed,
        "claims": len(claims),
        "claim_ms": _spread(claims),
        "claim_of_the_deep_lane_ms": _spread(alone),
        "complete_ms": _spread(finishes),
        "promote_ms": _spread(promotions),
    }
    while ledger.claim(TASK, places=places, worker=1)[1]:
        pass  # the deep lane's last one is running now: its lane is closed, and nothing else is due
    empty: list[float] = []
    for _ in range(300):
        timed(empty, lambda: ledger.claim(TASK, places=places, worker=1))
    return {**figures, "empty_claim_ms": _spread(empty)}


def _spread(times: list[float]) -> dict[str, float]:
    ordered = sorted(times)
    return {
        "p50": round(percentile(ordered, 0.5), 3),
        "p99": round(percentile(ordered, 0.99), 3),
        "max": round(ordered[-1], 3) if ordered else 0.0,
    }


def inside(options: argparse.Namespace) -> None:
    """In a process of its own with the database's settings: fill, drain, print."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    django.setup()
    from django.core.management import call_command
    from django.db import connection

    from bench.ledger_rows import fill

    call_command("migrate", verbosity=0)
    begun = time.perf_counter()
    fill(task=TASK, queue=QUEUE, finished=options.finished)
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE jobs_job")
    filled = time.perf_counter() - begun
    print(json.dumps({"fill_seconds": round(filled, 1), **drain(options.places, options.deep_turns)}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--db", nargs="+", choices=["postgres", "sqlite"], default=["postgres", "sqlite"])
    parser.add_argument("--places", type=int, default=100)
    parser.add_argument("--finished", type=int, default=1_000_000)
    parser.add_argument(
        "--deep-turns", type=int, default=500, help="claims of the deep lane alone, then stop"
    )
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        inside(options)
        return
    for name in options.db:
        with workplace() as directory:
            postgres = Postgres(directory) if name == "postgres" else None
            try:
                if postgres:
                    postgres.create("claims")
                url = postgres.url("claims") if postgres else f"sqlite:///{directory / 'claims.sqlite3'}"
                secret = "only-for-the-yardstick-" + "x" * 40
                env = {
                    **os.environ, "ENV_FILE": os.devnull, "DATABASE_URL": url, "SECRET_KEY": secret,
                    "ENCRYPTION_KEYS": secret, "DEBUG": "false", "ALLOWED_HOSTS": "127.0.0.1",
                }  # fmt: skip
                command = [sys.executable, "-m", "bench.claims", "--inside", *sys.argv[1:]]
                done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
                if done.returncode:
                    raise SystemExit(done.stderr[-3000:])
                figures = json.loads(done.stdout.splitlines()[-1])
            finally:
                if postgres:
                    postgres.stop()
        print(f"\n{name}: {figures['claimed']} jobs in {figures['claims']} claims of {options.places}")
        print("| ms | p50 | p99 | max |\n|---|---|---|---|")
        for key, value in figures.items():
            if isinstance(value, dict):
                row = " | ".join(f"{value[part]:.2f}" for part in ("p50", "p99", "max"))
                print(f"| {key.removesuffix('_ms').replace('_', ' ')} | {row} |")


if __name__ == "__main__":
    main()
