"""A whole Switchboard per set-up, started when the first test asks for it and kept for the session.

Servers and the web process are shared by the tests of a set-up; workers are each test's own. What a failing test
leaves waiting is closed before the next one begins, so that one failure doesn't become ten.
"""

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import cached_property
from itertools import count
from pathlib import Path

import pytest
import requests

from tests.fakes.witness import Question, Witness
from tests.servers.postgres import PostgresServer
from tests.servers.rabbitmq import RabbitServer
from tests.servers.setups import Setup
from tests.servers.switchboard import Switchboard
from tests.waiting import wait_until

_runs = count(1)


def new_run() -> str:
    """A name for one test's questions, so that the witness can tell them from everybody else's."""
    return f"r{next(_runs)}"


def on(*names: str) -> pytest.MarkDecorator:
    """Run the test on these set-ups only."""
    return pytest.mark.parametrize("setup_name", names)


class Houses:
    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._open: dict[str, Switchboard] = {}
        self._stack = ExitStack()
        self.close = self._stack.close

    @cached_property
    def postgres(self) -> PostgresServer:
        server = PostgresServer()
        self._stack.callback(server.remove)
        return server

    @cached_property
    def rabbit(self) -> RabbitServer:
        server = RabbitServer()
        self._stack.callback(server.remove)
        return server

    def get(self, name: str) -> Switchboard:
        if name not in self._open:
            directory = self._directory / name
            directory.mkdir(exist_ok=True)
            postgres = self.postgres if "postgres" in name else None
            rabbit = self.rabbit if "rabbitmq" in name else None
            setup = Setup(name, directory, postgres, rabbit)
            self._stack.callback(setup.remove)
            house = Switchboard(setup, directory, self._stack.enter_context(Witness(directory)))
            self._stack.callback(house.close)
            house.prepare()
            house.start_web()
            self._open[name] = house
        return self._open[name]

    def tidy(self, house: Switchboard) -> None:
        """After a test, when its workers are gone: let go what is held, close what is left."""
        house.witness.behave_again()
        try:
            wait_until(lambda: not house.strays(), 10, "the workers' own children to be gone")
        finally:
            for pid in house.strays():
                os.kill(pid, signal.SIGKILL)
        if house.ledger.live():
            house.ledger.rows(
                "UPDATE jobs_job SET status = 'failed', failure_reason = 'cancelled', closed_at = CURRENT_TIMESTAMP,"
                " finished_at = CURRENT_TIMESTAMP WHERE status IN ('pending', 'processing', 'retry')"
            )


def pour(
    house: Switchboard,
    run: str,
    *,
    conversations: int,
    each: int,
    account: str = "send_again",
    first: int = 0,
    start_place: int = 0,
) -> list[Question]:
    """Post `each` questions to each of so many conversations: one after the other within a conversation, the
    conversations side by side. Returns what was answered 202, and fails on anything else."""

    def one(conversation: int) -> list[Question]:
        asked = [Question(run, conversation, start_place + place) for place in range(each)]
        with requests.Session() as session:
            session.trust_env = False
            session.headers.update(house.session.headers)
            for question in asked:
                house.ask(question, account=account, session=session)
        return asked

    with ThreadPoolExecutor(8) as pool:
        return [
            question for asked in pool.map(one, range(first, first + conversations)) for question in asked
        ]
