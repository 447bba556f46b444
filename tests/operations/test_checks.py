"""Each wrong setting is found, and its hint says what to do."""

import sqlite3
from typing import Any

import pytest
from django.core.checks import run_checks
from django.test import override_settings

from apps.operations import checks

KEY = "a-good-key-0123456789-0123456789-abcdef"


def found(**changes: Any) -> dict[str, str]:
    """What the checks say under these settings: id -> message and hint."""
    with override_settings(**changes):
        return {m.id: f"{m.msg} {m.hint}" for m in run_checks(tags=[checks.TAG])}


def test_the_settings_of_the_tests_are_right():
    assert found() == {}


@pytest.mark.parametrize(
    ("changes", "number", "says"),
    [
        ({"SECRET_KEY": ""}, "E001", "SECRET_KEY is not set"),
        ({"SECRET_KEY": "development-only-" + "x" * 40}, "E001", "development"),
        ({"SECRET_KEY": "short"}, "E002", "5 characters"),
        ({"ENCRYPTION_KEYS": []}, "E003", "ENCRYPTION_KEYS is not set"),
        ({"ENCRYPTION_KEYS": ["short"]}, "E004", "key 1 has 5 characters"),
        ({"ENCRYPTION_KEYS": [KEY, "development-only-" + "y" * 40]}, "E004", "key 2 is the development one"),
        ({"ENCRYPTION_KEYS": [KEY, KEY]}, "E004", "twice"),
        ({"ENCRYPTION_KEYS": ["cut off Fernet key of 36 characters="]}, "E004", "cut off"),
        ({"ENCRYPTION_KEYS": [KEY + "\n"]}, "E004", "white space"),
        ({"DATABASE_URL": "mysql://root@localhost/switchboard"}, "E005", "mysql scheme is not one of"),
        ({"DATABASE_URL": "switchboard.sqlite3"}, "E005", "no scheme is not one of"),
        ({"REDIS_URL": ""}, "E009", "REDIS_URL is not set"),
        ({"REDIS_URL": "localhost:6379"}, "E010", "REDIS_URL is not one of"),
        ({"BROKER_URL": "kafka://localhost"}, "E011", "kafka scheme is not one of"),
        ({"BROKER_URL": "localhost:5672"}, "E011", "amqp://"),
        ({"CHANNELS": {"fax": "nowhere.to.be.Found"}}, "E012", "fax names nowhere.to.be.Found"),
        ({"AI_PROVIDERS": {"oracle": "apps.ai.base.Missing"}}, "E012", "EXTRA_AI_PROVIDERS=oracle="),
        ({"EVENTS_URL": "events.example.com"}, "E013", "https://events.example.com"),
        ({"ALLOWED_HOSTS": []}, "E014", "ALLOWED_HOSTS is empty"),
        ({"DEBUG": True, "ALLOWED_HOSTS": ["localhost", "chat.example.com"]}, "E015", "chat.example.com"),
        ({"ALLOWED_HOSTS": ["*"]}, "W001", "every host name"),
        ({"PUBLIC_URL": "chat.example.com"}, "E017", "https://switchboard.example.com"),
        ({"PUBLIC_URL": "http://localhost:99999"}, "E017", "not a URL"),
        ({"PUBLIC_URL": "http://user@localhost"}, "E017", "not a URL"),
        ({"PUBLIC_URL": "http://localhost/chat"}, "E017", "behind the host"),
        ({"PUBLIC_URL": "http://localhost", "HTTPS": True}, "E018", "begin it with https://"),
        ({"PUBLIC_URL": "https://chat.example.com"}, "E019", "ALLOWED_HOSTS=chat.example.com"),
        ({"TRUSTED_PROXIES": ["proxy.example.com"]}, "E030", "neither an address nor a network"),
        ({"TRUSTED_PROXIES": ["10.0.0.0/8", "0.0.0.0/0"]}, "E030", "trusts everybody"),
        ({"WIDGET_STARTS_PER_MINUTE": -1}, "E031", "0 means no limit"),
        ({"WIDGET_MESSAGES_BURST": 0}, "E031", "below 1"),
        ({"BREAKERS": {"chat": "five"}}, "E032", "BREAKER_CHAT: it is not of the form failures/seconds"),
        ({"BREAKERS": {"chat": "5/30", "rpc": "0/60"}}, "E032", "BREAKER_RPC: the number of failures"),
        ({"BREAKERS": {"ai": "5/0"}}, "E032", "BREAKER_AI: the seconds"),
        ({"BREAKERS": {"ipfs": "5/-3"}}, "E032", "BREAKER_IPFS: it is not of the form"),
        ({"LOG_FORMAT": "xml"}, "E016", "json, console, colour"),
    ],
)
def test_a_wrong_setting_is_named_with_its_hint(changes, number, says):
    messages = found(**changes)
    assert list(messages) == [f"switchboard.{number}"]
    assert says in messages[f"switchboard.{number}"]


