"""A Switchboard on one broker: its workers, a process that makes jobs, and the record of the bells that were heard."""

import itertools
import json
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis

from apps.jobs import bell
from tests.brokers.brokers import Broker
from tests.fakes.witness import Witness
from tests.servers.processes import REPOSITORY, Process, tail
from tests.servers.switchboard import PYTHON, QUEUES, Switchboard, Worker
from tests.waiting import wait_until

NEIGHBOUR, GOOD = "survival.neighbour", "survival-good"
STUCK, BAD = "survival.never_ends", "survival-bad"
_runs = itertools.count(1)


class _Setup:
    """What Switchboard asks of a set-up."""

    def __init__(self, broker: Broker, database_url: str) -> None:
        self.name, self.database_url, self.broker_url = broker.name, database_url, broker.broker_url
        self.redis = type("Redis", (), {"url": broker.redis_url})


class Hand:
    """The process of tests/brokers/hand.py."""

    def __init__(self, env: dict[str, str], log: Path) -> None:
        self.log = log
        with log.open("ab") as out:
            self._popen = subprocess.Popen(
                [PYTHON, "-m", "tests.brokers.hand"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=out,
                env=env,
                cwd=REPOSITORY,
                text=True,
                start_new_session=True,
            )
        self._read()

    def _read(self) -> Any:
        assert self._popen.stdout
        while line := self._popen.stdout.readline():
            if line.startswith(("[", '"ready', '{"begun')):  # anything else is a line of its log
                return json.loads(line)
            with self.log.open("a") as log:
                log.write(line)
        raise AssertionError(f"the hand has ended\n{tail(self.log)}")

    def ask(self, **what: Any) -> Any:
        assert self._popen.stdin
        self._popen.stdin.write(json.dumps(what) + "\n")
        self._popen.stdin.flush()
        return self._read()

    def make(self, task: str, payloads: list[dict[str, Any]], *, lanes: int = 0, **options: Any) -> list[int]:
        made: list[int] = self.ask(do="make", task=task, payloads=payloads, lanes=lanes, options=options)
        return made

    def bells(self) -> dict[str, int]:
        found: dict[str, int] = self.ask(do="bells")
        return found

    def wait_rung(self) -> None:
        """Until everything that was to be published is, or has failed."""

        def quiet() -> bool:
            now = self.bells()
            return now["begun"] == now["ended"] > 0

        wait_until(quiet, 30, "the ringer to be done")

    def close(self) -> None:
        self._popen.kill()
        self._popen.wait(10)
        for pipe in (self._popen.stdin, self._popen.stdout):
            if pipe:
                pipe.close()


class Site:
    def __init__(
        self,
        broker: Broker,
        database_url: str,
        directory: Path,
        witness: Witness,
        *,
        redis_url: str | None = None,
    ) -> None:
        """`redis_url`: a Redis for limits and bell keys that is not the broker's."""
        directory.mkdir(parents=True, exist_ok=True)
        self.broker, self.witness = broker, witness
        self.record = directory / "bells.jsonl"
        self.record.touch()
        self.home = Switchboard(_Setup(broker, database_url), directory, witness)  # type: ignore[arg-type]
        self.home.env.update(
            broker.env,
            REDIS_URL=redis_url or broker.redis_url,
            EXTRA_APPS="tests.fakes.jobtasks,tests.fakes.bells",
            BELLS_RECORD=str(self.record),
            LOG_FORMAT="json",
            VAR_DIR=str(directory),
        )
        self.ledger = self.home.ledger
        self._hand: Hand | None = None

    def prepare(self, *, tables: bool = True) -> None:
        if tables:
            self.home.manage("migrate", "-v", "0")
        self.home.manage("create_queues")

    @property
    def hand(self) -> Hand:
        if self._hand is None:
            self._hand = Hand(self.home.env, self.home.directory / "hand.log")
        return self._hand

    def make(self, count: int = 1, *, lanes: int = 0) -> str:
        """Make jobs, dealt out to so many lanes; the name by which the witness knows their calls."""
        run_name = f"run{next(_runs)}"
        payloads = [{"number": number, "run": run_name} for number in range(count)]
        self.hand.make(NEIGHBOUR, payloads, lanes=lanes)
        return run_name

    def marks(self, run_name: str) -> list[int]:
        """The numbers of the jobs that called outside, in the order of their calls."""
        return [int(call.body["number"]) for call in self.witness.calls("mark", run=run_name)]

    def ring(
        self, *, times: int = 1, args: list[Any] | None = None, task: str = NEIGHBOUR, queue: str = GOOD
    ) -> None:
        """A bell by hand, past the ringer and its key."""
        app = self.broker.stranger([queue])
        try:
            with app.producer_or_acquire() as producer:
                for _ in range(times):
                    app.send_task(task, args=args, queue=queue, producer=producer, ignore_result=True)
        finally:
            app.close()

    def heard(self, task: str = NEIGHBOUR, pid: int | None = None) -> list[dict[str, Any]]:
        """The bells of `task` that workers (or this one) heard."""
        found = [json.loads(line) for line in self.record.read_text().splitlines()]
        return [bell for bell in found if bell["task"] == task and pid in (None, bell["pid"])]

    def wait_heard(self, more_than: int, deadline: float = 60.0) -> list[dict[str, Any]]:
        self.ledger.wait_until(
            lambda: len(self.heard()) > more_than, deadline, f"more than {more_than} bells\n{self.logs()}"
        )
        self.wait_answered()
        return self.heard()

    def wait_answered(self) -> None:
        """Until the next job rings: while a bell is on its way, others are not rung."""
        with redis.Redis.from_url(self.home.env["REDIS_URL"]) as client:
            wait_until(lambda: not client.exists(bell.KEY + NEIGHBOUR), 30, "the bell to be answered")

    def logs(self) -> str:
        return "\n".join(tail(log, 12) for log in self.home.directory.glob("*.log"))

    @contextmanager
    def worker(self, name: str, *, queues: Iterable[str] = (GOOD,), **more: Any) -> Iterator[Worker]:
        with self.home.worker(name, queues=tuple(queues), **more) as worker:
            yield worker

    def celery(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [PYTHON, "-m", "celery", "-A", "project", *arguments],
            env=self.home.env,
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def flower(self, port: int) -> Process:
        env = {**self.home.env, "FLOWER_BASIC_AUTH": "eve:flower-pw", "FLOWER_PORT": str(port)}
        command = [
            PYTHON,
            "-m",
            "celery",
            "-A",
            "project",
            "flower",
            "--conf=apps/operations/flowerconfig.py",
        ]
        return Process(command, log=self.home.directory / "flower.log", env=env)

    def tidy(self) -> None:
        """What a test left waiting is closed, and what it left in the broker is gone."""
        self.witness.behave_again()
        if self.ledger.live():
            self.ledger.rows(
                "UPDATE jobs_job SET status = 'failed', failure_reason = 'cancelled', closed_at = CURRENT_TIMESTAMP,"
                " finished_at = CURRENT_TIMESTAMP WHERE status IN ('pending', 'processing', 'retry')"
            )
        self.broker.flush(QUEUES[-2:])

    def close(self) -> None:
        if self._hand:
            self._hand.close()
        self.home.close()
