"""What is asked of a side that is up, and how it is measured.

throughput  3,000 messages over 500 conversations, as fast as they are taken
latency     20 messages a second, 300 of them
burst       1,000 conversations at once, an AI that takes 2 s
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from bench.processes import Sampler, cpu_seconds
from bench.sides.running import Running
from bench.witness import StandIn, judge, latencies_ms, percentile, post

SLOW_SECONDS = 2.0
SETTLE = 0.5  # after the last reply: the writes that follow it are part of the work


@dataclass
class Sizes:
    """How big a run is; `--quick` makes it a smoke test."""

    conversations: int = 500
    messages: int = 3000
    connections: int = 48
    rate: float = 20.0
    rated_messages: int = 300
    burst: int = 1000
    patience: float = 240.0


class Bench:
    """A side that is up, the stand-in, and how far the conversations have come."""

    def __init__(self, running: Running, standin: StandIn, sizes: Sizes) -> None:
        self.running, self.standin, self.sizes = running, standin, sizes
        self._sequence = 0

    def _order(self, messages: int, conversations: int, **more: Any) -> dict[str, Any]:
        first = self._sequence
        self._sequence += -(-messages // conversations)
        account = more.get("account", self.running.account)
        return {
            "host": "127.0.0.1",
            "port": self.running.port,
            "path": self.running.path.format(account=account),
            "headers": self.running.headers,
            "account": account,
            "shape": self.running.shape,
            "first_conversation": 0,
            "conversations": conversations,
            "first_sequence": first,
            "messages": messages,
            "connections": self.sizes.connections,
            **more,
        }

    def warm_up(self) -> None:
        """Two rounds of every conversation: creates them, fills pools and caches, gives them a history."""
        for _ in range(2):
            self.standin.reset()
            count = self.sizes.conversations
            load = post(self._order(count, count))
            if load["refused"]:
                raise RuntimeError(f"the warm-up was refused: {load['refused']}")
            if self.standin.wait(count, seconds=self.sizes.patience) < count:
                raise RuntimeError("the warm-up was not answered")

    def measure(self, order: dict[str, Any], *, sample_every: float) -> dict[str, Any]:
        """Post, wait for the replies, judge; the figures every scenario shares."""
        kinds = self.running.kinds
        apart = {"stand-in": [self.standin.process.pid]}
        load_before = os.getloadavg()[0]
        self.standin.reset()
        time.sleep(0.5)
        cpu_before, apart_before = cpu_seconds(kinds), cpu_seconds(apart)
        with Sampler(kinds, postmaster=self.running.postmaster, every=sample_every) as sampler:
            load = post(order)
            self.standin.wait(len(load["accepted"]), seconds=self.sizes.patience)
        time.sleep(SETTLE)
        cpu_after, apart_after = cpu_seconds(kinds), cpu_seconds(apart)
        stats = self.standin.stats_when_quiet(quiet=1.0)
        verdict = judge(load, stats)
        first = min((posted for _, _, posted, _ in load["accepted"]), default=0.0)
        last = max((at for _, _, at in stats["replies"]), default=first)
        answered = max((at for *_, at in load["accepted"]), default=first)
        thousands = max(1, verdict.accepted) / 1000
        late = latencies_ms(load, stats)
        posts = sorted((b - a) * 1000 for _, _, a, b in load["accepted"])
        cpu = {kind: (cpu_after[kind] - cpu_before[kind]) / thousands for kind in kinds}
        return {
            **asdict(verdict),
            "clean": verdict.clean,
            "seconds": last - first,
            "messages_per_second": verdict.accepted / max(1e-9, last - first),
            "posts_per_second": verdict.accepted / max(1e-9, answered - first),
            "post_ms": {p: percentile(posts, q) for p, q in (("p50", 0.5), ("p99", 0.99))},
            "cpu_per_1000": sum(cpu.values()),
            "cpu_by_kind": cpu,
            "stand_in_cpu_per_1000": (apart_after["stand-in"] - apart_before["stand-in"]) / thousands,
            "load_cpu_per_1000": load["cpu"] / thousands,
            "latency_ms": {
                "p50": percentile(late, 0.5), "p95": percentile(late, 0.95), "p99": percentile(late, 0.99),
            },
            "peak_concurrency": stats["ai_peak"],
            "longest_context": stats["longest_context"],
            "pss_mb": sampler.peak_total,
            "pss_by_kind": sampler.peak_memory,
            "database_connections": sampler.peak_connections,
            "machine_load_before": load_before,
        }  # fmt: skip

    def throughput(self) -> dict[str, Any]:
        return self.measure(self._order(self.sizes.messages, self.sizes.conversations), sample_every=1.0)

    def latency(self) -> dict[str, Any]:
        order = self._order(self.sizes.rated_messages, self.sizes.conversations, rate=self.sizes.rate)
        return self.measure(order, sample_every=5.0)

    def steady(self, *, rate: float, seconds: float) -> dict[str, Any]:
        """A timetable for so long; bench/memory.py looks at the processes meanwhile."""
        order = self._order(int(rate * seconds), self.sizes.conversations, rate=rate)
        return self.measure(order, sample_every=60.0)

    def burst(self) -> dict[str, Any]:
        order = self._order(
            self.sizes.burst,
            self.sizes.burst,
            account=self.running.slow_account,
            first_conversation=1_000_000,
        )
        return self.measure(order, sample_every=0.5)


SCENARIOS: dict[str, Callable[[Bench], dict[str, Any]]] = {
    "throughput": Bench.throughput,
    "latency": Bench.latency,
    "burst": Bench.burst,
}
