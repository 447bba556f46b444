"""The doctor as a whole: checks are isolated and in time, the command tells people and programs."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from apps.operations.doctor import showing
from apps.operations.doctor.catalogue import CHECKS
from apps.operations.doctor.examination import examine
from apps.operations.doctor.finding import Check, Finding, Level, Settings, fail, ok, warn
from apps.operations.management.commands import doctor

ROOT = Path(__file__).resolve().parents[2]


def fine(asked: Settings) -> Iterator[Finding]:
    yield ok("all", "is well")


def broken(asked: Settings) -> Iterator[Finding]:
    yield ok("first", "is well")
    raise RuntimeError("no luck with redis://user:planted-password@host")


def bad(asked: Settings) -> Iterator[Finding]:
    yield fail("it", "is wrong", "Mend it.")


def run(*checks: Check, deadline: float = 20) -> dict[str, list[Finding]]:
    return dict(examine(checks, Settings(), deadline=deadline))


class TestExamination:
    def test_a_check_that_breaks_hides_nothing(self):
        found = run(Check("a", broken), Check("b", fine))
        assert [one.level for one in found["a"]] == [Level.OK, Level.FAIL]
        assert "RuntimeError" in found["a"][1].found
        assert "planted-password" not in found["a"][1].found
        assert [one.level for one in found["b"]] == [Level.OK]

    def test_a_check_that_hangs_is_told_at_the_deadline(self):
        ended = threading.Event()

        def hangs(asked: Settings) -> Iterator[Finding]:
            yield ok("first", "is well")
            ended.wait(60)

        try:
            began = time.monotonic()
            found = run(Check("a", hangs), Check("b", fine), deadline=0.3)
            assert time.monotonic() - began < 30, "it does not wait for the one that hangs"
        finally:
            ended.set()
        assert [one.level for one in found["a"]] == [Level.OK, Level.FAIL]
        assert "deadline" in found["a"][1].found
        assert found["b"] == [ok("all", "is well")]

    def test_what_needs_a_failed_check_is_left_out_and_so_is_what_needs_that(self):
        found = run(Check("c", fine, needs=("b",)), Check("a", bad), Check("b", fine, needs=("a",)))
        assert [one.level for one in found["b"]] == [Level.SKIP]
        assert "a comes first" in found["b"][0].found

    def test_a_need_that_was_not_asked_for_is_no_hindrance(self):
        assert run(Check("b", fine, needs=("a",)))["b"] == [ok("all", "is well")]

    def test_the_last_one_sees_what_the_others_noted(self):
        def notes(asked: Settings) -> Iterator[Finding]:
            asked.clocks.append(("somebody", 1.0))
            yield ok("noted", "")

        def reads(asked: Settings) -> Iterator[Finding]:
            yield ok("read", str(asked.clocks))

        found = run(Check("z", reads, last=True), Check("a", notes))
        assert found["z"][0].found == "[('somebody', 1.0)]"

    def test_the_catalogue_names_only_what_there_is_and_in_an_order_that_works(self):
        names = [check.name for check in CHECKS]
        assert len(set(names)) == len(names)
        for place, check in enumerate(CHECKS):
            assert set(check.needs) <= set(names[:place])


class TestShowing:
    def test_long_texts_are_folded_and_commands_are_not(self):
        command = "python manage.py " + "x" * 200
        lines = list(
            showing.family("web", [warn("it", "word " * 60, "Do this. " * 30, command)], colour=False)
        )
        assert lines[0] == "\nweb"
        assert lines[1].startswith("  warn  it: word word")
        assert lines[-1] == f"        $ {command}"
        assert all(len(line) <= showing.WIDTH + 8 for line in lines[:-1])

    def test_colour_only_when_wanted(self):
        assert "\033[" not in "".join(showing.family("web", [fail("it", "is", "do")], colour=False))
        assert "\033[31" in "".join(showing.family("web", [fail("it", "is", "do")], colour=True))


class TestCommand:
    @pytest.fixture
    def of(self, monkeypatch: pytest.MonkeyPatch) -> Any:
        def of(*checks: Check, options: tuple[str, ...] = ()) -> tuple[str, int]:
            monkeypatch.setattr(doctor, "CHECKS", checks)
            monkeypatch.setattr(doctor, "NAMES", [check.name for check in checks])
            out, status = StringIO(), 0
            try:
                call_command("doctor", *options, stdout=out)
            except SystemExit as ended:
                status = int(ended.code or 0)
            return out.getvalue(), status

        return of

    def test_the_status_says_whether_something_failed(self, of):
        assert of(Check("a", fine))[1] == 0
        text, status = of(Check("a", fine), Check("b", bad))
        assert status == 1
        assert "Something doesn't work. 1 failed, 1 fine." in text
        assert "\033[" not in text

    def test_json(self, of):
        text, status = of(Check("b", bad), options=("--json",))
        assert status == 1
        assert json.loads(text) == [
            {
                "check": "b",
                "name": "it",
                "level": "fail",
                "found": "is wrong",
                "advice": "Mend it.",
                "command": "",
            }
        ]

    def test_only(self, of):
        text, status = of(Check("a", fine), Check("b", bad), options=("--only", "a"))
        assert status == 0
        assert "is wrong" not in text
        with pytest.raises(CommandError, match="Known: a, b"):
            of(Check("a", fine), Check("b", bad), options=("--only", "c"))
        with pytest.raises(CommandError, match="--deadline"):
            of(Check("a", fine), options=("--deadline", "0"))


def as_a_process(environment: dict[str, str], **changes: str) -> dict[str, list[dict[str, str]]]:
    """What `manage.py doctor --json` says in a process of its own, by check."""
    ended = subprocess.run(
        [sys.executable, "manage.py", "doctor", "--json"],
        cwd=ROOT,
        env={**environment, **changes},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 1, ended.stderr
    found: dict[str, list[dict[str, str]]] = {}
    for one in json.loads(ended.stdout):
        found.setdefault(one["check"], []).append(one)
    return found


@pytest.mark.django_db(transaction=True)
class TestReally:
    """The whole command on a machine where things are missing."""

    def test_nothing_runs_but_the_servers(self, child_environment):
        found = as_a_process(child_environment, PORT="1")
        assert {one["level"] for one in found["database"]} <= {"ok", "warn"}
        assert {one["level"] for one in found["redis"]} <= {"ok", "warn"}
        assert [one["level"] for one in found["broker"]] == ["ok", "ok"]
        assert "no worker is alive" in found["workers"][0]["found"]
        assert "connection refused" in next(one for one in found["web"] if one["name"] == "healthz")["found"]

    def test_no_database_no_redis_no_keys(self, child_environment, tmp_path):
        found = as_a_process(
            child_environment,
            DATABASE_URL="postgresql://nobody:planted-password@127.0.0.1:1/none",
            REDIS_URL="redis://:planted-password@127.0.0.1:1/0",
            SECRET_KEY="",
            ENCRYPTION_KEYS="",
        )
        assert {one["name"] for one in found["settings"]} >= {"switchboard.E001", "switchboard.E003"}
        for name in ("database", "redis", "broker"):
            assert found[name][-1]["level"] == "fail", name
            assert found[name][-1]["advice"]
        for name in ("workers", "keys", "chatbots", "web", "telegram", "ai"):
            assert [one["level"] for one in found[name]] == ["skip"]
        assert "planted-password" not in str(found)

    def test_a_database_without_tables(self, child_environment, tmp_path):
        found = as_a_process(child_environment, DATABASE_URL=f"sqlite:///{tmp_path / 'new.sqlite3'}")
        assert found["database"][-1]["name"] == "migrations"
        assert found["database"][-1]["command"] == "python manage.py migrate"
        assert found["workers"][0]["level"] == "skip"
