"""Play every schedule on a whole system, then each on a system that is broken, and say what caught it."""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from chaos.__main__ import commit
from chaos.mutations.schedules import CASES
from chaos.mutations.stage import DEADLINE, LEAST_PATIENCE, PATIENCE, Stage, built
from tests.servers.processes import REPOSITORY

RESULT = REPOSITORY / "docs" / "chaos" / "mutations.json"
MACHINE = "tests/jobs/test_state_machine.py"
RACES = "tests/jobs/test_races_of_lanes.py"
BROKEN = re.compile(r"BROKEN \[(.+?)\]")
# Not of the ledger alone: nothing in memory stands for the door and for Redis.
OUTSIDE_OF_THE_MACHINE = ("inbox_off", "permit_off")


@dataclass
class Row:
    mutation: str
    broken: str
    play: str
    caught_by: str = ""
    others: list[str] = field(default_factory=list)
    seconds: float = 0.0
    machine: str = ""
    """The state machine's invariant; "not caught", or "" where it was not asked."""
    machine_seconds: float = 0.0

    def __str__(self) -> str:
        by = self.caught_by or "NOT CAUGHT"
        machine = f"  machine: {self.machine} ({self.machine_seconds:.0f} s)" if self.machine else ""
        return f"{self.mutation:<20} {self.play:<24} {by:<20} {self.seconds:5.1f} s{machine}"


def play(stage: Stage, name: str, mutation: str) -> tuple[dict[str, list[str]], float]:
    """Its findings, and the seconds that it took."""
    stage.clear()
    stage.mutation = mutation
    begun = time.monotonic()
    CASES[name].play(stage)
    return stage.findings(), time.monotonic() - begun


def on_the_stage(stage: Stage, chosen: list[str]) -> tuple[list[Row], bool]:
    """A row for each mutation, and whether the whole system was green."""
    rows, green, needed = [], True, {}
    for name in chosen:
        what = CASES[name].name
        if what in needed:
            continue
        stage.patience = DEADLINE
        found, seconds = play(stage, name, "")
        needed[what] = stage.longest_drain
        print(
            f"{'(nothing broken)':<20} {what:<24} {', '.join(found) or 'green':<20} {seconds:5.1f} s",
            flush=True,
        )
        for invariant, broken in found.items():
            green = False
            print(*(f"    {invariant}: {line}" for line in broken[:3]), sep="\n")
    for name in chosen:
        what, expected = CASES[name].name, CASES[name].turns_red
        stage.patience = max(LEAST_PATIENCE, needed[what] * PATIENCE)
        found, seconds = play(stage, name, name)
        row = Row(name, CASES[name].broken, what, expected if expected in found else "")
        row.others = [one for one in found if one != expected]
        row.seconds = round(seconds, 1)
        rows.append(row)
        print(row, flush=True)
        for invariant, broken in found.items():
            print(f"    {invariant}: {broken[0]}")
    return rows, green


def by_the_machine(row: Row) -> None:
    """Let the ledger's state machine (or, for the index alone, the two-connection scripts) look for it."""
    if row.mutation in OUTSIDE_OF_THE_MACHINE:
        return
    begun = time.monotonic()
    env = {**os.environ, "MUTATION": row.mutation, "EXTRA_APPS": "chaos.mutations"}
    env |= {"HYPOTHESIS_PROFILE": "unshrunk", "TEST_EMBEDDED": "1"}
    said = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "--tb=short", "--show-capture=no", MACHINE],
        capture_output=True, text=True, check=False, cwd=REPOSITORY, env=env,
    ).stdout  # fmt: skip
    found = BROKEN.search(said)
    row.machine = found.group(1) if found else "not caught"
    row.machine_seconds = round(time.monotonic() - begun, 1)


def the_index_alone() -> Row | None:
    """Without the index alone, claims still look for the head of a lane. Only two connections at once see what is
    missing, and SQLite has one writer: this needs TEST_DATABASE_URL."""
    if not os.environ.get("TEST_DATABASE_URL"):
        return None
    begun = time.monotonic()
    said = {}
    for mutation in ("", "lane_index_off"):
        env = {**os.environ, "MUTATION": mutation, "EXTRA_APPS": "chaos.mutations"}
        argv = [sys.executable, "-m", "pytest", "-q", "--tb=line", "--show-capture=no", RACES]
        run = subprocess.run(argv, capture_output=True, text=True, check=False, cwd=REPOSITORY, env=env)
        said[mutation] = re.findall(r"FAILED \S+::(\w+)", run.stdout)
    broken = "the database would take two running jobs of one lane"
    row = Row("lane_index_off", broken, "two connections", seconds=round(time.monotonic() - begun, 1))
    if said["lane_index_off"] and not said[""]:
        row.caught_by, *row.others = said["lane_index_off"]
    return row


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("only", nargs="*", help="these mutations; all without a name")
    parser.add_argument(
        "--deep", action="store_true", help="also by the state machine and two-connection scripts"
    )
    parser.add_argument("--write", action="store_true", help=f"write {RESULT.relative_to(REPOSITORY)}")
    parser.add_argument("--directory", type=Path, help="where the records go; a temporary one without")
    options = parser.parse_args()
    if unknown := set(options.only) - set(CASES):
        parser.error(f"no such mutation: {', '.join(unknown)}; there are {', '.join(CASES)}")
    begun = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="sbm-") as temporary,
        built(options.directory or Path(temporary)) as stage,
    ):
        print(f"the stage stands after {time.monotonic() - begun:.1f} s", flush=True)
        rows, green = on_the_stage(stage, options.only or list(CASES))
    if options.deep:
        for row in rows:
            by_the_machine(row)
        rows += filter(None, [the_index_alone()])
    print(*rows, sep="\n")
    missed = [row.mutation for row in rows if not row.caught_by]
    took = time.monotonic() - begun
    print(
        f"{len(rows) - len(missed)} of {len(rows)} caught, whole system {'green' if green else 'RED'}, {took:.0f} s"
    )
    if options.write:
        RESULT.parent.mkdir(parents=True, exist_ok=True)
        result = {
            "commit": commit(),
            "when": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
            "whole_system_green": green,
            "seconds": round(took, 1),
            "load_average": [round(one, 1) for one in os.getloadavg()],
            "processors": os.cpu_count(),
            "mutations": [asdict(row) for row in rows],
        }
        RESULT.write_text(json.dumps(result, indent=1) + "\n")
    return int(bool(missed) or not green)


if __name__ == "__main__":
    sys.exit(main())
