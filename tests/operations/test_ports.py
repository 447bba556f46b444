"""A taken port is named, with who has it and how to choose another."""

import os
import socket
import sys
from collections.abc import Iterator

import pytest

from apps.operations.ports import PortTaken, free_port_after, holder, require_free


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_free_port_is_let_through(taken: int) -> None:
    require_free(free_port_after(taken), purpose="the web server", setting="PORT")


def test_a_taken_port_says_all_one_needs(taken: int) -> None:
    with pytest.raises(PortTaken) as caught:
        require_free(taken, purpose="the web server", setting="PORT")
    said = str(caught.value)
    assert f"Port {taken}, wanted for the web server, is taken" in said
    chosen = int(said.rpartition("PORT=")[2])
    assert chosen > taken
    require_free(chosen, purpose="the web server", setting="PORT")


@pytest.mark.skipif(sys.platform != "linux", reason="read from /proc")
def test_who_has_it_is_named(taken: int) -> None:
    assert f"(process {os.getpid()})" in holder(taken)
    assert holder(free_port_after(taken)) == ""


def test_a_port_that_any_address_listens_on_is_taken() -> None:
    with socket.create_server(("", 0)) as server, pytest.raises(PortTaken, match="is taken"):
        require_free(server.getsockname()[1], purpose="Flower", setting="FLOWER_PORT")


def test_a_port_in_the_wake_of_closed_connections_is_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client:
            accepted, _ = server.accept()
            accepted.close()  # this side closes first and is left in TIME_WAIT
            assert client.recv(1) == b""
    require_free(port, purpose="the web server", setting="PORT")
