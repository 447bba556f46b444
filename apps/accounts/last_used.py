"""When each API key was last used, written beside the requests and never inside one.

1. A request notes its key: one entry in a dict, at most once a minute for each key.
2. A thread of the web process, started by `start()` from project/asgi.py, writes what was noted every few
   seconds. Without that thread (tests, commands) nothing is written until somebody calls `flush()`.

What was noted in the last seconds of a process that dies is lost: this is a hint for people who tidy up their
keys, not a record.
"""

import threading
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog
from django.db import DatabaseError, InterfaceError, connections
from django.utils import timezone

from apps.accounts.models import ApiKey

INTERVAL_SECONDS = 5.0
ONCE_IN = timedelta(minutes=1)
MOST_NOTED = 10_000

log = structlog.get_logger(__name__)


class LastUsed:
    """Collects uses; `now` gives the time, so that tests can move it."""

    def __init__(self, now: Callable[[], datetime] = timezone.now) -> None:
        self.now = now
        self._noted: dict[int, datetime] = {}
        self._written: dict[int, datetime] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()

    def note(self, key: ApiKey) -> None:
        """This key was used now. Touches no database and waits for nothing but a dict."""
        now = self.now()
        before = self._written.get(key.pk) or key.last_used_at
        if key.pk in self._noted or (before is not None and now - before < ONCE_IN):
            return
        with self._lock:
            if len(self._noted) < MOST_NOTED:
                self._noted[key.pk] = now

    def flush(self) -> int:
        """Write what was noted, one UPDATE for each key; returns how many were noted.

        Raises DatabaseError; what wasn't written is noted again by the keys' next use.
        """
        with self._lock:
            noted, self._noted = self._noted, {}
            if len(self._written) + len(noted) > MOST_NOTED:
                self._written = {}
            self._written.update(noted)
        try:
            for pk, at in noted.items():
                ApiKey.objects.filter(pk=pk).exclude(last_used_at__gte=at).update(last_used_at=at)
        except (DatabaseError, InterfaceError):
            with self._lock:
                for pk in noted:
                    self._written.pop(pk, None)
            raise
        return len(noted)

    def start(self) -> None:
        """Start the writing thread of this process, once."""
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._stop = threading.Event()
                self._thread = threading.Thread(target=self._run, name="api-key-last-used", daemon=True)
                self._thread.start()

    def stop(self) -> None:
        """End the thread; it writes what is noted first."""
        thread = self._thread
        self._stop.set()
        if thread is not None:
            thread.join(timeout=INTERVAL_SECONDS)

    def _run(self) -> None:
        stopped = False
        while not stopped:
            stopped = self._stop.wait(INTERVAL_SECONDS)
            if not self._noted:
                continue
            try:
                self.flush()
            except Exception:
                # Whatever it was: the thread must go on, and nobody waits for this write.
                log.warning("api key use not written", exc_info=True)
            finally:
                connections.close_all()


last_used = LastUsed()
