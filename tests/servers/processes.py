"""A child process in its own group, its output in one log file, and every way to hurt it."""

import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from tests.waiting import wait_until

REPOSITORY = Path(__file__).resolve().parents[2]


_any = random.SystemRandom()


def free_port() -> int:
    """A port that nobody listens on. Not one that the kernel gives to outgoing connections (32768 and up on Linux):
    one of those would be gone when a server that was killed is started again."""
    while True:
        port = _any.randrange(20_000, 32_768)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def accepts(port: int) -> bool:
    """Whether somebody listens on this port of the loopback."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2):
            return True
    except OSError:
        return False


def tail(log: Path, lines: int = 40) -> str:
    """The end of a log, for the message of a failing test."""
    if not log.exists():
        return "(no log)"
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


def unprivileged() -> tuple[int, int] | None:
    """User and group for a server that refuses to run as root; None where we are not root."""
    if os.name != "posix" or os.geteuid() != 0:
        return None
    import pwd

    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            entry = pwd.getpwnam(name)
            return entry.pw_uid, entry.pw_gid
    raise RuntimeError("there is no unprivileged user to run a server as")


class Process:
    """Started on construction. `kill9` hits this one process, as the kernel's OOM killer would."""

    def __init__(
        self,
        argv: Sequence[str],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path = REPOSITORY,
        user: tuple[int, int] | None = None,
    ) -> None:
        self.argv, self.log = list(argv), log
        with log.open("ab") as out:
            self._popen = subprocess.Popen(
                self.argv,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=dict(os.environ if env is None else env),
                cwd=cwd,
                start_new_session=True,
                user=user[0] if user else None,
                group=user[1] if user else None,
                extra_groups=[] if user else None,
            )
        self.pid = self._popen.pid

    @property
    def returncode(self) -> int | None:
        return self._popen.poll()

    @property
    def alive(self) -> bool:
        return self.returncode is None

    def signal(self, number: int) -> None:
        if self.alive:
            os.kill(self.pid, number)

    def signal_group(self, number: int) -> None:
        """As `signal`, to everything that it has started as well."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def kill9(self) -> float:
        """Kill and reap; returns the moment (`time.time()`) of the kill."""
        moment = time.time()
        self.signal(signal.SIGKILL)
        self._popen.wait(10)
        return moment

    def stop(self) -> None:
        self.signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.signal(signal.SIGCONT)

    def terminate(self, deadline: float = 30.0) -> float:
        """SIGTERM, then wait for the end: returns the seconds that it took."""
        begun = time.monotonic()
        self.signal(signal.SIGTERM)
        wait_until(lambda: not self.alive, deadline, f"the end of {self.argv} after SIGTERM")
        return time.monotonic() - begun

    def wait_for_end(self, deadline: float) -> int:
        wait_until(lambda: not self.alive, deadline, f"the end of {self.argv}")
        return self._popen.returncode

    def sweep_away(self) -> None:
        """Kill the whole group: what a test leaves behind must not outlive it."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):
            self._popen.wait(5)

    def rss_mb(self) -> float:
        """Resident memory now, in MB (Linux; 0.0 elsewhere)."""
        status = Path(f"/proc/{self.pid}/status")
        if sys.platform != "linux" or not status.exists():
            return 0.0
        for line in status.read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        return 0.0


def living_with(variable: str, value: str) -> list[int]:
    """The pids of all processes that have this in their environment (Linux; none elsewhere)."""
    wanted, found = f"{variable}={value}".encode(), []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if wanted in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
        except OSError:
            continue  # gone, or somebody else's
    return found


def run(
    argv: Sequence[str], *, env: Mapping[str, str] | None = None, user: tuple[int, int] | None = None
) -> str:
    """Run a short command to its end and return what it printed; its output is the error when it fails."""
    done = subprocess.run(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
        env=dict(os.environ if env is None else env),
        cwd=REPOSITORY,
        user=user[0] if user else None,
        group=user[1] if user else None,
        extra_groups=[] if user else None,
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(argv)} ended with {done.returncode}:\n{done.stdout}")
    return done.stdout
