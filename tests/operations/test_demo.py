"""`make demo` as a person runs it: real processes, a real question, addresses that work, and nothing left behind."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from apps.operations.embedded_redis import answers
from apps.operations.ports import free_port_after
from tests.operations.running import DEADLINE, ROOT, RunningRunner
from tests.waiting import wait_until

pytestmark = pytest.mark.survival
STARTING = 120.0  # seconds; a busy machine starts five Pythons


@contextmanager
def demo(var: Path, *options: str, **environment: str) -> Iterator[RunningRunner]:
    """The demo with its things in `var`; whatever the test does, it is gone afterwards."""
    process = subprocess.Popen(
        [sys.executable, "-m", "apps.operations.demo", *options],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "VAR_DIR": str(var), **ports(), **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    running = RunningRunner(process, deadline=STARTING)
    try:
        yield running
    finally:
        if process.poll() is None:
            running.stop()


def ports() -> dict[str, str]:
    first = free_port_after(21_000)
    return {"PORT": str(first), "FLOWER_PORT": str(free_port_after(first))}


def line_pid(var: Path, name: str) -> int:
    """The process id of a line of Procfile.demo, by its command and this demo's VAR_DIR (Linux)."""
    mark = f"VAR_DIR={var / 'demo'}".encode()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            if (
                re.search(rf"celery -A project {name}\b", command)
                and mark in (process / "environ").read_bytes()
            ):
                return int(process.name)
        except OSError:
            continue
    raise AssertionError(f"no {name} found")


def test_once_tells_the_story_and_ends(tmp_path: Path) -> None:
    with demo(tmp_path, "--once") as running:
        for place in ("accepted", "received", "stored", "AI turn", "answered", "sent"):
            running.line(rf"^ +\d+ ms  {place} ")
        running.line(r"^  \| .")
        running.line("Everything that was started has ended")
        assert running.process.wait(timeout=DEADLINE) == 0
    assert not answers(tmp_path / "demo" / "redis" / "redis.sock")


@pytest.mark.skipif(sys.platform != "linux", reason="finds the worker in /proc")
def test_it_stays_up_shows_where_things_are_and_ends_with_ctrl_c(tmp_path: Path) -> None:
    with demo(tmp_path) as running:
        chat = running.line(r"^Chat page +(\S+)")[1]
        admin = running.line(r"^Admin +(\S+) +user (\S+), password (\S+)")
        flower = running.line(r"^Flower +(\S+) +user (\S+), password (\S+)")
        running.line("^Ctrl-C stops everything")

        page = requests.get(chat, timeout=DEADLINE)
        assert page.ok
        assert "Ask Switchboard" in page.text

        with requests.Session() as browser:
            form = browser.get(f"{admin[1]}login/", timeout=DEADLINE)
            token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', form.text)
            assert token
            login = {"username": admin[2], "password": admin[3], "csrfmiddlewaretoken": token[1]}
            inside = browser.post(f"{admin[1]}login/?next=/admin/", data=login, timeout=DEADLINE)
            assert inside.url == admin[1]
            assert "Log out" in inside.text

        workers = f"{flower[1]}api/workers?refresh=1"
        assert requests.get(workers, timeout=DEADLINE).status_code == 401
        login_of_flower = (flower[2], flower[3])
        shown = wait_until(lambda: requests.get(workers, auth=login_of_flower, timeout=DEADLINE).json())
        name = next(iter(shown))
        assert name.startswith("demo@")
        shutdown = f"{flower[1]}api/worker/shutdown/{name}"
        assert requests.post(shutdown, auth=login_of_flower, timeout=DEADLINE).status_code == 403

        os.kill(line_pid(tmp_path, "worker"), signal.SIGKILL)
        running.line(r"^worker *\| was ended by SIGKILL; starting it again")

        assert running.stop(signal.SIGINT) == 0
    with pytest.raises(requests.ConnectionError):
        requests.get(chat, timeout=DEADLINE)


def test_a_taken_port_is_told_before_anything_starts(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with demo(tmp_path, "--once", PORT=str(port)) as running:
            running.line(rf"Port {port}, wanted for the web server, is taken by .*PORT=\d+")
            assert running.process.wait(timeout=DEADLINE) == 1
    assert not (tmp_path / "demo").exists()


def test_a_process_that_keeps_ending_is_told_and_not_waited_for(tmp_path: Path) -> None:
    with demo(tmp_path, "--once", FLOWER_ADDRESS="256.0.0.1") as running:
        running.line("^flower *. ended with status 1; starting it again")
        running.line("Not answered: flower keeps ending")
        assert running.process.wait(timeout=STARTING) == 1


def test_a_database_that_is_away_is_told(tmp_path: Path) -> None:
    with demo(tmp_path, "--once", DATABASE_URL="postgresql://nobody@127.0.0.1:1/nothing") as running:
        running.line("Using your DATABASE_URL")
        running.line("The database can't be used: ")
        assert running.process.wait(timeout=DEADLINE) == 1
