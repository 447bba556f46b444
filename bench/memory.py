"""Does memory grow under steady load? The slope of each web and worker process over the last minutes of a run.

    python -m bench.memory                                          20 minutes, 60 messages a second, PostgreSQL + Redis
    python -m bench.memory --minutes 2 --window 1 --rate 30         a trial of the yardstick itself
    python -m bench.memory --db sqlite --workers 2 --channel telegram

Messages come in through the API (or the webhook), the AI and the channel are the stand-in. Prints JSON, which is
written to bench/results/ too; the series are only there. Ends with status 1 when the witness found a message lost,
doubled or refused: then it was not steady work that was measured.

Sizes are in bytes, slopes in bytes an hour. `pss`: the proportional set size, which other programs on the machine move
as well, since they share files with ours. `anonymous`: the part of it that is nobody else's business, where a leak is.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import NormalDist, fmean
from typing import Any

from bench import report
from bench.processes import Kinds, family
from bench.run import ground
from bench.scenarios import Bench, Sizes
from bench.sides import Switchboard

WATCHED = ("web", "workers")
HOUR = 3600.0
Sample = tuple[float, int, int]  # moment, pss, anonymous


@dataclass(frozen=True)
class Slope:
    """Bytes an hour, and the interval that holds the true slope 95 times of 100."""

    per_hour: float
    low: float
    high: float


def quantile_of_t(freedom: float) -> float:
    """The 97.5 % point of Student's distribution (Abramowitz and Stegun 26.7.5), good to 1 % from 3 degrees on."""
    z = NormalDist().inv_cdf(0.975)
    return (
        z
        + (z**3 + z) / (4 * freedom)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * freedom**3)
    )


def slope(moments: Sequence[float], sizes: Sequence[float]) -> Slope:
    """Least squares through (seconds, bytes).

    Sizes that follow each other are alike, so they say less than as many independent ones: the interval counts
    n (1 - r) / (1 + r) of them, r being the correlation of neighbouring residuals. Raises ValueError below 6 samples.
    """
    count = len(moments)
    if count < 6:
        raise ValueError(f"{count} samples are too few for a slope: choose a longer window")
    centre, level = fmean(moments), fmean(sizes)
    spread = sum((moment - centre) ** 2 for moment in moments)
    steep = sum((m - centre) * (s - level) for m, s in zip(moments, sizes, strict=True)) / spread
    left = [s - level - steep * (m - centre) for m, s in zip(moments, sizes, strict=True)]
    squares = sum(residual**2 for residual in left)
    alike = sum(a * b for a, b in pairwise(left)) / squares if squares else 0.0
    alike = min(max(alike, 0.0), 0.99)
    freedom = max(3.0, count * (1 - alike) / (1 + alike) - 2)
    wide = quantile_of_t(freedom) * (squares / freedom / spread) ** 0.5
    return Slope(steep * HOUR, (steep - wide) * HOUR, (steep + wide) * HOUR)


def sizes_of(pid: int) -> tuple[int, int]:
    """Pss and Pss_Anon of one process in bytes (Linux 5.9 or newer). Raises OSError when it is gone."""
    found = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, _, rest = line.partition(":")
        found[name] = int(rest.split()[0]) * 1024
    return found["Pss"], found["Pss_Anon"]


class Watch:
    """Looks at every process of the watched kinds, their children included, each `every` seconds."""

    def __init__(self, kinds: Kinds, *, every: float) -> None:
        self.series: dict[tuple[str, int], list[Sample]] = defaultdict(list)
        self._kinds, self._every = kinds, every
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _look(self) -> None:
        for kind in WATCHED:
            for pid in family(self._kinds[kind]):
                try:
                    self.series[kind, pid].append((time.monotonic(), *sizes_of(pid)))
                except OSError:
                    continue  # a child that has ended

    def _run(self) -> None:
        while not self._over.wait(self._every):
            self._look()

    def __enter__(self) -> Watch:
        self._look()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


def judged(name: str, samples: Sequence[Sample], *, window: float) -> dict[str, Any]:
    """What one process did: its sizes at the ends of the run, its slopes over the last `window` seconds."""
    last = samples[-1][0]
    recent = [sample for sample in samples if sample[0] >= last - window]
    moments = [moment for moment, *_ in recent]
    return {
        "process": name,
        "samples": len(recent),
        "pss": {"first": samples[0][1], "last": samples[-1][1]},
        "anonymous": {"first": samples[0][2], "last": samples[-1][2]},
        "pss_slope": vars(slope(moments, [pss for _, pss, _ in recent])),
        "anonymous_slope": vars(slope(moments, [anonymous for *_, anonymous in recent])),
    }


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument(
        "--window", type=float, default=10.0, help="the last minutes, which the slope is about"
    )
    parser.add_argument("--rate", type=float, default=60.0, help="messages a second")
    parser.add_argument("--every", type=float, default=5.0, help="seconds between two looks")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--db", choices=["postgres", "sqlite"], default="postgres")
    parser.add_argument("--channel", choices=["bench", "telegram"], default="bench")
    parser.add_argument("--ai", choices=["standin", "openai"], default="standin")
    parser.add_argument("--tune", nargs="*", default=[], metavar="NAME=VALUE", help="environment of the side")
    options = parser.parse_args()
    options.side = ["switchboard"]  # for bench.run.ground
    return options


def run(options: argparse.Namespace) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """What is printed, and the series behind it."""
    with ground(options) as (postgres, standin, directory):
        side = Switchboard(
            *(postgres if options.db == "postgres" else None, standin.url, directory),
            channel=options.channel,
            ai=options.ai,
            workers=options.workers,
            tuning=dict(pair.split("=", 1) for pair in options.tune),
        )
        with side.up(slow_seconds=0.0) as running:
            bench = Bench(running, standin, Sizes())
            bench.warm_up()
            with Watch(running.kinds, every=options.every) as watch:
                figures = bench.steady(rate=options.rate, seconds=options.minutes * 60)
    series = {
        f"{kind} {number}": watch.series[kind, pid]
        for kind in WATCHED
        for number, (_, pid) in enumerate([key for key in watch.series if key[0] == kind], start=1)
    }
    lasting = max(len(samples) for samples in series.values()) - 2  # a passing child has no slope
    found = {
        "side": side.label,
        "rate": options.rate,
        "minutes": options.minutes,
        "window_minutes": options.window,
        "processes": [
            judged(name, samples, window=options.window * 60)
            for name, samples in series.items()
            if len(samples) >= lasting
        ],
        **{key: figures[key] for key in ("accepted", "refused", "lost", "doubled", "strangers", "clean")},
        "latency_ms": figures["latency_ms"],
        "machine_load_before": figures["machine_load_before"],
    }
    return found, [{"process": name, "series": samples} for name, samples in series.items()]


def main() -> int:
    options = arguments()
    if options.window > options.minutes:
        raise SystemExit("--window is a part of --minutes: it can't be longer")
    found, series = run(options)
    path = report.save([found, *series], arguments=vars(options))
    print(json.dumps(found, indent=1))
    print(f"with the series in {os.path.relpath(path)}", file=sys.stderr)
    return 0 if found["clean"] else 1


if __name__ == "__main__":
    sys.exit(main())
