"""Everybody who knocks at the intake doors, at a web process of the test's own: programs, providers, visitors.

A knock says which question of a run it brings, so that afterwards the database tells which of them are there.
"""

import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

import requests

from tests.servers.ledger import Ledger
from tests.servers.processes import Process, free_port, tail
from tests.servers.seed import PLANTED
from tests.servers.switchboard import PYTHON, Switchboard
from tests.waiting import wait_until

LIMIT = "6000"
"""A minute: Redis is asked at each knock, and nobody is refused."""


@dataclass(frozen=True)
class Answer:
    """What a knock got: `seconds` it took, `text` what was to be stored."""

    door: str
    text: str
    status: int
    seconds: float
    headers: Any = field(repr=False)
    body: str = ""


class Doors:
    """The doors of the web process at `url`."""

    def __init__(self, house: Switchboard, url: str, run: str, database_url: str, process: Process) -> None:
        self.house, self.url, self.run, self.process = house, url, run, process
        self.ledger = Ledger(database_url)
        self._number = 0
        begun = self._post("/api/v1/widget/conversations", {"chatbot": house.seeded["library"]})
        assert begun.status_code == 201, begun.text
        self._token = begun.json()["token"]

    @property
    def all(self) -> dict[str, Callable[[], Answer]]:
        return {
            "express": self.express,
            "django": self.django,
            "webhook": self.webhook,
            "widget": self.widget,
            "start": self.start,
        }

    def express(self) -> Answer:
        return self._program("application/json")

    def django(self) -> Answer:
        """The same call, as the express lane leaves it to Django."""
        return self._program("application/json; charset=utf-8")

    def webhook(self) -> Answer:
        text = self._text("webhook")
        body = {"events": [{"id": text, "from": "ada", "text": text}]}
        path = f"/webhooks/reporting/{self.house.seeded['reporting']}"
        return self._answer("webhook", text, path, body, {"X-Reporting-Token": PLANTED})

    def widget(self) -> Answer:
        text = self._text("widget")
        body = {"id": str(uuid.uuid4()), "text": text}
        return self._answer(
            "widget", text, "/api/v1/widget/messages", body, {"Authorization": f"Bearer {self._token}"}
        )

    def start(self) -> Answer:
        body = {"chatbot": self.house.seeded["library"]}
        return self._answer("start", "", "/api/v1/widget/conversations", body, {})

    def is_healthy(self) -> bool:
        return requests.get(f"{self.url}/healthz", timeout=60).status_code == 200

    def stored(self) -> list[str]:
        """What the inbox has of this run."""
        rows = self.ledger.rows("SELECT payload FROM frontdoor_inboundevent ORDER BY id")
        payloads = [
            json.loads(row["payload"]) if isinstance(row["payload"], str) else row["payload"] for row in rows
        ]
        return [one["text"] for one in payloads if one["text"].startswith(f"{self.run}:")]

    def jobs(self) -> int:
        """How many messages of this run wait to be handled."""
        query = "SELECT count(*) AS n FROM jobs_job WHERE task = 'pipeline.receive_message' AND {} LIKE %s"
        column = "payload" if self.ledger.database_url.startswith("sqlite") else "CAST(payload AS text)"
        return int(self.ledger.one(query.format(column), f'%"{self.run}:%'))

    def _text(self, door: str) -> str:
        self._number += 1
        return f"{self.run}:{door}:{self._number}"

    def _program(self, kind: str) -> Answer:
        door = "express" if kind == "application/json" else "django"
        text = self._text(door)
        body = {
            "account": self.house.seeded["send_again"],
            "contact": {"id": f"{self.run}-{door}"},
            "text": text,
        }
        authorization = str(self.house.session.headers["Authorization"])
        headers = {"Authorization": authorization, "Content-Type": kind}
        return self._answer(door, text, "/api/v1/messages", body, headers)

    def _answer(
        self, door: str, text: str, path: str, body: dict[str, Any], headers: dict[str, str]
    ) -> Answer:
        begun = monotonic()
        answer = self._post(path, body, headers)
        return Answer(door, text, answer.status_code, monotonic() - begun, answer.headers, answer.text)

    def _post(
        self, path: str, body: dict[str, Any], headers: dict[str, str] | None = None
    ) -> requests.Response:
        with requests.Session() as session:
            session.trust_env = False
            sent = {"Content-Type": "application/json"} | (headers or {})
            return session.post(self.url + path, data=json.dumps(body), headers=sent, timeout=60)


@contextmanager
def doors(house: Switchboard, run: str, *, seen_at: str = "", **env: str) -> Iterator[Doors]:
    """A web process of its own, whose settings may differ. `seen_at`: where the test finds its database, if not where
    the house has its own."""
    port, log = free_port(), house.directory / f"doors-{run}.log"
    process = Process(
        [
            *(PYTHON, "-m", "granian", "--interface", "asgi", "--host", "127.0.0.1", "--port", str(port)),
            *("--workers", "1", "--no-ws", "project.asgi:application"),
        ],
        log=log,
        env={
            **house.env,
            "WIDGET_MESSAGES_PER_MINUTE": LIMIT,
            "WIDGET_MESSAGES_BURST": LIMIT,
            "WIDGET_STARTS_PER_MINUTE": LIMIT,
            **env,
        },
    )

    def answers() -> bool:
        assert process.alive, tail(log)
        try:
            return requests.get(f"http://127.0.0.1:{port}/healthz", timeout=5).status_code == 200
        except requests.RequestException:
            return False

    try:
        wait_until(answers, 60, "the doors to open")
        yield Doors(house, f"http://127.0.0.1:{port}", run, seen_at or house.setup.database_url, process)
    finally:
        process.sweep_away()
