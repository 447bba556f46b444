"""The judge of a run: every accepted message was answered once, none lost, none doubled; order is counted.

Works on what the load generator posted and what the stand-in saw arrive, and asks neither side anything.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.servers import ROOT, free_port, start, stop, wait_for_port
from bench.wire import Client, request_bytes


@dataclass(frozen=True)
class Verdict:
    """What became of the accepted messages."""

    accepted: int
    refused: dict[str, int]
    lost: int
    doubled: int
    strangers: int  # replies to nothing that was accepted in this run
    inversions: int  # neighbours within a conversation that came the wrong way round

    @property
    def clean(self) -> bool:
        """Nothing refused, lost, doubled or out of the blue."""
        return not (self.refused or self.lost or self.doubled or self.strangers)


def judge(load: dict[str, Any], stats: dict[str, Any]) -> Verdict:
    accepted = {(c, s) for c, s, _, _ in load["accepted"]}
    seen = Counter((c, s) for c, s, _ in stats["replies"])
    last: dict[int, int] = {}
    inversions = 0
    for conversation, sequence, _ in stats["replies"]:
        inversions += sequence < last.get(conversation, -1)
        last[conversation] = max(sequence, last.get(conversation, -1))
    return Verdict(
        accepted=len(accepted),
        refused=load["refused"],
        lost=len(accepted - seen.keys()),
        doubled=sum(count - 1 for count in seen.values()),
        strangers=len(seen.keys() - accepted) + int(stats["unmarked"]),
        inversions=inversions,
    )


def latencies_ms(load: dict[str, Any], stats: dict[str, Any]) -> list[float]:
    """From each POST leaving to its reply arriving at the channel, sorted."""
    posted = {(c, s): at for c, s, at, _ in load["accepted"]}
    return sorted((at - posted[c, s]) * 1000 for c, s, at in stats["replies"] if (c, s) in posted)


def percentile(values: Sequence[float], share: float) -> float:
    """Nearest rank; 0 for no values."""
    return values[min(len(values) - 1, int(share * len(values)))] if values else 0.0


class StandIn:
    """The stand-in's process and the few questions it is asked."""

    def __init__(self, directory: Path) -> None:
        self.port = free_port()
        command = [sys.executable, "-m", "bench.standin", "--port", str(self.port)]
        self.process = start(command, log=directory / "standin.log")
        wait_for_port(self.port, alive=self.process)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(self, method: str, path: str) -> dict[str, Any]:
        async def go() -> bytes:
            _, client = await asyncio.get_running_loop().create_connection(Client, "127.0.0.1", self.port)
            _, body = await client.request(request_bytes("standin", method, path))
            client.transport.close()
            return body

        answer: dict[str, Any] = json.loads(asyncio.run(go()))
        return answer

    def reset(self) -> None:
        self.ask("POST", "/reset")

    def wait(self, sends: int, *, seconds: float) -> int:
        """Wait until that many replies have arrived; gives how many did."""
        return int(self.ask("GET", f"/wait?sends={sends}&timeout={seconds}")["sends"])

    def stats_when_quiet(self, *, quiet: float) -> dict[str, Any]:
        """Everything that arrived, once nothing more has come for `quiet` seconds (a double comes late)."""
        before = -1
        while True:
            stats = self.ask("GET", "/stats")
            if len(stats["replies"]) == before:
                return stats
            before = len(stats["replies"])
            time.sleep(quiet)

    def stop(self) -> None:
        stop(self.process)


def post(order: dict[str, Any]) -> dict[str, Any]:
    """Run the load generator to its end and give what it saw."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.load"],
        input=json.dumps(order).encode(), capture_output=True, cwd=ROOT, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"the load generator failed:\n{done.stderr.decode()}")
    result: dict[str, Any] = json.loads(done.stdout)
    return result
