"""One process of the runner: started in a group of its own, listened to, ended together with its group."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from apps.operations.procfile import ProcessLine

LEASH = Path(__file__).with_name("leash.py")
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 15.0  # seconds before a dead child is started again, doubling
SETTLED = 10.0  # a child that lived so long has started well: the pauses begin anew
LONGEST_LINE = 64 * 1024


class Child:
    """A line of the Procfile and the process that runs it, if one does."""

    def __init__(self, line: ProcessLine, *, environment: Mapping[str, str], directory: Path) -> None:
        self.line = line
        self.start_at: float | None = time.monotonic()  # None: not to be started again
        self.kill_at: float | None = None  # set once it was asked to end
        self._environment = {**environment, "PYTHONUNBUFFERED": "1"}
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None
        self._output = -1
        self._pause = FIRST_PAUSE
        self._started = 0.0
        self._partial = b""

    def start(self) -> None:
        """Starts the process. Raises OSError when not even the shell can be started."""
        self.start_at = self.kill_at = None
        self._started = time.monotonic()
        # `exec`: the shell becomes the command, so that the signals we send reach the command itself.
        shell = ["/bin/sh", "-c", f"exec {self.line.command}"]
        self._output, printing = os.pipe()
        self._process = subprocess.Popen(  # noqa: S603 - a line of our Procfile
            [sys.executable, "-I", "-S", str(LEASH), str(os.getpid()), *shell],
            stdin=subprocess.DEVNULL,
            stdout=printing,
            stderr=printing,
            env=self._environment,
            cwd=self._directory,
            start_new_session=True,
        )
        os.close(printing)
        os.set_blocking(self._output, False)

    @property
    def running(self) -> bool:
        """Whether there is a process, be it one that ended unseen."""
        return self._process is not None

    @property
    def output(self) -> int:
        """File descriptor of what the process prints."""
        return self._output

    def read_lines(self) -> list[str] | None:
        """The lines printed since the last call, or None when nothing more can come."""
        try:
            chunk = os.read(self._output, LONGEST_LINE)
        except BlockingIOError:
            return []
        if not chunk:
            return None
        *lines, self._partial = (self._partial + chunk).split(b"\n")
        if len(self._partial) > LONGEST_LINE:
            lines.append(self._take_partial())
        return [_text(line) for line in lines]

    def last_lines(self) -> list[str]:
        """What the ended process had printed and nobody has read, a line without an end included."""
        lines = []
        while more := self.read_lines():
            lines += more
        return [*lines, _text(self._take_partial())] if self._partial else lines

    def exit_status(self) -> int | None:
        """How the process ended (negative: by that signal), or None while it runs.

        Whatever it left in its group is killed first, while its own process id is still taken: nobody else's
        group can have that number.
        """
        if self._process is None:
            return None
        if hasattr(os, "waitid"):
            options = os.WEXITED | os.WNOWAIT | os.WNOHANG
            if os.waitid(os.P_PID, self._process.pid, options) is None:
                return None
            self.kill()
            return self._process.wait()
        status = self._process.poll()
        if status is not None:
            self.kill()
        return status

    def gone(self) -> None:
        """Forgets the ended process."""
        os.close(self._output)
        self._process = None

    def start_again(self, *, at_once: bool) -> float:
        """Notes when to start it again and returns in how many seconds that is."""
        if at_once or time.monotonic() - self._started > SETTLED:
            self._pause = FIRST_PAUSE
        pause = 0.0 if at_once else self._pause
        if not at_once:
            self._pause = min(self._pause * 2, LONGEST_PAUSE)
        self.start_at = time.monotonic() + pause
        return pause

    def ask_to_end(self, *, within: float) -> None:
        """TERM to the process itself, which ends its own children in order. `within` seconds later: KILL."""
        self.kill_at = time.monotonic() + within
        if self._process is not None:
            self._process.terminate()

    def kill(self) -> None:
        """KILL to everything in the process's group, itself included."""
        if self._process is not None:
            # ProcessLookupError: nobody left. PermissionError: what macOS says of a group of zombies.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def _take_partial(self) -> bytes:
        partial, self._partial = self._partial, b""
        return partial


def _text(line: bytes) -> str:
    return line.decode(errors="replace").rstrip("\r")
