"""Roads: where questions come in and answers go out, so that one fault can be tried on each of them.

Half the conversations belong to an account that sends again when nobody knows whether a message arrived, half to one
that asks a person.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from tests.fakes.witness import Call, Question
from tests.servers.switchboard import Switchboard
from tests.survival.houses import pour
from tests.survival.outcomes import SEND
from tests.waiting import wait_until

QUESTIONS = 200
Job = dict[str, Any]


class Road(Protocol):
    """`task` sends; `conversations`: how many of each account; the first half sends again."""

    house: Switchboard
    run: str
    task: str
    conversations: int

    def ask_both(self, *, each: int, start_place: int = 0) -> list[Question]:
        """The same number of questions to both accounts; returns what was accepted."""
        ...

    def sends(self) -> list[Call]: ...

    def behave(self, **manners: float | bool) -> None:
        """How sends are answered: delay, hold."""
        ...

    def held(self) -> int:
        """Sends that are kept from being answered."""
        ...


class ApiRoad:
    """In by the messages API, out by the recording channel."""

    task, conversations = SEND, 10

    def __init__(self, house: Switchboard, run: str) -> None:
        self.house, self.run = house, run

    def ask_both(self, *, each: int, start_place: int = 0) -> list[Question]:
        number = self.conversations
        return [
            *pour(self.house, self.run, conversations=number, each=each, start_place=start_place),
            *pour(
                self.house,
                self.run,
                conversations=number,
                each=each,
                account="ask_person",
                first=number,
                start_place=start_place,
            ),
        ]

    def sends(self) -> list[Call]:
        return self.house.witness.sends(self.run)

    def behave(self, **manners: float | bool) -> None:
        self.house.witness.behave("send", **manners)

    def held(self) -> int:
        return self.house.witness.held("send")


@contextmanager
def killed_in_the_middle(road: Road, **victim_env: str) -> Iterator[tuple[list[Question], float, list[Job]]]:
    """Two workers; one has a send of every conversation under way when it is killed, in the middle of 200 messages.

    Gives what was accepted, the moment of the kill, and the jobs that the victim held.
    """
    house, open_sends = road.house, 2 * road.conversations
    # The other begins when all sends are held. They can't be held for as long as a busy machine starts a Python.
    gate = house.directory / f"{road.run}.begin"
    with (
        house.worker("victim", env=victim_env) as victim,
        house.worker("other", wait=False, env={"START_WHEN": str(gate)}) as other,
    ):
        road.behave(hold=True)
        accepted = road.ask_both(each=QUESTIONS // open_sends)
        assert len(accepted) == QUESTIONS
        road.behave(hold=False, delay=0.1)
        wait_until(lambda: len(road.sends()) >= 60, 60, "60 of 200 replies")
        road.behave(hold=True)
        # Answered by nobody until we say so: what the kill cuts off is exact.
        house.ledger.wait_until(lambda: road.held() == open_sends, 30, "every conversation to be in a send")
        gate.touch()
        house.wait_for_worker(other)
        held = house.ledger.held_by(victim.pid)
        assert len(sends_of(road, held)) == open_sends
        yield accepted, victim.process.kill9(), held


def sends_of(road: Road, jobs: list[Job]) -> list[Job]:
    return [job for job in jobs if job["task"] == road.task]


def each_as_its_owner_chose(road: Road, verdict: Any, unknown: Any, held: list[Job]) -> None:
    """What the victim was sending went out again where the owner said so, and waits for a person elsewhere."""
    assert len(verdict.repeated) + len(unknown) == len(sends_of(road, held))
    assert all(question.conversation < road.conversations for question in verdict.repeated)
    assert all(question.conversation >= road.conversations for question in unknown)
