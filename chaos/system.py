"""The system under fire: Switchboard's own processes, from its Procfile, on servers of their own, supervised.

    with started("postgres-redis", directory, seed=1) as system:
        system.ask(Question("r1", 0, 0))
        system.drained(30)

Every line of the Procfile but Flower, and `spare`: one more worker, for all queues, so that each queue has two. Each
process has an address of Telegram of its own (/from/<name>), so that the witness knows who called.
"""

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import requests

from apps.operations.procfile import read_procfile
from chaos import journal as journals
from chaos.provisioning import found_in, setup_file
from chaos.servers import DISK_MEGABYTES, Servers, small_disk
from chaos.supervisor import Program, Supervisor
from chaos.upstream.telegram import BOTS, FIRST_PERSON
from tests.fakes.witness import Question
from tests.servers.ledger import Ledger
from tests.servers.processes import REPOSITORY, Process, free_port, run, tail
from tests.servers.switchboard import ENCRYPTION_KEY, PYTHON, SECRET_KEY
from tests.waiting import wait_until

TELEGRAM_TIMEOUT = 4.0
LATE = 6.0
SPARE = "worker-spare"
QUEUES = (
    "incoming-messages,ai-processing,outgoing-messages,telegram-send,widget-send,maintenance,chaos-poison"
)


def spare_command(name: str = "spare") -> str:
    return f"celery -A project worker -n {name}@%h -Q {QUEUES} -P threads -c 16 --without-gossip --without-mingle"


def bot_of(question: Question) -> str:
    """Conversations of each bot: nine in twenty each for `again` and `ask`, two for `hurry`."""
    place = question.conversation % 20
    return BOTS[2] if place >= 18 else BOTS[place % 2]


