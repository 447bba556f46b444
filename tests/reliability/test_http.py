"""Calls to the outside against a real server: what each ending means for the job."""

import json
import os
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import requests
import urllib3.exceptions
from hypothesis import given
from hypothesis import strategies as st

from apps.reliability import http
from apps.reliability.errors import (
    OutcomeUnknown,
    PermanentError,
    Postpone,
    SwitchboardError,
    TransientError,
)

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
PLANTED = "planted-path-4711"
SHORT = 0.2


class Handler(BaseHTTPRequestHandler):
    """/status/<n> answers n; /silent never; /hangup cuts the line; /half promises more than it sends."""

    protocol_version = "HTTP/1.1"
    server: "Server"

    def answer(self) -> None:
        self.server.calls.append((self.command, self.path))
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        words = self.path.split("?")[0].strip("/").split("/")
        if words[0] == "status":
            self.reply(int(words[1]), b"{}", **{"Retry-After": self.headers.get("Ask-Retry-After", "")})
        elif words[0] == "headers":
            self.reply(200, json.dumps(dict(self.headers)).encode())
        elif words[0] == "silent":
            self.server.released.wait(10)
            self.close_connection = True
        elif words[0] == "hangup":
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
        elif words[0] == "half":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
            self.close_connection = True
        elif words[0] == "bad-gzip":
            self.reply(200, b"not gzip", **{"Content-Encoding": "gzip"})
        elif words[0] == "around":
            self.reply(302, b"", Location="/around")

    def reply(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if value:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = answer

    def log_message(self, *args: Any) -> None:
        """Tests are silent."""


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.calls: list[tuple[str, str]] = []
        self.released = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, *args: Any) -> None:
        """Lines are cut on purpose here."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.released.set()
        running.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def fresh_sessions() -> Iterator[None]:
    """Connections to one test's server are closed before the next."""
    yield
    for session in getattr(http._local, "sessions", {}).values():
        session.close()
    http._local.sessions = {}


def call(method: str, url: str, **options: Any) -> SwitchboardError | None:
    """The way every client makes its calls."""
    try:
        response = http.session("test").request(method, url, **options)
    except requests.RequestException as error:
        return http.classify(error, now=NOW)
    return http.classify(response, now=NOW)


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (200, type(None)), (201, type(None)), (204, type(None)), (304, PermanentError), (400, PermanentError),
        (401, PermanentError), (403, PermanentError), (404, PermanentError), (409, PermanentError),
        (422, PermanentError), (408, TransientError), (425, TransientError), (429, Postpone),
        (500, TransientError), (502, TransientError), (503, TransientError), (504, TransientError),
    ],
)  # fmt: skip
def test_what_a_status_means(server: Server, method: str, status: int, kind: type) -> None:
    found = call(method, f"{server.url}/status/{status}")
    assert type(found) is kind
    if found:
        assert found.code == ("rate_limited" if status == 429 else f"http_{status}")
        assert str(found) == f"{method} 127.0.0.1: answered {status}"
    assert len(server.calls) == 1


def test_advice_says_what_to_do(server: Server) -> None:
    found = call("GET", f"{server.url}/status/401")
    assert isinstance(found, PermanentError)
    assert "credentials" in found.advice


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("30", 30.0), ("0", 0.0), ("1.5", 1.5), ("-5", 0.0), ("999999999", 86_400.0), ("soon", None), ("nan", None),
        ("inf", None), (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90.0),
        (format_datetime(NOW - timedelta(days=1), usegmt=True), 0.0),
    ],
)  # fmt: skip
def test_how_long_the_other_side_asks_to_wait(server: Server, header: str, seconds: float | None) -> None:
    found = call("POST", f"{server.url}/status/503", headers={"Ask-Retry-After": header})
    assert isinstance(found, TransientError)
    assert found.retry_after == seconds
    found = call("POST", f"{server.url}/status/429", headers={"Ask-Retry-After": header})
    assert isinstance(found, Postpone)
    assert found.seconds == (5.0 if seconds is None else max(1.0, seconds))


@given(st.text())
def test_no_retry_after_header_breaks_it(header: str) -> None:
    wait = http.retry_after(header, now=NOW)
    assert wait is None or 0 <= wait <= 86_400


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("silent", "read_timeout"),
        ("hangup", "connection_lost"),
        ("half", "answer_cut_off"),
        ("bad-gzip", "unreadable_answer"),
    ],
)
def test_a_call_that_may_have_arrived_is_unknown_unless_it_may_be_repeated(
    server: Server, path: str, code: str
) -> None:
    for method, kind in (("POST", OutcomeUnknown), ("GET", TransientError), ("PUT", TransientError)):
        server.calls.clear()
        found = call(method, f"{server.url}/{path}/{PLANTED}?token={PLANTED}", timeout=SHORT)
        assert type(found) is kind
        assert found.code == code
        assert PLANTED not in str(found)
        assert len(server.calls) == 1, "nothing is tried twice"


