"""Faults of processes: kill -9, SIGSTOP beyond the lease, SIGTERM deploys, poison, a worker whose clock is wrong."""

import json
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from chaos.nemesis.victims import Skipped, Victims
from tests.servers.processes import Process, run
from tests.servers.switchboard import PYTHON

FAKETIME = ("/usr/lib/*/faketime/libfaketimeMT.so.1", "/usr/local/lib/faketime/libfaketimeMT.so.1")


def kill_worker(victims: Victims, target: str, seconds: float) -> None:
    victims.kill(target)


def kill_program(victims: Victims, target: str, seconds: float) -> None:
    """The server and its worker processes at once, as when their container dies."""
    victims.kill(target, group=True)


def stop_worker(victims: Victims, target: str, seconds: float) -> None:
    """SIGSTOP, never while it holds SQLite's write lock: then nobody could write before it wakes, and the lease is
    the subject here. SIGCONT comes whatever happens."""
    pid = victims.signal(target, signal.SIGSTOP)
    while not victims.ledger.is_writable():
        os.kill(pid, signal.SIGCONT)
        time.sleep(0.05)
        os.kill(pid, signal.SIGSTOP)
    try:
        time.sleep(seconds)
    finally:
        os.kill(pid, signal.SIGCONT)


def deploy(victims: Victims, target: str, seconds: float) -> None:
    """SIGTERM to some, as a new version is rolled out: the next goes when the one before is out and up again."""
    for name in target.split():
        pid = victims.signal(name, signal.SIGTERM)
        _wait(lambda pid=pid: not Path(f"/proc/{pid}").exists(), 40)
        fresh = victims.pid(name)
        if name.startswith("worker"):
            _wait(lambda fresh=fresh: victims.registered(fresh), 40)


def _wait(predicate: Callable[[], bool], seconds: float) -> None:
    until = time.monotonic() + seconds
    while not predicate() and time.monotonic() < until:
        time.sleep(0.1)


def poison(victims: Victims, target: str, seconds: float) -> None:
    """Enqueue one; ends when it has been found out, so that its worker's deaths lie within the fault."""
    said = run([PYTHON, "-m", "tests.servers.enqueue", target, "1"], env=victims.env)
    (job,) = json.loads(said.splitlines()[-1])
    until = time.monotonic() + 60
    while time.monotonic() < until:
        with suppress(Exception):  # the database may be hurt as well just now
            if victims.ledger.one("SELECT status AS n FROM jobs_job WHERE id = %s", job) == "failed":
                return
        time.sleep(0.5)


def skew_clock(victims: Victims, target: str, seconds: float) -> None:
    """One more worker, for all queues, whose clock is off by `target` seconds (libfaketime; monotonic clocks go on)."""
    library = next((str(path) for pattern in FAKETIME for path in Path("/").glob(pattern[1:])), "")
    if not library:
        raise Skipped("no libfaketime: apt-get install faketime")
    name = "worker-skewed"
    env = {
        **victims.env,
        "TELEGRAM_API_URL": f"{victims.env['TELEGRAM_API_URL']}/from/{name}",
        "LD_PRELOAD": library,
        "FAKETIME": target,
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    argv = ["/bin/sh", "-c", f"exec {victims.known['spare']}"]
    worker = Process(argv, log=victims.directory / f"{name}.log", env=env)
    try:
        time.sleep(seconds)
        worker.terminate(30)
    finally:
        worker.sweep_away()