class System:
    """A running one. `extra_env` may add to EXTRA_APPS by naming apps of its own."""

    def __init__(self, servers: Servers, directory: Path, extra_env: Mapping[str, str]) -> None:
        self.servers, self.setup, self.directory = servers, servers.setup, directory
        self.ledger = Ledger(self.setup.database_url)
        self.port, self.events_port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.upstream = journals.get(directory / "upstream.json")
        apps = ["chaos.poison", *filter(None, [extra_env.get("EXTRA_APPS")])]
        self.env = {
            "PATH": f"{Path(PYTHON).parent}:/usr/local/bin:/usr/bin:/bin",
            "HOME": str(directory),
            "PYTHONUNBUFFERED": "1",
            "PYTHONPATH": str(REPOSITORY),
            "ENV_FILE": "/dev/null",
            "DJANGO_SETTINGS_MODULE": "project.settings",
            "VAR_DIR": str(directory / "var"),
            "HTTPS": "false",
            "SECRET_KEY": SECRET_KEY,
            "ENCRYPTION_KEYS": ENCRYPTION_KEY,
            "DATABASE_URL": self.setup.database_url,
            "REDIS_URL": self.setup.redis.url,
            "BROKER_URL": self.setup.broker_url,
            "TELEGRAM_TIMEOUT_SECONDS": str(TELEGRAM_TIMEOUT),
            "TELEGRAM_API_URL": self.upstream["telegram"],
            "PORT": str(self.port),
            "EVENTS_PORT": str(self.events_port),
            "WEB_WORKERS": "1",
            # A run is minutes long: breakers stay open for eight seconds at first, not for thirty.
            "BREAKER_CHAT": "5/8",
            "BREAKER_AI": "5/8",
            "PUBLIC_URL": self.url,
            **extra_env,
            "EXTRA_APPS": ",".join(apps),
            "EXTRA_QUEUES": extra_env.get("EXTRA_QUEUES", "chaos.poison.queues.QUEUES"),
        }
        self.supervisor = Supervisor(directory)
        self.session = requests.Session()
        self.session.trust_env = False
        self.known: dict[str, Any] = {}

    # --- its life -----------------------------------------------------------------------------

    def begin(self, processes: tuple[str, ...] | None = None) -> None:
        """Tables, customer, processes; returns when the web answers and a worker is registered.

        `processes`: only these lines of the Procfile; None: all of them, and the spare.
        """
        for server in self.servers.kept():
            self.supervisor.add(server, running=True)
        self.manage("migrate", "-v", "0")
        said = self.manage(
            "provision", "--file", str(setup_file(self.directory / "setup.toml", self.upstream))
        )
        self.known = found_in(said)
        self.session.headers["Authorization"] = f"Bearer {self.known['api_key']}"
        journals.put(self.directory / journals.SYSTEM, self.described())
        for name, command in self.lines().items():
            if processes is None or name in processes:
                self.supervisor.add(self.program(name, command))
        wait_until(self.answers, 90, f"the web to answer\n{tail(self.directory / 'web.log')}")
        workers = sum(name.startswith("worker") for name in self.supervisor.kept)
        wait_until(
            lambda: (
                self.ledger.one("SELECT count(*) AS n FROM jobs_worker WHERE ended_at IS NULL") >= workers
            ),
            120,
            f"{workers} workers to register",
            interval=0.2,
        )

    def lines(self) -> dict[str, str]:
        """Name and command of every program."""
        found = {line.name: line.command for line in read_procfile(REPOSITORY / "Procfile")}
        del found["flower"]
        return {**found, SPARE: spare_command()}

    def program(self, name: str, command: str) -> Program:
        env = {**self.env, "TELEGRAM_API_URL": f"{self.upstream['telegram']}/from/{name}"}
        return Program(name, command, env, self.directory)

    def described(self) -> dict[str, Any]:
        """What the producer, the nemesis and the checker need to know; the values of secrets are a test's own."""
        postgres, rabbit = self.servers.postgres, self.servers.rabbit
        return {
            "setup": self.setup.name,
            "url": self.url,
            **self.known,
            "upstream": self.upstream,
            "env": self.env,
            "database_url": self.setup.database_url,
            "database": self.setup.database,
            "postgres": postgres and {"data": str(postgres.data), "port": postgres.port},
            "redis_url": self.setup.redis.url,
            "rabbit_port": rabbit and rabbit.port,
            "disk": str(self.servers.disk),
            "no_disk": self.servers.no_disk,
            "spare": spare_command("skewed"),
        }

    def close(self) -> None:
        self.supervisor.close()
        self.session.close()

    # --- what can be asked of it --------------------------------------------------------------

    def manage(self, *arguments: str) -> str:
        return run([PYTHON, str(REPOSITORY / "manage.py"), *arguments], env=self.env)

    def answers(self) -> bool:
        try:
            return requests.get(f"{self.url}/api/v1/messages/none", timeout=2).status_code < 500
        except requests.RequestException:
            return False

    def ask(self, question: Question, *, bot: str = "") -> str:
        """Post it by the API; the id of the 202. It is written down as posted and accepted, as the producer does."""
        bot = bot or bot_of(question)
        posted = time.time()
        line = {"run": question.run, "conversation": question.conversation, "place": question.place}
        line |= {"bot": bot, "how": "api"}
        _append(self.directory / journals.POSTED, {"at": posted, **line})
        answer = self.session.post(
            f"{self.url}/api/v1/messages",
            json={
                "account": self.known["bots"][bot]["account"],
                "contact": {"id": str(FIRST_PERSON + question.conversation)},
                "text": question.text,
            },
            timeout=30,
        )
        if answer.status_code != 202:
            raise AssertionError(f"{answer.status_code}: {answer.text[:300]}")
        found = str(answer.json()["id"])
        _append(
            self.directory / journals.ACCEPTED, {"at": time.time(), "posted": posted, "id": found, **line}
        )
        return found

    def steer(self, what: str, **wanted: Any) -> None:
        """`steer("next", method="sendMessage", cut="after")`, `steer("hold", on=True)`: see upstream/steering.py."""
        url = f"{self.upstream['control']}/{what}"
        self.session.put(url, json=wanted, timeout=10).raise_for_status()

    def held(self) -> int:
        """Sends that are kept from being answered."""
        return int(self.session.get(f"{self.upstream['control']}/calls", timeout=10).json()["held"])

    def live(self) -> int:
        """Jobs that are waiting or running; -1 while the database does not answer."""
        with suppress(Exception):
            return self.ledger.live()
        return -1

    def drained(self, seconds: float) -> bool:
        """Wait until nothing is waiting or running, at two looks in a row; False when it takes longer."""
        until, calm = time.monotonic() + seconds, 0
        while time.monotonic() < until and calm < 2:
            calm = calm + 1 if self.live() == 0 else 0
            time.sleep(0.25)
        return calm >= 2


def _append(path: Path, line: dict[str, Any]) -> None:
    journal = journals.Journal(path)
    journal.write(line)
    journal.close()


@contextmanager
def started(
    setup: str,
    directory: Path,
    extra_env: Mapping[str, str] | None = None,
    *,
    seed: int = 1,
    calm: bool = False,
    processes: tuple[str, ...] | None = None,
) -> Iterator[System]:
    """The outside world, servers and system of a set-up (tests/servers/setups.py), gone at the end of the block.

    `calm`: no faults by seed; `processes`: only these lines of the Procfile (the spare is called worker-spare).
    """
    directory = directory.resolve()
    directory.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        argv = [PYTHON, "-m", "chaos.upstream", "--directory", str(directory), "--seed", str(seed)]
        argv += ["--late", str(LATE), *(["--calm"] if calm else [])]
        outside = Process(argv, log=directory / "upstream.log", env={**os.environ})
        stack.callback(outside.sweep_away)
        wait_until(
            (directory / "upstream.json").exists,
            30,
            f"the outside world\n{tail(directory / 'upstream.log')}",
        )
        megabytes = DISK_MEGABYTES["postgres" if "postgres" in setup else "embedded"]
        no_disk = stack.enter_context(small_disk(directory / "disk", megabytes))
        servers = Servers(setup, directory, directory / "disk", no_disk)
        stack.callback(servers.remove)
        system = System(servers, directory, extra_env or {})
        stack.callback(system.close)
        system.begin(processes)
        yield system
