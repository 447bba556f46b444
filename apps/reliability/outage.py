"""Something is away: said once in the log, not asked by everybody meanwhile, said once when it is back.

if outage.quiet():
    return
try:
    ask()
except (redis.RedisError, OSError) as error:
    outage.began(error)
else:
    outage.ended()

With a `probe` nobody who is in a hurry finds out whether it is back: a thread asks, one question at a time. Without
one, each second one caller may.
"""

import threading
import time
from collections.abc import Callable

import structlog

logger = structlog.get_logger(__name__)

# After a failure nobody asks for this long, so that an address that swallows packets doesn't hold up every caller.
QUIET_SECONDS = 1.0
PROBE_EVERY = 0.5
"""Seconds between two probes."""
ASKING_SECONDS = 5.0
"""How long the one who asks keeps the others quiet, if it never tells how it went."""


class Outage:
    """Whether one thing is away, for this process. Fit for threads.

    The log lines are `<name>_unavailable`, with `consequence` for people, and `<name>_available`. `probe` returns when
    the thing answers and raises while it doesn't.
    """

    def __init__(self, name: str, consequence: str, probe: Callable[[], object] | None = None) -> None:
        self.name = name
        self.consequence = consequence
        self._probe = probe
        self._lock = threading.Lock()
        self._until: float | None = None  # others change it at any moment: read it once where it decides
        self._prober: threading.Thread | None = None

    def quiet(self) -> bool:
        """Whether it is away and asking isn't yours to do. Without a probe, False means: you are the one who asks."""
        until = self._until
        if until is None or self._probe is not None:
            return until is not None
        with self._lock:
            until = self._until
            if until is None or time.monotonic() < until:
                return until is not None
            self._until = time.monotonic() + ASKING_SECONDS
            return False

    def began(self, error: Exception) -> None:
        """It did not answer."""
        with self._lock:
            first = self._until is None
            self._until = time.monotonic() + QUIET_SECONDS
            if self._probe is not None and self._prober is None:
                self._prober = threading.Thread(target=self._ask, name=f"probe-{self.name}", daemon=True)
                self._prober.start()
        if first:
            logger.warning(f"{self.name}_unavailable", error=str(error), consequence=self.consequence)

    def ended(self) -> None:
        """It answered. Costs nothing as long as all is well."""
        if self._until is None:
            return
        with self._lock:
            was_away, self._until = self._until is not None, None
        if was_away:
            logger.info(f"{self.name}_available")

    def _ask(self) -> None:
        """The prober: ends with the outage."""
        waiting, probe = threading.Event(), self._probe
        while probe is not None and self._goes_on():
            waiting.wait(PROBE_EVERY)
            try:
                probe()
            except Exception as error:
                logger.debug(f"{self.name}_still_unavailable", error=str(error))
            else:
                self.ended()

    def _goes_on(self) -> bool:
        with self._lock:  # so that an outage that begins now finds either this prober at work or none
            if self._until is None:
                self._prober = None
            return self._until is not None
