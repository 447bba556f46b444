"""Typed payloads: a task names a dataclass, and what is enqueued for it must fit.

Fields annotated `Annotated[str, Sensitive()]` are encrypted in the row and masked wherever a payload is shown.
"""

from __future__ import annotations

from dataclasses import asdict, is_dataclass
from functools import cached_property
from typing import Any, get_type_hints

import pydantic

from apps.reliability import encryption

MASK = "••••••"


class Sensitive:
    """Marks a text field of a payload as secret."""


class PayloadError(ValueError):
    """A payload that does not fit its task's type. Says which field and why, never the value."""


class PayloadType:
    """The type of one task's payloads; `kind` None takes any JSON object."""

    def __init__(self, task: str, kind: type | None) -> None:
        self.task, self.kind = task, kind

    @cached_property
    def _adapter(self) -> pydantic.TypeAdapter[Any]:
        return pydantic.TypeAdapter(self.kind or dict[str, Any])

    @cached_property
    def sensitive(self) -> frozenset[str]:
        """The names of the fields that are secret."""
        if self.kind is None:
            return frozenset()
        hints = get_type_hints(self.kind, include_extras=True)
        return frozenset(
            name
            for name, hint in hints.items()
            if any(isinstance(mark, Sensitive) for mark in getattr(hint, "__metadata__", ()))
        )

    def dump(self, payload: Any) -> dict[str, Any]:
        """Check `payload` (the dataclass or a dict) and return what the row keeps. Raises PayloadError."""
        if self.kind is None:
            if not isinstance(payload, dict):
                raise PayloadError(f"{self.task}: a payload is a JSON object, not {type(payload).__name__}")
            return payload
        plain: dict[str, Any]
        if is_dataclass(payload) and not isinstance(payload, type) and isinstance(payload, self.kind):
            plain = asdict(payload)
        else:
            plain = self._adapter.dump_python(self._check(payload), mode="json")
        for name in self.sensitive:
            plain[name] = encryption.encrypt(plain[name])
        return plain

    def load(self, payload: dict[str, Any]) -> Any:
        """Return the payload as the task's type, or as it is. Raises PayloadError, encryption.DecryptionError."""
        if self.kind is None:
            return payload
        plain = {
            **payload,
            **{name: encryption.decrypt(payload[name]) for name in self.sensitive & payload.keys()},
        }
        return self._check(plain)

    def masked(self, payload: Any) -> dict[str, Any]:
        """Return the payload as people may see it. A row that is no object shows nothing."""
        if not isinstance(payload, dict):
            return {}
        return {name: MASK if name in self.sensitive else value for name, value in payload.items()}

    def _check(self, payload: Any) -> Any:
        try:
            return self._adapter.validate_python(payload)
        except pydantic.ValidationError as error:
            faults = "; ".join(
                f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_input=False)
            )
            raise PayloadError(f"{self.task}: {faults}") from None
