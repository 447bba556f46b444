"""The doctor's look at database, Redis, broker and clocks."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from kombu import Connection

from apps.jobs.models import Seat
from apps.operations.doctor import broker, clock, configuration, database, redis_server
from apps.operations.doctor.finding import Finding, Level, Settings
from apps.reliability.redis_client import redis_client

GIGABYTE = 1024**3


def by_name(findings: Iterator[Finding]) -> dict[str, Finding]:
    return {one.name: one for one in findings}


class TestSettings:
    def test_right(self):
        found = by_name(configuration.check(Settings()))
        assert found["checks"].level is Level.OK
        assert found["HTTPS"].level is Level.NOTE

    def test_wrong(self, settings):
        settings.EVENTS_URL = "events.example.com"
        found = by_name(configuration.check(Settings()))
        assert found["switchboard.E013"].level is Level.FAIL
        assert "https://events.example.com" in found["switchboard.E013"].advice


@pytest.mark.django_db
class TestDatabase:
    def test_all_is_well(self):
        found = by_name(database.check(Settings()))
        assert {one.level for one in found.values()} <= {Level.OK, Level.WARN}
        assert {"reachable", "migrations", "writes", "disk"} <= set(found)
        assert not Seat.objects.filter(name=database.SEAT).exists()

    def test_a_migration_is_missing(self):
        app, name = MigrationLoader(connection).graph.leaf_nodes("knowledge")[0]
        MigrationRecorder(connection).record_unapplied(app, name)
        found = by_name(database.check(Settings()))
        assert found["migrations"].level is Level.FAIL
        assert f"{app}.{name}" in found["migrations"].found
        assert "writes" not in found

    def test_nothing_can_be_written(self):
        with connection.cursor() as cursor:
            if connection.vendor == "postgresql":
                cursor.execute("SET TRANSACTION READ ONLY")
            else:
                cursor.execute("PRAGMA query_only = ON")
        try:
            found = database._writes()
        finally:
            if connection.vendor == "sqlite":
                with connection.cursor() as cursor:
                    cursor.execute("PRAGMA query_only = OFF")
        assert found.level is Level.FAIL
        assert "read" in found.found.lower()

    @pytest.mark.parametrize(
        ("free", "level"), [(50 * GIGABYTE, Level.OK), (GIGABYTE // 2, Level.WARN), (1024, Level.FAIL)]
    )
    def test_room(self, monkeypatch, free, level):
        usage = shutil._ntuple_diskusage(free * 2, free, free)  # type: ignore[attr-defined]
        monkeypatch.setattr(shutil, "disk_usage", lambda place: usage)
        assert [one.level for one in database._room()] == [level]

    def test_whose_file_it_is(self):
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "file"
            path.touch(mode=0o644)
            assert not database.readable_by_others(path), "the directory is closed"
            Path(directory).chmod(0o755)
            above = all(parent.stat().st_mode & 0o001 for parent in Path(directory).parents)
            assert database.readable_by_others(path) is above
            path.chmod(0o640)
            assert not database.readable_by_others(path)

    @pytest.mark.postgres
    def test_the_servers_own_settings(self):
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL synchronous_commit = off")
        found = by_name(database.check(Settings()))
        assert found["version"].level is Level.OK
        assert found["synchronous_commit"].level is Level.WARN


class TestRedis:
    def test_all_is_well(self):
        found = by_name(redis_server.check(Settings()))
        assert set(found) == {"latency", "version", "memory", "scripts"}
        assert found["scripts"].level is Level.OK
        assert list(redis_client().scan_iter("switchboard:doctor:*")) == []

    @pytest.mark.parametrize("url", ["redis://127.0.0.1:1/0", "", "http://127.0.0.1"])
    def test_away(self, settings, url):
        settings.REDIS_URL = url
        (found,) = redis_server.check(Settings())
        assert (found.name, found.level) == ("reachable", Level.FAIL)

    @pytest.mark.parametrize(
        ("changes", "name", "level"),
        [
            ({"maxmemory": 100, "maxmemory_policy": "allkeys-lru"}, "memory", Level.WARN),
            ({"maxmemory": 0, "maxmemory_policy": "allkeys-lru"}, "memory", Level.OK),
            ({"maxmemory": 100, "maxmemory_policy": "noeviction", "used_memory": 95}, "memory", Level.WARN),
            ({"role": "slave"}, "role", Level.FAIL),
            ({"redis_version": "5.0.14", "valkey_version": ""}, "version", Level.FAIL),
        ],
    )
    def test_what_it_says_of_itself(self, changes: dict[str, Any], name: str, level: Level):
        info: dict[str, Any] = {**redis_client().info(), **changes}  # type: ignore[dict-item]
        assert by_name(redis_server._information(info))[name].level is level


def test_the_broker_brings_back_what_is_sent():
    found = by_name(broker.check(Settings()))
    assert {name: one.level for name, one in found.items()} == {"reachable": Level.OK, "round": Level.OK}
    assert [key for key in redis_client().scan_iter("*switchboard-doctor*")] == []


@pytest.mark.service
@pytest.mark.skipif("TEST_RABBITMQ_URL" not in os.environ, reason="needs RabbitMQ: set TEST_RABBITMQ_URL")
def test_rabbitmq_brings_it_back_as_well():
    with Connection(os.environ["TEST_RABBITMQ_URL"]) as connection:
        assert broker._round(connection).level is Level.OK


def test_a_broker_that_keeps_what_it_gets(monkeypatch):
    monkeypatch.setattr(broker, "SECONDS", 0.1)
    monkeypatch.setattr(broker, "_first", lambda queue, until: None)
    assert by_name(broker.check(Settings()))["round"].level is Level.FAIL


@pytest.mark.django_db
class TestClocks:
    def test_ours_and_the_servers_agree(self):
        found = list(clock.check(Settings()))
        assert {one.level for one in found} == {Level.OK}
        assert len(found) == (2 if connection.vendor == "postgresql" else 1)

    @pytest.mark.parametrize(
        ("ahead", "level", "word"),
        [(0.5, Level.OK, "within"), (-10, Level.WARN, "10.0 s behind"), (45, Level.FAIL, "45.0 s ahead of")],
    )
    def test_what_providers_said(self, ahead, level, word):
        asked = Settings(clocks=[("https://api.example.com", 0.1), ("https://api.example.com", ahead)])
        found = [one for one in clock.check(asked) if "example.com" in one.found]
        assert [one.level for one in found] == [level]
        assert word in found[0].found
