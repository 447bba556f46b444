"""The fake AI servers (OpenAI's and Anthropic's API) in a process of their own."""

from pathlib import Path
from typing import Any

import requests

from tests.servers.processes import Process, accepts, free_port, tail
from tests.servers.switchboard import PYTHON
from tests.waiting import wait_until

KEY, MODEL = "sk-good-0123456789abcdef", "model-1"  # what tests/fakes/ai/server.py knows


class AiServer:
    """Started on construction. `url` is for OpenAI's clients with /v1, for Anthropic's without."""

    def __init__(self, directory: Path) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = directory / "ai.log"
        self._process = Process([PYTHON, "-m", "tests.fakes.ai", "--port", str(self.port)], log=self.log)
        wait_until(lambda: accepts(self.port), 20, f"the fake AI to answer\n{tail(self.log)}")

    def close(self) -> None:
        self._process.sweep_away()

    def behave(self, **manners: Any) -> None:
        """`behave(seconds=2)`, `behave(text="…")`, `behave(status=500)`, `behave(hold=True)`."""
        requests.put(f"{self.url}/fake/behave", json=manners, timeout=10).raise_for_status()

    def behave_again(self) -> None:
        self.behave()

    def calls(self, words: str = "") -> list[dict[str, Any]]:
        """Calls whose question has these words in it, in the order of their coming."""
        found = requests.get(f"{self.url}/fake/calls", timeout=10).json()
        return [call for call in found if words in call["asked"]]

    def held(self) -> int:
        return int(requests.get(f"{self.url}/fake/counts", timeout=10).json()["held"])

    def under_way(self) -> int:
        return int(requests.get(f"{self.url}/fake/counts", timeout=10).json()["under_way"])
