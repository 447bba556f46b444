"""Two mocks of the chat APIs that no one here wrote: llmock (pip) and aimock (npm), each as a server of its own."""

import json
import shutil
import sys
import tempfile
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.servers.processes import REPOSITORY, Process, accepts, free_port, tail
from tests.waiting import wait_until

AIMOCK = REPOSITORY / "tests/fakes/ai/aimock"
TEXT = "A lane keeps the jobs of one conversation in order."

# aimock answers by model. `fault` -> what stands in its fixture.
FAULTS: dict[str, dict[str, Any]] = {
    "quota": {
        "error": {"message": "You exceeded your current quota", "type": "insufficient_quota"},
        "status": 429,
    },
    "billing": {"error": {"message": "Check your payment details", "type": "billing_error"}, "status": 402},
    "rate": {"error": {"message": "Slow down", "type": "rate_limit_error"}, "status": 429, "retryAfter": 7},
    "key": {"error": {"message": "Invalid key", "type": "authentication_error"}, "status": 401},
    "overloaded": {"error": {"message": "Overloaded", "type": "overloaded_error"}, "status": 529},
    "context": {
        "error": {
            "message": "prompt is too long: maximum context length is 10 tokens",
            "type": "invalid_request_error",
            "code": "context_length_exceeded",
        },
        "status": 400,
    },
    "server": {"error": {"message": "Oh no", "type": "server_error"}, "status": 500},
}


class MockServer:
    """A running mock. `address` has no path."""

    def __init__(self, argv: list[str], name: str, env: dict[str, str] | None = None) -> None:
        self.name = name
        self.directory = Path(tempfile.mkdtemp(prefix="sbai"))
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self.log = self.directory / "log"
        self.prepare()
        argv = [part.format(port=self.port, directory=self.directory) for part in argv]
        self._process = Process(argv, log=self.log, env=env, cwd=self.directory)
        wait_until(lambda: accepts(self.port), 30, f"{name} to answer\n{tail(self.log)}")

    def prepare(self) -> None:
        """Write what it reads at its start."""

    def post(self, path: str, body: Any) -> None:
        """One call to the mock's own controls."""
        request = urllib.request.Request(  # noqa: S310 - our own server on the loopback
            self.address + path, json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310
            response.read()

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(self.address + path, timeout=10) as response:  # noqa: S310
            return json.load(response)

    def remove(self) -> None:
        self._process.sweep_away()
        shutil.rmtree(self.directory, ignore_errors=True)


class Llmock(MockServer):
    """github.com/JulienRabault/LLMock: faults are queued over HTTP, and it judges how the client coped."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "llmock.cli", "serve", "--port", "{port}", "--log-level", "warning"]
        super().__init__([*command, "--latency-ms", "0"], "llmock")

    def faults(self, *behaviors: dict[str, Any]) -> None:
        self.post("/_llmock/scenario", {"behaviors": list(behaviors)})

    def reset(self) -> None:
        self.post("/_llmock/reset", {})


class Aimock(MockServer):
    """github.com/CopilotKit/aimock, with one fixture for each fault, chosen by the name of the model."""

    def __init__(self) -> None:
        node, program = shutil.which("node"), AIMOCK / "node_modules/@copilotkit/aimock/dist/cli.js"
        if node is None or not program.is_file():
            pytest.skip(
                "needs the npm package of tests/fakes/ai/aimock: `make test` installs it where npm is"
            )
        command = [node, str(program), "--port", "{port}", "--fixtures", "{directory}/fixtures.json"]
        super().__init__(
            [*command, "--log-level", "warn", "--chunk-size", "5", "--validate-on-load"], "aimock"
        )

    def prepare(self) -> None:
        by_model = [{"match": {"model": name}, "response": response} for name, response in FAULTS.items()]
        whole = {"content": TEXT}
        cut = [{"match": {"model": "truncated"}, "response": whole, "truncateAfterChunks": 3}]
        rest = [{"match": {}, "response": whole}]
        fixtures = {"fixtures": [*by_model, *cut, *rest]}
        (self.directory / "fixtures.json").write_text(json.dumps(fixtures))
