"""Deciding about dead letters, one transaction each: the desk acts, the admin's log says who and why."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.contrib import messages
from django.db import transaction

from apps.jobs import desk
from apps.jobs.models import Job
from apps.reliability.encryption import DecryptionError

VERBS = ("retry", "discard", "arrived")
LONGEST_REASON = 1000
DONE_WORDS = {"retry": "tried again", "discard": "discarded", "arrived": "closed: it arrived"}
CANT_WORDS = {
    "retry": "can't be tried again",
    "discard": "can't be discarded",
    "arrived": "can't be closed as arrived",
}
Log = Callable[[Job, str], None]


@dataclass(slots=True)
class Outcome:
    """What became of the dead letters of one decision."""

    verb: str
    done: int = 0
    gone: int = 0
    """Somebody else had decided already."""
    new: list[int] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    def words(self) -> list[tuple[int, str]]:
        """What to tell the person, each with its level."""
        said = []
        if self.done:
            as_new = f" as job #{self.new[0]}" if self.done == 1 and self.new else ""
            said.append((messages.SUCCESS, f"{self.done} {DONE_WORDS[self.verb]}{as_new}."))
        if self.gone:
            others = "One was" if self.gone == 1 else f"{self.gone} were"
            said.append(
                (
                    messages.WARNING,
                    f"{others} closed already, by somebody else or by a second click: nothing done.",
                )
            )
        said += [(messages.ERROR, text) for text in self.refused[:10]]
        if len(self.refused) > 10:
            said.append(
                (messages.ERROR, f"… and {len(self.refused) - 10} more that {CANT_WORDS[self.verb]}.")
            )
        return said


def decide(letters: Sequence[Job], *, verb: str, by: Any, why: str, log: Log) -> Outcome:
    """Retry, discard or close as arrived each of `letters`; none of them stops the others. `by` is the user."""
    outcome = Outcome(verb)
    why = " ".join(why.replace("\x00", "").split())[:LONGEST_REASON]
    for letter in letters:
        try:
            with transaction.atomic():
                log(letter, _act(letter, verb, by.get_username(), why, outcome))
        except desk.NotADeadLetter:
            outcome.gone += 1
        except (LookupError, ValueError, DecryptionError) as error:
            # Its task is gone, or its payload no longer fits the task: nothing was changed.
            text = str(error.args[0]) if error.args else type(error).__name__
            outcome.refused.append(f"{letter} {CANT_WORDS[verb]}: {text}")
        else:
            outcome.done += 1
    return outcome


def _act(letter: Job, verb: str, by: str, why: str, outcome: Outcome) -> str:
    reason = f" Reason: {why}" if why else " No reason given."
    if verb == "discard":
        desk.discard(job=letter, by=by, why=why or "discarded")
        return f"Discarded.{reason}"
    if verb == "arrived":
        desk.arrived(job=letter, by=by, why=why)
        return f"Closed: it arrived.{reason}"
    made = desk.retry(job=letter, by=by, why=why)
    outcome.new.append(made.id)
    return f"Tried again as job #{made.id}.{reason}"