def test_where_nobody_listens_nothing_was_sent() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        found = call("POST", f"http://127.0.0.1:{free.getsockname()[1]}/{PLANTED}")
    assert type(found) is TransientError
    assert PLANTED not in str(found)


def test_a_name_that_does_not_resolve_is_transient(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any, **kwargs: Any) -> Any:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    assert type(call("POST", "http://nowhere.invalid/")) is TransientError


def test_a_server_that_does_not_speak_tls(server: Server) -> None:
    found = call("POST", server.url.replace("http:", "https:"), timeout=SHORT)
    assert isinstance(found, OutcomeUnknown | TransientError)


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("nonsense", {}), ("ftp://127.0.0.1/", {}), ("http://", {}), ("http://127.0.0.1:99999999/", {}),
        ("http://127.0.0.1/", {"headers": {"X": "a\nb"}}), ("http://127.0.0.1/", {"json": {"x": float("nan")}}),
    ],
)  # fmt: skip
def test_what_can_not_be_sent_at_all_is_permanent(url: str, options: dict[str, Any]) -> None:
    assert type(call("POST", url, **options)) is PermanentError


def test_a_circle_of_redirects_is_permanent(server: Server) -> None:
    assert type(call("GET", f"{server.url}/around")) is PermanentError


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (requests.ConnectTimeout(), TransientError),
        (requests.ConnectionError(urllib3.exceptions.ProtocolError("aborted")), OutcomeUnknown),
        (requests.RequestException(), OutcomeUnknown),
        (urllib3.exceptions.ReadTimeoutError(None, "/", "x"), OutcomeUnknown),  # type: ignore[arg-type]
        (ConnectionResetError(), OutcomeUnknown),
    ],
)
def test_without_a_request_the_careful_answer_holds(error: Exception, kind: type) -> None:
    assert type(http.classify(error)) is kind


def test_our_own_errors_stay_and_bugs_are_raised() -> None:
    ours = Postpone(3)
    assert http.classify(ours) is ours
    with pytest.raises(ZeroDivisionError):
        http.classify(ZeroDivisionError())


def test_special_failures_stand_before_general_ones() -> None:
    kinds = [kind for kind, _, _ in http.FAILURES]
    for place, kind in enumerate(kinds):
        assert not any(issubclass(kind, earlier) for earlier in kinds[:place]), f"{kind} is never reached"


def test_every_exception_of_requests_has_a_meaning() -> None:
    for kind in vars(requests.exceptions).values():
        if not isinstance(kind, type) or not issubclass(kind, requests.RequestException):
            continue
        made = kind("x", "y", 0) if issubclass(kind, requests.JSONDecodeError) else kind()
        assert isinstance(http.classify(made), SwitchboardError)


def test_the_environment_is_ignored(server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    answer = http.session("test").get(f"{server.url}/headers").json()
    assert "Authorization" not in answer
    assert answer["User-Agent"] == "Switchboard"


def test_one_session_for_each_service_and_thread() -> None:
    mine = http.session("one")
    assert http.session("one") is mine
    assert http.session("two") is not mine
    others: list[requests.Session] = []
    thread = threading.Thread(target=lambda: others.append(http.session("one")))
    thread.start()
    thread.join()
    assert others[0] is not mine


def test_a_forked_child_gets_sessions_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = http.session("one")
    monkeypatch.setattr(http.os, "getpid", lambda: -1)
    assert http.session("one") is not mine
    monkeypatch.undo()
    assert os.getpid() != -1


@pytest.mark.parametrize(
    ("given_timeout", "used"),
    [
        (None, http.TIMEOUT),
        (3, (3, 3)),
        ((1, 2), (1, 2)),
        ((1, None), (1, http.TIMEOUT[1])),
        (0, http.TIMEOUT),
    ],
)
def test_no_call_is_without_a_time_limit(
    monkeypatch: pytest.MonkeyPatch, given_timeout: Any, used: tuple[float, float]
) -> None:
    seen: list[Any] = []

    def send(self: Any, request: Any, stream: bool, timeout: Any, *rest: Any) -> requests.Response:
        seen.append(timeout)
        response = requests.Response()
        response.status_code, response.request, response.url = 200, request, request.url
        response._content = b""
        return response

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", send)
    http.session("test").get("http://127.0.0.1/", timeout=given_timeout)
    assert seen == [used]
