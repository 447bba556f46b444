"""A runner as a real process, and the processes around it, watched with deadlines."""

from __future__ import annotations

import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DEADLINE = 30.0
# Says its process id, and "bye" when it is asked to end.
POLITE = "sh -c 'trap \"echo bye; exit 0\" TERM; echo up $$; sleep 300 & wait'"


class RunningRunner:
    """A started runner; every line it prints is kept, and can be waited for."""

    def __init__(self, process: subprocess.Popen[str], *, deadline: float = DEADLINE) -> None:
        self.process = process
        self._deadline = deadline
        self.lines: list[str] = []
        self._untaken: list[str] = []
        self._arrived: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def line(self, pattern: str) -> re.Match[str]:
        """The first line that matches and was not returned before; waits for it."""
        for position, line in enumerate(self._untaken):
            if match := re.search(pattern, line):
                del self._untaken[position]
                return match
        until = time.monotonic() + self._deadline
        while True:
            try:
                arrived = self._arrived.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                arrived = None
            if arrived is None:
                raise AssertionError(f"no line matched {pattern!r} in:\n" + "\n".join(self.lines[-200:]))
            self.lines.append(arrived)
            if match := re.search(pattern, arrived):
                return match
            self._untaken.append(arrived)

    def pid(self, name: str) -> int:
        """The process id that a POLITE child of this name says next."""
        return int(self.line(rf"^{name} +\| up (\d+)")[1])

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Sends the signal, waits for the end, gathers the rest of the lines; returns the exit status."""
        self.process.send_signal(number)
        status = self.process.wait(timeout=self._deadline)
        self._reader.join(timeout=DEADLINE)
        while (arrived := self._arrived.get_nowait()) is not None:
            self.lines.append(arrived)
        return status

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as output:
            for line in output:
                self._arrived.put(line.rstrip("\n"))
        self._arrived.put(None)


@contextmanager
def runner_of(directory: Path, procfile: str, *options: str) -> Iterator[RunningRunner]:
    """A runner of this Procfile text; whatever the test does, it is gone afterwards."""
    path = directory / "Procfile"
    path.write_text(procfile)
    process = subprocess.Popen(
        [sys.executable, "-m", "apps.operations.runner", str(path), *options],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"]},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    running = RunningRunner(process)
    try:
        yield running
    finally:
        if process.poll() is None:
            running.stop()


def alive(pid: int) -> bool:
    """Whether the process exists and is more than a zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        if Path("/proc/self").exists():
            return False
        return _alive_without_proc(pid)
    return state not in "ZX"


def _alive_without_proc(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
