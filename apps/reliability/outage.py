"""Something we can do without is away: said once in the log, asked again after a moment, said once when it is back.

if outage.quiet():
    return
try:
    ask()
except (redis.RedisError, OSError) as error:
    outage.began(error)
else:
    outage.ended()
"""

import threading
import time

import structlog

logger = structlog.get_logger(__name__)

# After a failure nobody asks for this long, so that an address that swallows packets doesn't hold up every caller.
QUIET_SECONDS = 1.0


class Outage:
    """Whether one thing is away, for this process. Fit for threads.

    The log lines are `<name>_unavailable`, with `consequence` for people, and `<name>_available`.
    """

    def __init__(self, name: str, consequence: str) -> None:
        self.name = name
        self.consequence = consequence
        self._lock = threading.Lock()
        self._until: float | None = None

    def quiet(self) -> bool:
        """Whether it failed so recently that asking again isn't worth it."""
        until = self._until
        return until is not None and time.monotonic() < until

    def began(self, error: Exception) -> None:
        """It did not answer."""
        with self._lock:
            first = self._until is None
            self._until = time.monotonic() + QUIET_SECONDS
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
