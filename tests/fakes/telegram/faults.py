"""What can go wrong between a bot and Telegram, on demand."""

from dataclasses import dataclass
from threading import Lock
from typing import Any


@dataclass
class Fault:
    """One way to fail, for the next `times` calls (None: until they are cleared) of `method` (""; any) to `chat_id`.

    status        answer this instead of doing anything, with `description` and, for 429, `retry_after`
    cut           "before": hang up without doing anything; "after": do it, then hang up
    delay         do it, but answer only after so many seconds
    raw           do it, but answer these bytes (with `status`, or 200): a proxy's page, half a JSON
    name          what the record calls it
    """

    method: str = ""
    times: int | None = 1
    chat_id: int | None = None
    status: int = 0
    description: str = ""
    retry_after: int = 0
    cut: str = ""
    delay: float = 0.0
    raw: bytes | None = None
    name: str = ""

    def fits(self, method: str, parameters: dict[str, Any]) -> bool:
        same_method = not self.method or self.method.lower() == method.lower()
        return same_method and (self.chat_id is None or str(parameters.get("chat_id")) == str(self.chat_id))


class Faults:
    """The faults that wait for their call."""

    def __init__(self) -> None:
        self._waiting: list[Fault] = []
        self._lock = Lock()

    def add(self, fault: Fault) -> None:
        with self._lock:
            self._waiting.append(fault)

    def clear(self) -> None:
        with self._lock:
            self._waiting.clear()

    def take(self, method: str, parameters: dict[str, Any]) -> Fault | None:
        """The fault for this call, if one waits."""
        with self._lock:
            for fault in self._waiting:
                if fault.fits(method, parameters):
                    if fault.times is not None:
                        fault.times -= 1
                        if fault.times <= 0:
                            self._waiting.remove(fault)
                    return fault
        return None
