"""Who a worker process is, and whether another one is still there.

A process is known by its host (boot id and pid namespace: the scope in which a pid means something), its pid
and the moment it started, so that a pid that was given away again is not mistaken for its old owner.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from apps.jobs import ledger
from apps.jobs.models import Worker

LEASE = 12.0
"""Seconds that a heartbeat is good for."""
HEARTBEAT = 3.0


@cache
def host_identity() -> str:
    """Return what names this host: processes with the same one can see each other by pid."""
    if chosen := os.environ.get("SWITCHBOARD_HOST_ID"):
        return chosen
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}:{os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return f"{socket.gethostname()}:{sys.platform}"


def process_start(pid: int) -> str | None:
    """Return when process `pid` started, in the kernel's own words; None if there is no such process.

    Without /proc it is "?" for any process that lives. A zombie counts as gone: it will never write again.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        if Path("/proc/self/stat").exists():
            return None
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return None
        except PermissionError:
            return "?"
        return "?"
    after_name = stat.rpartition(")")[2].split()
    return None if after_name[0] in ("Z", "X") else after_name[19]


def register(queues: Iterable[str]) -> int:
    """Enter this process as a worker; return its id."""
    return ledger.register_worker(
        host=host_identity(),
        hostname=socket.gethostname(),
        pid=os.getpid(),
        process_start=process_start(os.getpid()) or "?",
        queues=json.dumps(sorted(queues)),
        lease=LEASE,
    )


def end_dead_processes(*, me: int) -> list[int]:
    """End the workers of this host whose process is gone; return their ids."""
    ended = []
    for worker in Worker.objects.filter(ended_at=None, host=host_identity()).exclude(pk=me):
        started = process_start(worker.pid)
        if (started is None or started != worker.process_start) and ledger.end_worker(worker.pk, how="dead"):
            ended.append(worker.pk)
    return ended
