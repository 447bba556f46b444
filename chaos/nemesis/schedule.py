"""Which faults, when, for how long: decided before the first one, by the seed alone, or read from an earlier run.

Two rows run side by side: short ones that hit at once, and long ones during which the short ones go on.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random

from chaos import journal as journals

EVERYWHERE = ("embedded", "postgres-redis", "postgres-rabbitmq")
POSTGRES = EVERYWHERE[1:]
WORKERS = ("worker-chat", "worker-ai", "worker-send", "worker-maintenance", "worker-spare")


@dataclass(frozen=True)
class Kind:
    """`seconds`: from, to. `targets`: one of them is chosen. `setups`: where it can happen."""

    seconds: tuple[float, float] = (0.0, 0.0)
    targets: tuple[str, ...] = ("",)
    setups: tuple[str, ...] = EVERYWHERE


SHORT = {
    "kill_worker": Kind(targets=WORKERS),
    "kill_web": Kind(targets=("web",)),
    "kill_beat": Kind(targets=("beat",)),
    "kill_events": Kind(targets=("events",)),
    "kill_redis": Kind(targets=("redis",)),
    "flushall": Kind(),
    "client_kill": Kind(),
    "copy_bells": Kind(),
    "deploy": Kind(
        targets=("web worker-chat", "worker-ai worker-send", "worker-spare worker-maintenance events")
    ),
    "poison": Kind(targets=("chaos.exit_hard", "chaos.grows", "chaos.never_ends")),
    "refuse_telegram": Kind((1.0, 3.0)),
    "refuse_ai": Kind((1.0, 3.0)),
    "kill_broker": Kind(targets=("rabbitmq",), setups=("postgres-rabbitmq",)),
    "purge_broker": Kind(setups=("postgres-rabbitmq",)),
    "kill_postgres": Kind(targets=("postgres",), setups=POSTGRES),
    "kill_backend": Kind(setups=POSTGRES),
    "cut_database": Kind(setups=POSTGRES),
}
LONG = {
    "stop_worker": Kind((14.0, 20.0), targets=("worker-chat", "worker-ai", "worker-send", "worker-spare")),
    "swallow_telegram": Kind((3.0, 6.0)),
    "swallow_ai": Kind((3.0, 6.0)),
    "bot_down": Kind((10.0, 16.0), targets=("again", "ask")),
    "fill_disk": Kind((3.0, 5.0)),
    "lock_sqlite": Kind((10.0, 10.0), setups=("embedded",)),
    "skew_clock": Kind((12.0, 18.0), targets=("+600", "-600"), setups=POSTGRES),
}
KINDS = SHORT | LONG


@dataclass(frozen=True)
class Planned:
    """`at`: seconds from the beginning."""

    id: int
    at: float
    kind: str
    target: str
    seconds: float

    def line(self) -> dict[str, object]:
        return asdict(self)


def planned(setup: str, seed: int, seconds: float, *, every: float) -> list[Planned]:
    """The schedule: in both rows each kind once before any comes again. `every`: seconds between short ones."""
    random = Random(f"{setup}:{seed}")
    found: list[Planned] = []
    for row, first, pause in ((SHORT, 0.5, (every * 0.6, every * 1.4)), (LONG, 1.5, (0.5, every))):
        at, bag = first, []
        while True:
            if not bag:
                bag = [name for name, kind in row.items() if setup in kind.setups]
                random.shuffle(bag)
            name = bag.pop()
            kind = row[name]
            length = random.uniform(*kind.seconds)
            if at + length > seconds:
                if bag and row is LONG:
                    continue  # a shorter one may still fit
                break
            found.append(Planned(0, round(at, 2), name, random.choice(kind.targets), round(length, 2)))
            at += length + random.uniform(*pause)
    found.sort(key=lambda one: one.at)
    return [Planned(number, one.at, one.kind, one.target, one.seconds) for number, one in enumerate(found)]


def replayed(path: Path) -> list[Planned]:
    """The schedule of an earlier run, from its faults.jsonl."""
    return [
        Planned(line["id"], line["at"], line["kind"], line["target"], line["seconds"])
        for line in journals.read(path)
        if "begin" in line
    ]
