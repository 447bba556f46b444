"""Switchboard's own processes, run as production runs them, against chosen servers in a chosen directory."""

import json
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

from tests.fakes.witness import Question, Witness
from tests.servers.ledger import Ledger
from tests.servers.processes import REPOSITORY, Process, accepts, free_port, living_with, run, tail
from tests.servers.setups import Setup
from tests.waiting import wait_until

PYTHON = sys.executable
SECRET_KEY = "planted-secret-key-0123456789-0123456789-0123456789-0123456789"
ENCRYPTION_KEY = "planted-encryption-key-0123456789-0123456789"
QUEUES = (
    *("incoming-messages", "ai-processing", "outgoing-messages", "maintenance"),
    *("recording-send", "reporting-send", "widget-send", "telegram-send", "survival-bad", "survival-good"),
)

OVERSLEPT = """
import sys
from datetime import timedelta
import django
django.setup()
from celery.beat import PersistentScheduler
from project.celery import app
scheduler = PersistentScheduler(app, schedule_filename=sys.argv[1])
for entry in scheduler.schedule.values():
    entry.last_run_at -= timedelta(seconds=float(sys.argv[2]))
scheduler.close()
"""


class Worker:
    """One Celery worker. `supervised`: started again whenever it ends by itself, as Procfile's runner would."""

    def __init__(
        self, home: "Switchboard", name: str, argv: list[str], env: dict[str, str], supervised: bool
    ) -> None:
        self.name, self.log = name, home.directory / f"worker-{name}.log"
        self._argv, self._env = argv, env
        self.deaths: list[int] = []
        self._done = threading.Event()
        self.process = Process(argv, log=self.log, env=env)
        self._guard = threading.Thread(target=self._watch, daemon=True) if supervised else None
        if self._guard:
            self._guard.start()

    @property
    def pid(self) -> int:
        return self.process.pid

    def close(self) -> None:
        self._done.set()
        if self._guard:
            self._guard.join(10)
        self.process.sweep_away()

    def _watch(self) -> None:
        while not self._done.wait(0.1):
            if not self.process.alive:
                self.deaths.append(int(self.process.returncode or 0))
                self.process.sweep_away()  # what the dead one left in its group
                self.process = Process(self._argv, log=self.log, env=self._env)


