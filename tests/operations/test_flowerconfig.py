"""Flower shows, to whoever has the login, on this machine."""

import runpy
from pathlib import Path

import pytest

from apps.operations import runner

CONFIG = str(Path(runner.__file__).with_name("flowerconfig.py"))


def test_it_needs_a_login(monkeypatch: pytest.MonkeyPatch) -> None:
    for login in ("", "justauser"):
        monkeypatch.setenv("FLOWER_BASIC_AUTH", login)
        with pytest.raises(SystemExit, match="FLOWER_BASIC_AUTH=user:password"):
            runpy.run_path(CONFIG)


def test_it_is_read_only_on_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOWER_BASIC_AUTH", "eve:secret,bob:other")
    monkeypatch.setenv("FLOWER_PORT", "5556")
    options = runpy.run_path(CONFIG)
    assert options["read_only"] is True
    assert options["address"] == "127.0.0.1"
    assert options["port"] == 5556
    assert options["basic_auth"] == ["eve:secret", "bob:other"]


def test_on_sqs_it_says_that_there_is_nothing_to_see(monkeypatch: pytest.MonkeyPatch, settings) -> None:
    monkeypatch.setenv("FLOWER_BASIC_AUTH", "eve:secret")
    settings.BROKER_IS_SQS = True
    with pytest.raises(SystemExit, match="no remote control"):
        runpy.run_path(CONFIG)
