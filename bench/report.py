"""Tables for people and JSON for machines, from the rounds of a run."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from bench.servers import POSTGRES_SETTINGS, ROOT

RESULTS = ROOT / "bench" / "results"


def spread(values: Iterable[float], digits: int = 0) -> str:
    """`median [min..max]`, or the value alone when there is one."""
    known = list(values)
    if not known:
        return "–"
    if len(known) == 1:
        return f"{known[0]:.{digits}f}"
    return f"{median(known):.{digits}f} [{min(known):.{digits}f}..{max(known):.{digits}f}]"


def _cpu_kinds(rounds: list[dict[str, Any]]) -> str:
    kinds = rounds[0]["cpu_by_kind"]
    return " / ".join(f"{median(r['cpu_by_kind'][kind] for r in rounds):.2f}" for kind in kinds)


def _judgement(rounds: list[dict[str, Any]]) -> str:
    total = {
        key: sum(r[key] for r in rounds) for key in ("accepted", "lost", "doubled", "strangers", "inversions")
    }
    refused = sum(sum(r["refused"].values()) for r in rounds)
    words = f"{total['accepted']} accepted, lost {total['lost']}, doubled {total['doubled']}"
    if refused or total["strangers"]:
        words += f", refused {refused}, strangers {total['strangers']}"
    return f"{words}, inversions {total['inversions']}"


ROWS: dict[str, Any] = {
    "messages/s": lambda rs: spread(r["messages_per_second"] for r in rs),
    "POSTs accepted/s": lambda rs: spread(r["posts_per_second"] for r in rs),
    "POST p50 / p99 ms": lambda rs: " / ".join(
        f"{median(r['post_ms'][p] for r in rs):.0f}" for p in ("p50", "p99")
    ),
    "seconds": lambda rs: spread((r["seconds"] for r in rs), 2),
    "CPU s/1000": lambda rs: spread((r["cpu_per_1000"] for r in rs), 2),
    "  by kind": _cpu_kinds,
    "latency p50 ms": lambda rs: spread((r["latency_ms"]["p50"] for r in rs), 1),
    "latency p95 ms": lambda rs: spread((r["latency_ms"]["p95"] for r in rs), 1),
    "latency p99 ms": lambda rs: spread((r["latency_ms"]["p99"] for r in rs), 1),
    "AI calls at once, peak": lambda rs: spread(r["peak_concurrency"] for r in rs),
    "PSS MB, peak": lambda rs: spread(r["pss_mb"] for r in rs),
    "database connections": lambda rs: spread(r["database_connections"] for r in rs),
    "witness": _judgement,
    "stand-in + load CPU s/1000": lambda rs: spread(
        (r["stand_in_cpu_per_1000"] + r["load_cpu_per_1000"] for r in rs), 2
    ),
    "machine load before": lambda rs: spread((r["machine_load_before"] for r in rs), 1),
}
SHOWN = {
    "throughput": ["messages/s", "CPU s/1000", "  by kind", "POSTs accepted/s", "POST p50 / p99 ms"],
    "latency": ["latency p50 ms", "latency p95 ms", "latency p99 ms", "CPU s/1000", "  by kind"],
    "burst": ["seconds", "AI calls at once, peak", "CPU s/1000", "  by kind", "database connections"],
}
ALWAYS = ["PSS MB, peak", "witness", "stand-in + load CPU s/1000", "machine load before"]


def table(results: list[dict[str, Any]]) -> str:
    """One Markdown table a scenario, a column a side."""
    out: list[str] = []
    for scenario, names in SHOWN.items():
        here = [r for r in results if r["scenario"] == scenario]
        if not here:
            continue
        sides = list(dict.fromkeys(r["label"] for r in here))
        kinds = " / ".join(here[0]["cpu_by_kind"])
        out += ["", f"| {scenario} | " + " | ".join(sides) + " |", "|---" * (len(sides) + 1) + "|"]
        for name in [*names, *ALWAYS]:
            cells = [ROWS[name]([r for r in here if r["label"] == side]) for side in sides]
            title = f"  {kinds}" if name == "  by kind" else name
            out.append(f"| {title.strip()} | " + " | ".join(cells) + " |")
    return "\n".join(out)


def _commit() -> str:
    done = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    return done.stdout.strip()


def save(results: list[dict[str, Any]], *, arguments: dict[str, Any]) -> Path:
    """Write everything that was measured, and on what, to bench/results/."""
    RESULTS.mkdir(exist_ok=True)
    now = datetime.now(UTC)
    path = RESULTS / f"{now:%Y%m%d-%H%M%S}.json"
    facts = {
        "when": now.isoformat(timespec="seconds"),
        "commit": _commit(),
        "python": platform.python_version(),
        "system": platform.platform(),
        "cores": os.cpu_count(),
        "postgres_settings": POSTGRES_SETTINGS,
        "arguments": arguments,
        "results": results,
    }
    path.write_text(json.dumps(facts, indent=1))
    return path
