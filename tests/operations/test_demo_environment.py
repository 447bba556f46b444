"""What the demo's processes get to see, and what it says instead of starting."""

import socket
import stat
from pathlib import Path

import pytest

from apps.operations import embedded_redis
from apps.operations.demo.environment import DemoEnvironment, DemoError, SecretsFile, prepare
from apps.operations.embedded_redis import EmbeddedServerError
from apps.operations.ports import PortTaken, free_port_after


@pytest.fixture
def ports() -> dict[str, str]:
    first = free_port_after(20_000)
    return {"PORT": str(first), "FLOWER_PORT": str(free_port_after(first))}


def prepared(var: Path, outside: dict[str, str]) -> DemoEnvironment:
    return prepare({**outside, "VAR_DIR": str(var)}, debug=False)


def test_secrets_are_made_once_and_only_this_user_reads_them(tmp_path: Path, ports: dict[str, str]) -> None:
    first = prepared(tmp_path, ports).variables
    second = prepared(tmp_path, ports).variables
    for name in ("SECRET_KEY", "ENCRYPTION_KEYS", "FLOWER_BASIC_AUTH"):
        assert len(first[name]) > 20
        assert first[name] == second[name]
    assert len({first["SECRET_KEY"], first["ENCRYPTION_KEYS"], first["FLOWER_BASIC_AUTH"]}) == 3
    assert stat.S_IMODE((tmp_path / "demo.env").stat().st_mode) == 0o600


def test_a_secrets_file_keeps_what_is_put(tmp_path: Path) -> None:
    SecretsFile(tmp_path / "demo.env").put("API_KEY", "sb_=x")
    again = SecretsFile(tmp_path / "demo.env")
    assert again.get("API_KEY") == "sb_=x"
    assert again.get("OTHER") == ""
    assert again.make("OTHER") == SecretsFile(tmp_path / "demo.env").get("OTHER")


def test_it_brings_its_own_servers(tmp_path: Path, ports: dict[str, str]) -> None:
    environment = prepared(tmp_path, ports)
    assert environment.variables["REDIS_URL"].startswith("unix:///")
    assert "DATABASE_URL" not in environment.variables
    assert environment.taken_over == []
    assert environment.variables["DEBUG"] == "false"


def test_servers_of_yours_are_used_and_named(tmp_path: Path, ports: dict[str, str]) -> None:
    mine = {"REDIS_URL": "redis://10.0.0.1/0", "DATABASE_URL": "postgresql://me@10.0.0.1/mine"}
    environment = prepared(tmp_path, ports | mine)
    assert environment.variables.items() >= mine.items()
    assert environment.redis_directory is None
    assert environment.taken_over == ["DATABASE_URL", "REDIS_URL"]


@pytest.mark.parametrize("name", ["PORT", "FLOWER_PORT"])
def test_a_taken_port_names_its_own_variable(tmp_path: Path, ports: dict[str, str], name: str) -> None:
    with (
        socket.create_server(("127.0.0.1", int(ports[name]))),
        pytest.raises(PortTaken, match=rf" {name}=\d+"),
    ):
        prepared(tmp_path, ports)


@pytest.mark.parametrize("given", ["web", "-1", "0", "65536", "80.0", "٨٠٠٠"])
def test_what_is_no_port_is_refused(tmp_path: Path, given: str) -> None:
    with pytest.raises(DemoError, match="is not a port"):
        prepared(tmp_path, {"PORT": given})


def test_one_port_for_two_is_refused(tmp_path: Path, ports: dict[str, str]) -> None:
    with pytest.raises(DemoError, match="choose two"):
        prepared(tmp_path, {"PORT": ports["PORT"], "FLOWER_PORT": ports["PORT"]})


def test_a_second_demo_in_the_same_place_is_refused(tmp_path: Path, ports: dict[str, str]) -> None:
    with (
        embedded_redis.start(tmp_path / "demo" / "redis"),
        pytest.raises(DemoError, match="running already"),
    ):
        prepared(tmp_path, ports)


def test_without_a_server_it_says_so_before_anything_starts(
    tmp_path: Path, ports: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded_redis, "find_server", lambda: None)
    with pytest.raises(EmbeddedServerError, match="REDIS_URL"):
        prepared(tmp_path, ports)