class Switchboard:
    def __init__(self, setup: Setup, directory: Path, witness: Witness) -> None:
        self.setup, self.directory, self.witness = setup, directory, witness
        self.ledger = Ledger(setup.database_url)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.env = {
            "PATH": f"{Path(PYTHON).parent}:/usr/local/bin:/usr/bin:/bin",
            "HOME": str(directory),
            "PYTHONUNBUFFERED": "1",
            "ENV_FILE": "/dev/null",
            "DJANGO_SETTINGS_MODULE": "project.settings",
            "HTTPS": "false",
            "SECRET_KEY": SECRET_KEY,
            "ENCRYPTION_KEYS": ENCRYPTION_KEY,
            "DATABASE_URL": setup.database_url,
            "REDIS_URL": setup.redis.url,
            "BROKER_URL": setup.broker_url,
            "EXTRA_CHANNELS": "recording=tests.fakes.plugin.RecordingChannel,"
            "reporting=tests.fakes.plugin.ReportingChannel",
            "EXTRA_AI_PROVIDERS": "recording=tests.fakes.plugin.RecordingProvider,"
            "words=tests.fakes.plugin.WordsProvider",
            "EXTRA_APPS": "tests.fakes.jobtasks",
            "EXTRA_QUEUES": "tests.fakes.jobtasks.queues.QUEUES",
            "STANDIN_URL": witness.url,
        }
        self._children: list[Worker] = []
        self._web: Process | None = None
        self._events: Process | None = None
        self._events_port = 0
        self.seeded: dict[str, str] = {}
        self.session = requests.Session()
        self.session.trust_env = False

    def prepare(self) -> None:
        """The tables, and the customer that the tests are."""
        self.manage("migrate", "-v", "0")
        self.seeded = json.loads(run([PYTHON, "-m", "tests.servers.seed"], env=self.env).splitlines()[-1])
        self.session.headers["Authorization"] = f"Bearer {self.seeded['api_key']}"

    # --- processes ------------------------------------------------------------------------------

    def manage(self, *arguments: str) -> str:
        return run([PYTHON, str(REPOSITORY / "manage.py"), *arguments], env=self.env)

    def start_events(self) -> str:
        """The process of the server-sent events; its address."""
        if self._events is None:
            self._events_port = self._events_port or free_port()
            self._events = Process(
                [
                    *(PYTHON, "-m", "granian", "--interface", "asgi", "--host", "127.0.0.1"),
                    *("--port", str(self._events_port), "--workers", "1", "project.asgi:application"),
                ],
                log=self.directory / "events.log",
                env=self.env,
            )
            wait_until(
                lambda: accepts(self._events_port), 30, f"events\n{tail(self.directory / 'events.log')}"
            )
        return f"http://127.0.0.1:{self._events_port}"

    def kill_events(self) -> None:
        """kill -9 of the live stream's process; `start_events` starts it again at the same address."""
        if self._events:
            self._events.sweep_away()
            self._events = None

    def start_web(self) -> Process:
        log = self.directory / "web.log"
        self._web = Process(
            [
                *(PYTHON, "-m", "granian", "--interface", "asgi", "--host", "127.0.0.1"),
                *("--port", str(self.port), "--workers", "1", "--no-ws", "project.asgi:application"),
            ],
            log=log,
            env=self.env,
        )
        try:
            wait_until(self._web_answers, 30, "the web process to answer")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{tail(log)}") from None
        return self._web

    def kill_web(self) -> None:
        """kill -9 of the server and of its worker processes at once, as when their container dies."""
        if self._web:
            self._web.sweep_away()

    @contextmanager
    def worker(
        self,
        name: str,
        *,
        queues: tuple[str, ...] = QUEUES,
        concurrency: int = 16,
        supervised: bool = False,
        env: dict[str, str] | None = None,
        wait: bool = True,
    ) -> Iterator[Worker]:
        """A worker of its own process group; gone at the end of the block, however it got there."""
        argv = [
            *(PYTHON, "-m", "celery", "-A", "project", "worker", "-P", "threads", "-c", str(concurrency)),
            *(
                "--without-gossip",
                "--without-mingle",
                "-l",
                "INFO",
                "-n",
                f"{name}@survival",
                "-Q",
                ",".join(queues),
            ),
        ]
        worker = Worker(self, name, argv, {**self.env, **(env or {})}, supervised)
        self._children.append(worker)
        try:
            if wait:
                self.wait_for_worker(worker)
            yield worker
        finally:
            worker.close()

    def wait_for_worker(self, worker: Worker, deadline: float = 40.0) -> None:
        """Until its row is in the ledger: from then on it claims, sweeps and takes back."""

        def registered() -> bool:
            if not worker.process.alive and worker._guard is None:
                raise RuntimeError(f"worker {worker.name} ended at once:\n{tail(worker.log)}")
            query = "SELECT count(*) AS n FROM jobs_worker WHERE pid = %s AND ended_at IS NULL"
            return bool(self.ledger.one(query, worker.pid))

        try:
            wait_until(registered, deadline, f"worker {worker.name} to register")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{tail(worker.log)}") from None

    def beat(self, name: str, *, asleep_for: float = 0.0) -> Process:
        """Celery's beat with a schedule file of its own. The caller sweeps it away.

        `asleep_for`: seconds since it last ran, as its file says, so that every shorter entry is overdue.
        """
        schedule = str(self.directory / f"{name}.db")
        if asleep_for:
            run([PYTHON, "-c", OVERSLEPT, schedule, str(asleep_for)], env=self.env)
        return Process(
            [
                *(PYTHON, "-m", "celery", "-A", "project", "beat", "-l", "INFO", "-s", schedule),
                *("--pidfile", str(self.directory / f"{name}.pid")),
            ],
            log=self.directory / f"{name}.log",
            env=self.env,
        )

    def strays(self) -> list[int]:
        """Processes of this house that should be gone: all but the servers, when no worker is meant to run."""
        kept = {server.pid for server in (self._web, self._events) if server}
        groups = {
            pid: os.getpgid(pid)
            for pid in living_with("HOME", str(self.directory))
            if Path(f"/proc/{pid}").exists()
        }
        return [pid for pid, group in groups.items() if group not in kept]

    def close(self) -> None:
        for child in self._children:
            child.close()
        for server in (self._web, self._events):
            if server:
                server.sweep_away()
        self.session.close()

    # --- the public side ------------------------------------------------------------------------

    def post(
        self,
        text: str,
        *,
        contact: str,
        account: str = "send_again",
        session: requests.Session | None = None,
        headers: dict[str, str] | None = None,
    ) -> requests.Response:
        return (session or self.session).post(
            f"{self.url}/api/v1/messages",
            json={"account": self.seeded[account], "contact": {"id": contact}, "text": text},
            headers=headers,
            timeout=30,
        )

    def ask(
        self, question: Question, *, account: str = "send_again", session: requests.Session | None = None
    ) -> str:
        """Post it; the id that the 202 names. Anything else but 202 is an error: it was not accepted."""
        answer = self.post(
            question.text, contact=f"{question.run}-{question.conversation}", account=account, session=session
        )
        assert answer.status_code == 202, f"{answer.status_code}: {answer.text[:500]}"
        return str(answer.json()["id"])

    def get(self, path: str) -> requests.Response:
        return self.session.get(f"{self.url}/api/v1/{path}", timeout=30)

    def _web_answers(self) -> bool:
        if self._web is not None and not self._web.alive:
            raise RuntimeError("the web process ended at once")
        try:
            return requests.get(f"{self.url}/api/v1/messages/none", timeout=2).status_code < 500
        except requests.RequestException:
            return False
