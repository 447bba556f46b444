"""Run the yardstick: sides in turn, round by round, fresh processes and databases each time.

    python -m bench.run                                     everything (about half an hour)
    python -m bench.run --scenario throughput --side switchboard --db postgres --rounds 2
    python -m bench.run --side switchboard --channel telegram     the real adapter, in by the webhook
    python -m bench.run --side switchboard --scenario burst --ai openai [--tune BENCH_DRAFTS=1]   the real provider
    python -m bench.run --quick                             a smoke test of the yardstick itself

Prints Markdown tables and writes JSON to bench/results/. Ends with status 1 when a run lost, doubled or
refused a message, whatever the speed.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench import report
from bench.scenarios import SCENARIOS, SLOW_SECONDS, Bench, Sizes
from bench.servers import Postgres, workplace
from bench.sides import BullMQ, Side, Switchboard
from bench.witness import StandIn


def say(text: str) -> None:
    print(text, flush=True)  # a command's output


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenario", nargs="+", choices=list(SCENARIOS), default=list(SCENARIOS))
    parser.add_argument(
        "--side", nargs="+", choices=["switchboard", "bullmq"], default=["switchboard", "bullmq"]
    )
    parser.add_argument("--db", nargs="+", choices=["postgres", "sqlite"], default=["postgres", "sqlite"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--backlog", action="store_true", help="Switchboard again, with a million rows in the ledger"
    )
    parser.add_argument("--workers", type=int, nargs="+", default=[1], help="the peer's worker processes")
    parser.add_argument(
        "--intake", nargs="+", choices=["queue", "direct"], default=["queue"], help="the peer's"
    )
    parser.add_argument(
        "--sql", nargs="+", choices=["fused", "plain"], default=["fused", "plain"], help="the peer's"
    )
    parser.add_argument(
        "--tune", nargs="*", default=[], metavar="NAME=VALUE", help="environment of the sides"
    )
    parser.add_argument(
        "--channel", nargs="+", choices=["bench", "telegram"], default=["bench"], help="Switchboard's"
    )
    parser.add_argument(
        "--ai", nargs="+", choices=["standin", "openai"], default=["standin"], help="Switchboard's"
    )
    parser.add_argument(
        "--keep-limits", action="store_true", help="Telegram's own limits: 25 a second, whatever else"
    )
    parser.add_argument("--conversations", type=int, default=Sizes.conversations)
    parser.add_argument("--messages", type=int, default=Sizes.messages)
    parser.add_argument("--quick", action="store_true")
    return parser.parse_args()


def sizes(options: argparse.Namespace) -> Sizes:
    if options.quick:
        return Sizes(conversations=50, messages=200, rated_messages=40, burst=100, patience=60)
    return Sizes(messages=options.messages, conversations=options.conversations)


def sides(
    options: argparse.Namespace, postgres: Postgres | None, standin: StandIn, directory: Path
) -> list[Side]:
    """The columns of the table, in the order of their turns."""
    chosen: list[Side] = []
    tuning = dict(pair.split("=", 1) for pair in options.tune)
    if "bullmq" in options.side:
        if postgres is None:
            raise SystemExit("the peer needs PostgreSQL: leave --db postgres in, or --side bullmq out")
        chosen += [
            BullMQ(postgres, standin.url, directory, workers=workers, intake=intake, sql=sql, tuning=tuning)
            for sql in options.sql
            for intake in options.intake
            for workers in options.workers
        ]
    if "switchboard" in options.side:
        for database in options.db:
            for backlog in [False, True] if options.backlog else [False]:
                own = postgres if database == "postgres" else None
                chosen += [
                    Switchboard(
                        *(own, standin.url, directory),
                        backlog=backlog,
                        channel=channel,
                        ai=ai,
                        unlimited=not options.keep_limits,
                        tuning=tuning,
                    )
                    for channel in options.channel
                    for ai in options.ai
                ]
    return chosen


@contextlib.contextmanager
def ground(options: argparse.Namespace) -> Iterator[tuple[Postgres | None, StandIn, Path]]:
    """The private servers of the whole run."""
    with workplace() as directory, contextlib.ExitStack() as stack:
        postgres = None
        if "bullmq" in options.side or "postgres" in options.db:
            postgres = Postgres(directory)
            stack.callback(postgres.stop)
        standin = StandIn(directory)
        stack.callback(standin.stop)
        yield postgres, standin, directory


def one_turn(side: Side, standin: StandIn, options: argparse.Namespace, number: int) -> list[dict[str, Any]]:
    """One side up once, through all the scenarios asked for."""
    results = []
    with side.up(slow_seconds=SLOW_SECONDS) as running:
        bench = Bench(running, standin, sizes(options))
        bench.warm_up()
        for scenario in options.scenario:
            figures = SCENARIOS[scenario](bench)
            results.append(
                {"side": side.name, "label": side.label, "scenario": scenario, "round": number, **figures}
            )
            say(
                f"round {number} {side.label}: {scenario} {figures['messages_per_second']:.0f} msg/s, "
                f"{figures['cpu_per_1000']:.2f} CPU s/1000, p50 {figures['latency_ms']['p50']:.1f} ms"
                f"{'' if figures['clean'] else '  NOT CLEAN'}"
            )
    return results


def main() -> int:
    options = arguments()
    results: list[dict[str, Any]] = []
    say(f"load of the machine before: {os.getloadavg()[0]:.2f} on {os.cpu_count()} cores")
    with ground(options) as (postgres, standin, directory):
        columns = sides(options, postgres, standin, directory)
        for number in range(1, (1 if options.quick else options.rounds) + 1):
            for side in columns:
                results += one_turn(side, standin, options, number)
    say(report.table(results))
    say(f"\nwritten to {report.save(results, arguments=vars(options)).relative_to(report.ROOT)}")
    return 0 if all(result["clean"] for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
