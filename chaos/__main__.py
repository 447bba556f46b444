"""Run a profile: `python -m chaos --profile ci`, `python -m chaos --seconds 600 --seed 7 --setups embedded`.

Exit status 1 when an invariant is broken, a run did not drain, or a system did not come up.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from chaos.profiles import PROFILES, Profile
from chaos.running import run
from tests.servers.processes import REPOSITORY
from tests.servers.setups import NAMES

RESULTS = REPOSITORY / "chaos/results"
_printing = threading.Lock()


def commit() -> str:
    """The commit that is tried; with a + where files have been changed since."""
    said = subprocess.run(
        ["git", "describe", "--always", "--dirty=+", "--abbrev=10", "--exclude=*"],
        capture_output=True, text=True, check=False, cwd=REPOSITORY,
    )  # fmt: skip
    return said.stdout.strip() or "unknown"


def one(setup: str, profile: Profile, directory: Path, replay: Path | None) -> dict[str, Any] | None:
    """Run it and write its JSON; None when it could not be run."""

    def say(text: str) -> None:
        with _printing:
            print(f"{time.strftime('%H:%M:%S')} {setup:<18} {text}", flush=True)

    try:
        found = run(setup, profile, directory, say, replay)
    except Exception as error:
        say(f"FAILED: {type(error).__name__}: {error}\nThe records are in {directory}")
        return None
    found = {"commit": commit(), "when": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()), **found}
    RESULTS.mkdir(exist_ok=True)
    file = RESULTS / f"{setup}-{profile.name}-{profile.seed}.json"
    file.write_text(json.dumps(found, indent=1) + "\n")
    say(f"written to {file.relative_to(REPOSITORY)}; its records are in {directory}")
    return found


def show(found: dict[str, Any]) -> bool:
    """Print a run's findings; whether everything held."""
    print(f"\n{found['setup']}: accepted {found['accepted']}, delivered {found['delivered']}, dead {found['dead']}, "
          f"unknown {found['unknown']}, lost {found['lost']}, recovery {found['recovery']}")  # fmt: skip
    for finding in found["findings"]:
        more = f", {finding['explained']} explained by a fault" if finding["explained"] else ""
        state = "ok    " if finding["ok"] else "BROKEN"
        print(
            f"  {state} {finding['name']:<20} {finding['promise']} ({finding['looked_at']} looked at{more})"
        )
        for line in finding["broken"][:5]:
            print(f"           {line}")
    if not found["drained"]:
        print(
            "  BROKEN drained              work still waits: see limbo, or take in less than the workers can do"
        )
    return bool(found["drained"]) and all(finding["ok"] for finding in found["findings"])


def _records() -> Path:
    """A directory of its own, open to the user whom PostgreSQL runs as where we are root."""
    directory = Path(tempfile.mkdtemp(prefix="chaos"))
    directory.chmod(0o755)
    return directory


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--profile", choices=PROFILES, default="full")
    parser.add_argument("--seconds", type=float, help="under fire, for each set-up")
    parser.add_argument("--seed", type=int, help="0: a random one")
    parser.add_argument("--rate", type=float, help="messages a second")
    parser.add_argument("--setups", help=f"some of {','.join(NAMES)}")
    parser.add_argument("--side-by-side", type=int, help="how many set-ups run at once")
    parser.add_argument(
        "--replay", type=Path, help="the faults.jsonl of an earlier run: the same schedule again"
    )
    parser.add_argument("--directory", type=Path, help="where the records go; a temporary one if left out")
    options = parser.parse_args()
    seed = random.randrange(1, 2**31) if options.seed == 0 else options.seed
    profile = PROFILES[options.profile].changed(
        seconds=options.seconds,
        seed=seed,
        rate=options.rate,
        side_by_side=options.side_by_side,
        setups=tuple(options.setups.split(",")) if options.setups else None,
    )
    if unknown := set(profile.setups) - set(NAMES):
        parser.error(f"no such set-up: {', '.join(sorted(unknown))}")
    directory = options.directory or _records()
    print(
        f"profile {profile.name}, seed {profile.seed}, {profile.seconds:g} s under fire each: {profile.setups}",
        flush=True,
    )
    begun = time.monotonic()
    with ThreadPoolExecutor(profile.side_by_side) as pool:
        results = list(
            pool.map(lambda name: one(name, profile, directory / name, options.replay), profile.setups)
        )
    held = [show(found) if found else False for found in results]
    print(f"\n{sum(held)} of {len(held)} set-ups held, {time.monotonic() - begun:.0f} s", flush=True)
    return int(not all(held))


if __name__ == "__main__":
    sys.exit(main())
