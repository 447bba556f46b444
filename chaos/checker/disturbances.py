"""What was done to the system and when, and what that can explain.

A send's outcome can be unknown to us only if, while it was under way or in the moments until it was written down, the
process that made it died or was stopped, the way to Telegram was cut, or the database did not take what it said.
Deploys (SIGTERM), lost brokers, copied bells and a dead web or beat explain nothing: they must cost no send.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

GRACE = 3.0
"""Seconds between a send's answer and the commit that says so, on a busy machine."""
EXPLAINING_DATABASE = frozenset(
    {"kill_postgres", "kill_backend", "cut_database", "lock_sqlite", "fill_disk", "restart_postgres"}
)
EXPLAINING_NETWORK = frozenset({"refuse_telegram"})
REDIS_BACK = 2.0
"""Seconds after which every process asks Redis again: its time-out, and the second in which it leaves it alone."""
WAKING = 2.0
"""Seconds in which a worker that was held does what it had decided before; its time-outs are over when it wakes."""
MOMENT = 0.5
"""Seconds between bytes that a proxy swallowed and the call that they belonged to."""
LOSING_REDIS = frozenset({"flushall", "purge_broker", "kill_redis", "client_kill"})


@dataclass(frozen=True)
class Span:
    kind: str
    target: str
    begin: float
    end: float

    def touches(self, begin: float, end: float) -> bool:
        return self.begin <= end and self.end >= begin

    def __str__(self) -> str:
        return f"{self.kind} {self.target}".strip()


@dataclass
class Disturbances:
    """`faults`: what the nemesis did; `deaths`: when each program ended otherwise than asked to; `outages`: servers."""

    faults: list[Span] = field(default_factory=list)
    deaths: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    outages: list[Span] = field(default_factory=list)
    swallowed: list[float] = field(default_factory=list)
    """When bytes to or from Telegram were swallowed: a half-open connection outlives the fault that made it."""

    @classmethod
    def of(cls, *, faults: list[dict[str, Any]], processes: list[dict[str, Any]]) -> Disturbances:
        found, ends = cls(), {line["id"]: line for line in faults if "end" in line}
        for line in faults:
            if "begin" in line:
                end = ends.get(line["id"], {})
                if not end.get("skipped"):
                    found.faults.append(
                        Span(
                            line["kind"], line.get("target", ""), line["begin"], end.get("end", float("inf"))
                        )
                    )
        down: dict[str, float] = {}
        for line in processes:
            if line["kind"] == "program":
                if line["moment"] == "end" and line.get("status") != 0:
                    found.deaths[line["name"]].append(line["at"])
            elif line["moment"] == "end":
                down[line["name"]] = line["at"]
            elif line["moment"] == "start" and line["name"] in down:
                found.outages.append(Span("down", line["name"], down.pop(line["name"]), line["at"]))
        found.outages += [Span("down", name, at, float("inf")) for name, at in down.items()]
        return found

    def of_kind(self, kinds: frozenset[str]) -> list[Span]:
        return [span for span in self.faults if span.kind in kinds]

    def cut_off(self, begun: float, over: float, sender: str) -> str:
        """Why a call of this sender in this time may have an outcome that nobody knows; "" if nothing explains it."""
        end = over + GRACE
        for span in self.faults:
            if span.kind in EXPLAINING_NETWORK and span.touches(begun, over):
                return str(span)
            if span.kind in EXPLAINING_DATABASE and span.touches(begun, end):
                return str(span)
            if span.kind == "stop_worker" and span.target == sender and span.touches(begun - WAKING, end):
                return str(span)
        if any(begun - MOMENT <= at <= over + MOMENT for at in self.swallowed):
            return "a half-open connection"
        for at in self.deaths.get(sender, []):
            if begun <= at <= end:
                return f"the death of {sender}"
        for span in self.outages:
            if span.target == "postgres" and span.touches(begun, end):
                return str(span)
        return ""

    def woke_up_to(self, begun: float, sender: str, since: float) -> bool:
        """Whether the sender of a call had been held since before `since` and just woke: the moment between the last
        check and the first byte, which no fence closes."""
        return any(
            span.kind == "stop_worker"
            and span.target == sender
            and span.begin <= since
            and begun - WAKING <= span.end <= begun
            for span in self.faults
        )

    def stopped(self, sender: str, begin: float, end: float) -> bool:
        """Whether this program was held in that time: it may do later what it had decided before."""
        return any(
            span.kind == "stop_worker" and span.target == sender and span.touches(begin, end + GRACE)
            for span in self.faults
        )

    def redis_lost(self, begin: float, end: float) -> bool:
        """Whether holds and breakers may have been forgotten or could not be asked in that time."""
        lost = [span for span in self.outages if span.target == "redis"] + self.of_kind(LOSING_REDIS)
        return any(span.touches(begin - REDIS_BACK, end + 1.0) for span in lost)

    def any_in(self, begin: float, end: float) -> Span | None:
        """Any fault that stands in the way of work in that time."""
        half_open = [Span("half-open", "telegram", at, at) for at in self.swallowed]
        return next(
            (one for one in [*self.faults, *self.outages, *half_open] if one.touches(begin, end)), None
        )
