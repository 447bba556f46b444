"""The fake Bot API in a process of its own, and the witness of what reached people there."""

import itertools
from pathlib import Path
from typing import Any

import requests

from tests.fakes.witness import Call
from tests.servers.processes import Process, accepts, free_port, tail
from tests.servers.switchboard import PYTHON
from tests.waiting import wait_until

SEND, TYPING = "sendmessage", "sendchataction"


class TelegramServer:
    """Started on construction. People and groups are ids: ours are counted, so that no two tests share one."""

    def __init__(self, directory: Path) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = directory / "telegram.log"
        self._process = Process(
            [PYTHON, "-m", "tests.fakes.telegram", "--port", str(self.port)], log=self.log
        )
        self._session = requests.Session()
        self._session.trust_env = False
        self._numbers = itertools.count(5_000_000)
        wait_until(lambda: accepts(self.port), 20, f"the fake Bot API to answer\n{tail(self.log)}")

    def close(self) -> None:
        self._session.close()
        self._process.sweep_away()

    # --- who is there -------------------------------------------------------------------------

    def bot(self) -> str:
        """A new bot's token."""
        return str(self._ask("POST", "/fake/bot", {})["token"])

    def person(self) -> int:
        return next(self._numbers)

    def group(self) -> int:
        return -next(self._numbers)

    def does(self, what: str, *, token: str, id: int, **more: Any) -> Any:
        """`does("writes", token=bot, id=ada, text="hi")`: see DEEDS of tests/fakes/telegram/steering.py."""
        return self._ask("POST", "/fake/does", {"what": what, "token": token, "id": id, **more})

    # --- what goes wrong ----------------------------------------------------------------------

    def fault(self, method: str = "", **how: Any) -> None:
        """The fields of a Fault."""
        self._ask("POST", "/fake/fault", {"method": method, **how})

    def behave(self, method: str, **manners: float | bool) -> None:
        """`behave(SEND, delay=0.1)`, `behave(SEND, hold=True)`: done at once, answered later or when let go."""
        self._ask("PUT", "/fake/behave", {"method": method, **manners})

    def behave_again(self) -> None:
        self._ask("PUT", "/fake/behave", {})

    # --- what was seen ------------------------------------------------------------------------

    def held(self, method: str) -> int:
        return int(self._ask("GET", "/fake/bots")["held"].get(method, 0))

    def pending(self, token: str) -> int:
        """Updates that the bot's webhook has not taken yet."""
        return int(self._ask("GET", "/fake/bots")["pending"][token])

    def calls(self, method: str, *, since: int = 0, **wanted: Any) -> list[dict[str, Any]]:
        """In the order of their coming; `wanted` compares fields (token, chat_id)."""
        wanted = {"method": method, **{name: str(value) for name, value in wanted.items()}}
        return [
            call
            for call in self._ask("GET", f"/fake/calls?since={since}")
            if all(call[name] == value for name, value in wanted.items())
        ]

    def number(self) -> int:
        """How many calls there have been."""
        return len(self._ask("GET", "/fake/calls"))

    def texts(self, chat: int) -> list[str]:
        """What reached a person or a group, in order."""
        return [one["text"] for one in self._ask("GET", "/fake/sent") if one["chat_id"] == chat]

    def sends(self, run: str) -> list[Call]:
        """Sends that answer the questions of one run, as `Witness.sends` gives them; refused ones are left out."""
        return [
            Call("send", call["begun"], call["ended"], call["cut"], call)
            for call in self.calls(SEND)
            if f" {run}." in call["text"] and call["status"] in (0, 200)
        ]

    def _ask(self, verb: str, path: str, body: Any = None) -> Any:
        answer = self._session.request(verb, self.url + path, json=body, timeout=30)
        assert answer.status_code == 200, f"{path}: {answer.status_code} {answer.text[:300]}"
        return answer.json()
