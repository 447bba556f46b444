"""What came of a set-up: JSON for programs, with every id, address and made secret; lines for people without any."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urljoin

from django.conf import settings

Outcome = Literal["created", "updated", "unchanged"]


@dataclass(frozen=True, slots=True)
class Done:
    """What became of one thing. `changed` names the fields that were given another value."""

    outcome: Outcome
    changed: tuple[str, ...] = ()


@dataclass
class Report:
    """Filled while it is done. In a dry run new things have no id and no secret, since none is kept."""

    dry_run: bool = False
    lines: list[str] = field(default_factory=list)
    is_changed: bool = False

    def note(self, what: str, done: Done) -> None:
        """A line on what became of `what`."""
        self.is_changed |= done.outcome != "unchanged"
        changed = f": {', '.join(done.changed)}" if done.outcome == "updated" else ""
        self.lines.append(f"{done.outcome:<9}  {what}{changed}")

    def say(self, line: str) -> None:
        """A line that calls for attention."""
        self.lines.append(f"note       {line}")

    def identity(self, public_id: Any, done: Done) -> str | None:
        """The id to show: none for what a dry run only pretended to make."""
        return None if self.dry_run and done.outcome == "created" else str(public_id)

    def secret(self, value: str) -> str | None:
        """A secret made in this run, or kept from an earlier one."""
        return None if self.dry_run else value


def public_address(path: str) -> str | None:
    """The address of `path` as strangers see it; None while PUBLIC_URL is not set."""
    return urljoin(f"{settings.PUBLIC_URL}/", path.lstrip("/")) if settings.PUBLIC_URL else None


def webhook_address(channel: str, account: Any) -> str | None:
    """Where the provider of a channel calls this account (by its public id)."""
    return public_address(f"webhooks/{channel}/{account}")


def accounts_of(found: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """All channel accounts of a set-up's JSON."""
    for customer in found["customers"]:
        for chatbot in customer["chatbots"]:
            yield from chatbot["accounts"]