def test_no_key_is_ever_repeated():
    messages = found(SECRET_KEY="my-short-secret", ENCRYPTION_KEYS=["my-other-short-secret"])
    assert len(messages) == 2
    assert "my-" not in str(messages)


def test_development_keys_serve_in_development():
    changes = {
        "SECRET_KEY": "development-only-" + "x" * 40,
        "ENCRYPTION_KEYS": ["development-only-" + "y" * 40],
    }
    assert found(DEBUG=True, ALLOWED_HOSTS=["localhost"], **changes) == {}


@pytest.mark.parametrize(
    "scheme", ["amqp://guest@localhost//", "redis+socket:///run/redis.sock", "rediss://host:6379/1"]
)
def test_brokers_that_are_served(scheme):
    assert found(BROKER_URL=scheme) == {}


class TestSqlite:
    """The database file and the library that reads it."""

    @pytest.fixture(autouse=True)
    def on_sqlite(self, settings, monkeypatch, tmp_path):
        settings.DATABASE_URL = "sqlite:///somewhere"
        monkeypatch.setitem(settings.DATABASES["default"], "NAME", str(tmp_path / "db.sqlite3"))

    def ids(self):
        return [m.id for m in checks.check_database()]

    def test_a_file_in_a_directory_that_exists(self):
        assert self.ids() == []

    def test_in_memory_is_refused(self, settings, monkeypatch):
        monkeypatch.setitem(settings.DATABASES["default"], "NAME", ":memory:")
        assert self.ids() == ["switchboard.E005"]

    def test_the_directory_is_missing(self, settings, monkeypatch, tmp_path):
        monkeypatch.setitem(settings.DATABASES["default"], "NAME", str(tmp_path / "missing" / "db.sqlite3"))
        assert self.ids() == ["switchboard.E006"]

    def test_too_old(self, monkeypatch):
        monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 34, 1))
        assert self.ids() == ["switchboard.E007"]

    def test_without_full_text_search(self, monkeypatch):
        monkeypatch.setattr(checks, "has_fts5", lambda: False)
        assert self.ids() == ["switchboard.E008"]


@pytest.mark.parametrize("url", ["", "https://localhost:8443", "http://[::1]:8000", "https://127.0.0.1"])
def test_public_addresses_that_serve(url):
    assert found(PUBLIC_URL=url, ALLOWED_HOSTS=["localhost", "127.0.0.1", "[::1]"]) == {}


def test_the_boot_stops_with_the_hints(capsys):
    with override_settings(REDIS_URL=""), pytest.raises(SystemExit) as stopped:
        checks.stop_if_wrong()
    assert stopped.value.code == 1
    told = capsys.readouterr().err
    assert "Switchboard can't start" in told
    assert "switchboard.E009: REDIS_URL is not set." in told


@pytest.mark.django_db
def test_a_warning_does_not_stop_the_boot():
    with override_settings(ALLOWED_HOSTS=["*"]):
        checks.stop_if_wrong()
