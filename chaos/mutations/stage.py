"""A small system to play on: web and outside world once, workers for each play, everything forgotten in between.

SQLite and the server in the box, so that it runs wherever the tests do. Workers are started by hand and not
supervised: a play says itself who dies and when, and writes it down as the nemesis would.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from chaos import journal as journals
from chaos.checker import check
from chaos.journal import Journal
from chaos.supervisor import Program
from chaos.system import System, bot_of, spare_command, started
from chaos.upstream.telegram import FIRST_PERSON
from tests.fakes.telegram.webhooks import SECRET_HEADER
from tests.fakes.witness import Question
from tests.servers.processes import tail
from tests.waiting import wait_until

DEADLINE = 60.0
"""Seconds in which anything must have happened that does happen, on a busy machine."""
LEAST_PATIENCE, PATIENCE = 4.0, 4.0
"""How long a play on a broken system waits for its drain: at least, and as a multiple of what it takes when whole."""
# In this order: what points comes before what it points to.
FORGOTTEN = (
    "jobs_jobattempt", "jobs_job", "jobs_jobcounter", "jobs_worker", "jobs_seat", "jobs_idempotencykey",
    "accounts_usagerecord", "conversations_message", "conversations_conversation", "conversations_contact",
    "frontdoor_inboundevent",
)  # fmt: skip
RECORDS = (
    journals.WITNESS, journals.POSTED, journals.ACCEPTED, journals.REFUSED, journals.FAULTS, journals.PROCESSES
)  # fmt: skip
LANE_INDEX = (
    "CREATE UNIQUE INDEX IF NOT EXISTS job_lane_running ON jobs_job (lane) WHERE status = 'processing'"
)


class Stage:
    """`mutation`: what is broken in the processes that are started next; "" for nothing."""

    def __init__(self, system: System, directory: Path) -> None:
        self.system, self.directory = system, directory
        self.mutation = ""
        self.patience = DEADLINE
        self.longest_drain = 0.0
        self.workers: dict[str, Program] = {}
        self._web_mutation = ""
        self._updates = iter(range(2_000_000, 10**9))
        self._faults = iter(range(1, 10**9))

    # --- before and after a play ------------------------------------------------------------------

    def clear(self) -> None:
        """Nobody works, nothing is there, nothing was seen."""
        self.longest_drain = 0.0
        for program in self.workers.values():
            program.close(0.0)
        self.workers.clear()
        self.system.steer("hold", on=False)
        for bot in self.system.known["bots"]:
            self.system.steer("down", bot=bot)
        for table in FORGOTTEN:
            self.system.ledger.rows(f"DELETE FROM {table}")
        self.system.ledger.rows(LANE_INDEX)
        self.system.setup.redis.flushall()
        for name in RECORDS:
            if (self.directory / name).exists():
                with (self.directory / name).open("r+") as file:
                    file.truncate()  # who appends goes on at the new end
        for log in self.directory.glob("worker-*.log"):
            log.unlink()

    def findings(self) -> dict[str, list[str]]:
        """What the checker finds broken, by invariant."""
        return {one.name: one.broken for one in check(self.directory) if not one.ok}

    # --- who plays ------------------------------------------------------------------------------------

    def web(self) -> None:
        """The web, broken like the rest."""
        if self._web_mutation != self.mutation:
            web = self.system.supervisor.kept["web"]
            assert isinstance(web, Program)
            web.env = {**web.env, "MUTATION": self.mutation}
            before = web.process
            web.process.sweep_away()  # the supervisor starts it again
            wait_until(lambda: web.process is not before and self.system.answers(), DEADLINE, "the web")
            self._web_mutation = self.mutation

    def worker(self, name: str, *, lease: float | None = None) -> Program:
        """Start one for all queues; `ready` waits for it."""
        env = {"MUTATION": self.mutation, **({"MUTATION_LEASE": str(lease)} if lease else {})}
        program = self.system.program(f"worker-{name}", spare_command(name))
        program.env.update(env)
        program.start()
        self.workers[name] = program
        return program

    def ready(self, *names: str) -> None:
        """Until these are in the ledger."""
        for name in names:
            program = self.workers[name]

            def there(program: Program = program) -> bool:
                if program.pid is None:
                    raise RuntimeError(
                        f"{program.name} has ended:\n{tail(self.directory / f'{program.name}.log')}"
                    )
                query = "SELECT count(*) AS n FROM jobs_worker WHERE pid = %s AND ended_at IS NULL"
                return bool(self.system.ledger.one(query, program.pid))

            wait_until(there, DEADLINE, f"{program.name} to register", interval=0.1)

    def kill(self, name: str) -> None:
        """kill -9, and a line in the record."""
        program = self.workers.pop(name)
        assert program.process
        program.process.kill9()
        program.close(0.0)
        line = {"name": program.name, "kind": "program", "moment": "end", "pid": program.process.pid}
        self._write(journals.PROCESSES, {"at": time.time(), **line, "status": -9})

    @contextmanager
    def stopped(self, name: str) -> Iterator[None]:
        """SIGSTOP, never in the middle of a write: that would hold the whole of SQLite."""
        program, number = self.workers[name], next(self._faults)
        assert program.process
        line = {"id": number, "kind": "stop_worker", "target": program.name}
        self._write(journals.FAULTS, {**line, "begin": time.time()})
        program.process.stop()
        while not self.system.ledger.is_writable():
            program.process.resume()
            program.process.stop()
        try:
            yield
        finally:
            program.process.resume()
            self._write(journals.FAULTS, {**line, "end": time.time()})

    # --- what happens ---------------------------------------------------------------------------------

    def ask(self, *conversations: int, each: int = 1) -> list[Question]:
        """Post so many questions to each; an even conversation is of the bot that sends again, an odd one of the bot
        that asks a person."""
        asked = [Question("play", number, place) for number in conversations for place in range(each)]
        for question in asked:
            self.system.ask(question)
        return asked

    def webhook(self, question: Question, *, times: int) -> None:
        """Telegram tells of this message so many times."""
        bot, person = bot_of(question), FIRST_PERSON + question.conversation
        known, number = self.system.known["bots"][bot], next(self._updates)
        who = {"id": person, "is_bot": False, "first_name": "P"}
        chat = {"id": person, "type": "private", "first_name": "P"}
        message = {
            "message_id": number,
            "date": int(time.time()),
            "chat": chat,
            "from": who,
            "text": question.text,
        }
        line = {
            "run": question.run,
            "conversation": question.conversation,
            "place": question.place,
            "bot": bot,
        }
        posted = time.time()
        self._write(journals.POSTED, {"at": posted, "how": "webhook", **line})
        for _ in range(times):
            requests.post(
                f"{self.system.url}/webhooks/telegram/{known['account']}",
                json={"update_id": number, "message": message},
                headers={SECRET_HEADER: known["secret"]},
                timeout=30,
            ).raise_for_status()
        accepted = {"at": time.time(), "posted": posted, "id": None, "how": "webhook", **line}
        self._write(journals.ACCEPTED, accepted)

    def held(self, at_least: int) -> None:
        """Until so many sends are kept from being answered."""
        wait_until(lambda: self.system.held() >= at_least, DEADLINE, f"{at_least} sends under way")

    def drain(self) -> None:
        """Wait until nothing is left, as long as this play has patience."""
        begun = time.monotonic()
        self.system.drained(self.patience)
        self.longest_drain = max(self.longest_drain, time.monotonic() - begun)

    def _write(self, name: str, line: dict[str, Any]) -> None:
        journal = Journal(self.directory / name)
        journal.write(line)
        journal.close()


@contextmanager
def built(directory: Path) -> Iterator[Stage]:
    env = {
        "EXTRA_APPS": "chaos.mutations",
        "BREAKER_CHAT": "3/2",  # three failures, two seconds
        "TELEGRAM_TIMEOUT_SECONDS": "14",  # the most: no send here ends because the machine is busy
        "LOG_LEVEL": "INFO",
    }
    with started("embedded", directory, env, calm=True, processes=("web",)) as system:
        stage = Stage(system, directory.resolve())
        try:
            yield stage
        finally:
            for program in stage.workers.values():
                program.close(0.0)
