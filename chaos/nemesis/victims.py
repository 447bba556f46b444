"""The system as the nemesis sees it: pids, addresses, the database's and the broker's own doors."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import requests

from chaos import journal as journals
from tests.servers.ledger import Ledger

STARTED = 15.0
"""Seconds to wait for a victim that is just being started again."""


class Skipped(Exception):
    """This fault can't be done here; the message says why."""


class Victims:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.known: dict[str, Any] = journals.get(directory / journals.SYSTEM)
        self.setup: str = self.known["setup"]
        self.env: dict[str, str] = self.known["env"]
        self.ledger = Ledger(self.known["database_url"])
        self._session = requests.Session()
        self._session.trust_env = False

    def pid(self, name: str) -> int:
        """The pid of a process that runs now. Raises Skipped when there is none for a while."""
        until = time.monotonic() + STARTED
        while time.monotonic() < until:
            found = journals.get(self.directory / journals.PIDS).get(name)
            if found and _runs(found):
                return int(found)
            time.sleep(0.1)
        raise Skipped(f"{name} is not running")

    def signal(self, name: str, number: int, *, group: bool = False) -> int:
        """To the process, or to its whole group; its pid."""
        pid = self.pid(name)
        with suppress(ProcessLookupError):
            (os.killpg if group else os.kill)(pid, number)
        return pid

    def registered(self, pid: int) -> bool:
        """Whether a worker with this pid is in the ledger: from then on it claims."""
        with suppress(Exception):
            return self.ledger.is_alive(pid)
        return False

    def kill(self, name: str, *, group: bool = False) -> None:
        self.signal(name, signal.SIGKILL, group=group)

    def steer(self, what: str, **wanted: Any) -> None:
        url = f"{self.known['upstream']['control']}/{what}"
        self._session.put(url, json=wanted, timeout=10).raise_for_status()


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
