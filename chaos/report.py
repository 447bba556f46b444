"""The tables of docs/reliability.md, made from the results that are kept in docs/chaos/*.json.

python -m chaos.report            write it
python -m chaos.report --check    exit status 1 when it is stale
"""

import json
import sys
from collections import Counter
from typing import Any

from tests.servers.processes import REPOSITORY
from tests.servers.setups import NAMES

PAGE = REPOSITORY / "docs/reliability.md"
KEPT = REPOSITORY / "docs/chaos"
MUTATIONS = "mutations.json"
BEGIN, END = "<!-- {name}: begin -->", "<!-- {name}: end -->"


def results() -> list[dict[str, Any]]:
    """The kept runs, by set-up."""
    kept = [path for path in sorted(KEPT.glob("*.json")) if path.name != MUTATIONS]
    found = [json.loads(path.read_text()) for path in kept]
    return sorted(found, key=lambda one: NAMES.index(one["setup"]))


def table(runs: list[dict[str, Any]]) -> str:
    """Markdown: a column for each run, a row for each figure; then the faults by kind."""
    rows = [
        ("under fire", lambda run: f"{run['seconds']:g} s"),
        ("faults by the nemesis", lambda run: sum(run["faults"].values())),
        ("calls outside that met a fault", lambda run: sum(run["upstream_faults"].values())),
        ("accepted", lambda run: run["accepted"]),
        ("reply delivered", lambda run: run["delivered"]),
        ("dead letters, by reason", lambda run: _list(run["dead"])),
        ("deliveries whose sender couldn't know", lambda run: run["unknown"]["outcomes nobody could know"]),
        ("unknown: a person was asked", lambda run: run["unknown"]["asked a person"]),
        ("… of which had arrived", lambda run: run["unknown"]["asked a person, had arrived"]),
        ("unknown: sent again, arrived twice", lambda run: run["unknown"]["sent again, arrived twice"]),
        ("**lost**", lambda run: f"**{run['lost']}**"),
        (
            "**duplicated where a person is to be asked**",
            lambda run: f"**{run['duplicated']['where a person is asked']}**",
        ),
        (
            "**duplicated without a fault at that send**",
            lambda run: f"**{run['duplicated']['unexplained']}**",
        ),
        ("**out of order**", lambda run: f"**{run['reordered']}**"),
        ("**in limbo after the drain**", lambda run: f"**{run['limbo']}**"),
        ("recovery, p50 and longest", lambda run: f"{run['recovery']['p50']} s, {run['recovery']['max']} s"),
        ("drained after", lambda run: f"{run['drain_seconds']} s"),
        (
            "promises held",
            lambda run: f"{sum(one['ok'] for one in run['findings'])} of {len(run['findings'])}",
        ),
        ("seed, commit", lambda run: f"{run['seed']}, {run['commit']}"),
        ("load average, processors", lambda run: f"{run['load_average'][0]}, {run['processors']}"),
    ]
    names = [run["setup"] for run in runs]
    lines = [f"| | {' | '.join(names)} |", f"|---|{'---|' * len(names)}"]
    lines += [f"| {name} | {' | '.join(str(value(run)) for run in runs)} |" for name, value in rows]
    kinds = sorted(set().union(*(Counter(run["faults"]) for run in runs)))
    lines += ["", f"| fault | {' | '.join(names)} |", f"|---|{'---|' * len(names)}"]
    for kind in kinds:
        counts = (str(run["faults"].get(kind, "–")) for run in runs)
        lines.append(f"| {kind.replace('_', ' ')} | {' | '.join(counts)} |")
    return "\n".join(lines)


def _list(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {number}" for name, number in counts.items()) or "none"


def mutations() -> str:
    """Markdown: what was broken on purpose, and what turned red (`python -m chaos.mutations --deep --write`)."""
    if not (KEPT / MUTATIONS).exists():
        return "No result is kept yet: `python -m chaos.mutations --deep --write` makes one."
    found = json.loads((KEPT / MUTATIONS).read_text())
    lines = [
        "| broken on purpose | play | turned red | after | by the state machine |",
        "|---|---|---|---|---|",
    ]
    for one in found["mutations"]:
        red = ", ".join([f"**{one['caught_by'] or 'nothing'}**", *one["others"]])
        machine = f"{one['machine']}, {one['machine_seconds']:.0f} s" if one["machine"] else "–"
        lines.append(f"| {one['broken']} | {one['play']} | {red} | {one['seconds']:.0f} s | {machine} |")
    whole = "green" if found["whole_system_green"] else "RED"
    where = (
        f"commit {found['commit']}, load average {found['load_average'][0]}, {found['processors']} processors"
    )
    return "\n".join([*lines, "", f"Nothing broken: every play {whole} ({where})."])


def page(text: str) -> str:
    """The page with its tables anew. Raises ValueError where it has no place for one."""
    for name, fresh in (("chaos", table(results())), ("mutations", mutations())):
        begin, end = BEGIN.format(name=name), END.format(name=name)
        before, found, rest = text.partition(begin)
        _, closed, after = rest.partition(end)
        if not (found and closed):
            raise ValueError(f"{PAGE} lacks {begin} and {end}")
        text = f"{before}{begin}\n{fresh}\n{end}{after}"
    return text


def main() -> int:
    text = PAGE.read_text()
    fresh = page(text)
    if "--check" in sys.argv:
        return int(fresh != text)
    PAGE.write_text(fresh)
    return 0


if __name__ == "__main__":
    sys.exit(main())
