"""One run of one set-up: up, calm, under fire, drained, judged; what came of it as one dict.

1. The system is up, the producer posts, and the first messages are answered without any fault.
2. The nemesis begins; faults by seed are switched on outside.
3. The nemesis is through: the producer ends, the outside world answers properly.
4. Nothing waits any more, or the time for it is over.
5. The checker looks at everything, while the system still answers.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from chaos import journal as journals
from chaos.checker import check, gather
from chaos.checker.desk import ask_the_system
from chaos.figures import figures
from chaos.profiles import Profile
from chaos.system import System, started
from tests.servers.processes import Process, tail
from tests.waiting import wait_until

CALM = 15
"""Messages answered before the first fault."""
Say = Callable[[str], None]


def run(
    setup: str, profile: Profile, directory: Path, say: Say, replay: Path | None = None
) -> dict[str, Any]:
    """Raises AssertionError when the system does not even come up; what breaks later is in the findings."""
    begun = time.monotonic()
    with started(setup, directory, seed=profile.seed, calm=True) as system:
        say(f"up after {time.monotonic() - begun:.0f} s")
        producer = _producer(system, profile)
        try:
            wait_until(lambda: _answered(system) >= CALM, 60, "answers before the first fault", interval=0.3)
            system.steer("faults", on=True)
            _under_fire(system, profile, say, replay)
            system.steer("faults", on=False)
            producer.terminate(60)
        finally:
            producer.sweep_away()
        fire_ended = time.time()
        drained = system.drained(profile.drain)
        drain = time.time() - fire_ended
        say(f"{'drained' if drained else 'NOT drained'} after {drain:.1f} s")
        wait_until(system.answers, 60, "the web to answer after the fire")
        evidence = gather(directory)
        desk = ask_the_system(directory, evidence)
        findings = check(directory, desk=desk)
        evidence.desk = desk
        found = figures(evidence, findings)
    if producer.returncode:
        raise AssertionError(
            f"the producer ended with {producer.returncode}\n{tail(directory / 'producer.log')}"
        )
    return {
        "setup": setup,
        "profile": profile.name,
        "seed": profile.seed,
        "seconds": profile.seconds,
        **found,
        "drained": drained,
        "drain_seconds": round(drain, 1),
        "wall_seconds": round(time.monotonic() - begun, 1),
        "load_average": [round(load, 1) for load in os.getloadavg()],
        "processors": os.cpu_count(),
        "findings": [
            {
                "name": one.name,
                "promise": one.promise,
                "ok": one.ok,
                "looked_at": one.looked_at,
                "explained": one.left_out,
                "broken": one.broken[:20],
            }
            for one in findings
        ],
    }


def _producer(system: System, profile: Profile) -> Process:
    argv = [sys.executable, "-m", "chaos.producer", "--directory", str(system.directory)]
    argv += ["--seed", str(profile.seed), "--rate", str(profile.rate)]
    argv += ["--conversations", str(profile.conversations)]
    return Process(argv, log=system.directory / "producer.log")


def _answered(system: System) -> int:
    """Sends that the witness has seen done."""
    lines = journals.read(system.directory / journals.WITNESS)
    return sum(line.get("moment") == "done" and line["status"] == 200 for line in lines)


def _under_fire(system: System, profile: Profile, say: Say, replay: Path | None) -> None:
    log = system.directory / "nemesis.log"
    argv = [sys.executable, "-m", "chaos.nemesis", "--directory", str(system.directory)]
    argv += ["--seed", str(profile.seed), "--seconds", str(profile.seconds), "--every", str(profile.every)]
    argv += ["--replay", str(replay)] if replay else []
    nemesis = Process(argv, log=log)
    try:
        nemesis.wait_for_end(profile.seconds + 180)
    finally:
        nemesis.sweep_away()
    for line in log.read_text().splitlines():
        say(line)
    if nemesis.returncode:
        raise AssertionError(f"the nemesis ended with {nemesis.returncode}")
