"""Keeps the system's processes and servers running, and writes down each start and end.

What dies is started again after a pause, as the runner (apps/operations/runner.py), systemd or a container would do.
"""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from chaos import journal as journals
from chaos.journal import Journal
from tests.servers.processes import Process

LOOK = 0.1


class Kept(Protocol):
    """What can be kept running. `pid` is None while it isn't."""

    name: str
    is_server: bool

    @property
    def pid(self) -> int | None: ...

    @property
    def status(self) -> int | None:
        """How it ended: 0 = in good order, negative = by that signal; None where nobody knows."""
        ...

    def start(self) -> None:
        """Raises RuntimeError or AssertionError when it does not come up."""
        ...

    def close(self, grace: float) -> None: ...


class Program:
    """A line of the Procfile in a process group of its own."""

    is_server = False

    def __init__(self, name: str, command: str, env: dict[str, str], directory: Path) -> None:
        self.name, self.env = name, env
        self._argv = ["/bin/sh", "-c", f"exec {command}"]
        self._log = directory / f"{name}.log"
        self.process: Process | None = None

    @property
    def pid(self) -> int | None:
        return self.process.pid if self.process and self.process.alive else None

    @property
    def status(self) -> int | None:
        return self.process.returncode if self.process else None

    def start(self) -> None:
        if self.process:
            self.process.sweep_away()  # what the dead one left in its group
        self.process = Process(self._argv, log=self._log, env=self.env)

    def close(self, grace: float) -> None:
        if self.process:
            with suppress(AssertionError):
                self.process.terminate(grace)
            self.process.sweep_away()


class Server:
    """A database or broker of tests/servers: `pid_of` says which process it is, `start` starts it again."""

    is_server = True

    def __init__(self, name: str, *, pid_of: Callable[[], int | None], start: Callable[[], None]) -> None:
        self.name = name
        self._pid_of, self._start = pid_of, start

    @property
    def pid(self) -> int | None:
        return self._pid_of()

    @property
    def status(self) -> int | None:
        return None

    def start(self) -> None:
        self._start()

    def close(self, grace: float) -> None:
        """Whoever made it removes it."""


class Supervisor:
    """Add what is to be kept; `begin` watches until `close`."""

    def __init__(self, directory: Path, pause: float = 0.5) -> None:
        self.directory, self.pause = directory, pause
        self.kept: dict[str, Kept] = {}
        self._journal = Journal(directory / journals.PROCESSES)
        self._pids: dict[str, int] = {}
        self._done = threading.Event()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()

    def add(self, one: Kept, *, running: bool = False) -> None:
        """Start it, unless it is running, and keep it so."""
        self.kept[one.name] = one
        if not running:
            one.start()
        self._note(one)
        thread = threading.Thread(target=self._watch, args=(one,), daemon=True, name=f"keeps {one.name}")
        self._threads.append(thread)
        thread.start()

    def close(self, grace: float = 25.0) -> None:
        """SIGTERM to the programs, together; KILL to those that are not out within `grace` seconds."""
        self._done.set()
        for thread in self._threads:
            thread.join(30)
        closers = [threading.Thread(target=one.close, args=(grace,)) for one in self.kept.values()]
        for closer in closers:
            closer.start()
        for closer in closers:
            closer.join()
        self._journal.close()

    def _watch(self, one: Kept) -> None:
        pause = self.pause
        while not self._done.wait(LOOK):
            if one.pid is not None and one.pid == self._pids.get(one.name):
                pause = self.pause
                continue
            if one.pid is None:
                self._say(one, "end", status=one.status)
                if self._done.wait(pause):
                    return
                try:
                    one.start()
                except (RuntimeError, AssertionError, OSError) as error:
                    self._say(one, "failed", error=str(error)[:300])
                    pause = min(pause * 2, 4.0)
                    continue
            self._note(one)

    def _note(self, one: Kept) -> None:
        pid = one.pid
        if pid is None:
            return
        with self._lock:
            self._pids[one.name] = pid
            journals.put(self.directory / journals.PIDS, self._pids)
        self._say(one, "start")

    def _say(self, one: Kept, moment: str, **more: Any) -> None:
        pid = self._pids.get(one.name)
        kind = "server" if one.is_server else "program"
        self._journal.write(
            {"at": time.time(), "name": one.name, "kind": kind, "moment": moment, "pid": pid, **more}
        )
