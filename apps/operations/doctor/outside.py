"""Asking servers: one GET or POST with short timeouts, and what went wrong in words."""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar
from urllib.parse import urlsplit

import requests
import urllib3.exceptions

from apps.reliability import http

TIMEOUT = (3.0, 5.0)
LARGEST_BODY = 2 * 1024 * 1024
AT_ONCE = 8
One = TypeVar("One")
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back. `problem` is why nothing did; `ahead` how many seconds our clock is before the server's."""

    status: int = 0
    body: bytes = b""
    headers: Mapping[str, str] | None = None
    problem: str = ""
    ahead: float | None = None

    def json(self) -> Any:
        """The body as JSON, None if it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    def header(self, name: str) -> str:
        return (self.headers or {}).get(name, "")


def ask(
    url: str, *, method: str = "GET", headers: Mapping[str, str] | None = None, data: bytes | None = None
) -> Reply:
    """One call without redirects. Never raises for what the network does; never repeats the address."""
    began = time.time()
    try:
        with http.session("doctor").request(
            method, url, headers=headers, data=data, timeout=TIMEOUT, allow_redirects=False, stream=True
        ) as response:
            body = response.raw.read(LARGEST_BODY, decode_content=True)
            ahead = _ahead(response.headers.get("Date", ""), began, time.time())
            return Reply(response.status_code, body, response.headers, ahead=ahead)
    except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
        return Reply(problem=words(error))


def words(error: BaseException) -> str:
    """Why a call came to nothing, without the address, which may hold a secret."""
    for cause in _beneath(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate is refused: {cause.verify_message}"
        if isinstance(cause, socket.gaierror):
            return "its name can't be resolved"
        if isinstance(cause, ConnectionRefusedError):
            return "connection refused: nothing listens there"
        if isinstance(cause, ssl.SSLError):
            return f"no TLS: {cause.reason or 'the connection broke off'}"
    if isinstance(error, requests.ConnectTimeout):
        return f"no connection within {TIMEOUT[0]:g} s"
    if isinstance(error, requests.Timeout):
        return f"no answer within {TIMEOUT[1]:g} s"
    return type(error).__name__


def _ahead(date: str, began: float, ended: float) -> float | None:
    """Seconds by which our clock is before the server's; the header has whole seconds, cut off."""
    try:
        theirs = parsedate_to_datetime(date).replace(tzinfo=UTC)
    except (TypeError, ValueError):
        return None
    between = datetime.fromtimestamp((began + ended) / 2, UTC)
    return (between - theirs).total_seconds() - 0.5


def side_by_side(function: Callable[[One], Answer], things: Iterable[One]) -> list[Answer]:
    """`function` of each, several at once, in their order. It must not use the database."""
    waiting = list(enumerate(things))[::-1]
    answers: dict[int, Answer] = {}
    errors: list[Exception] = []

    def work() -> None:
        try:
            while True:
                place, thing = waiting.pop()
                answers[place] = function(thing)
        except IndexError:
            return
        except Exception as error:
            errors.append(error)

    # Daemons, unlike those of an executor: a name that takes for ever to resolve must not hold up the end.
    threads = [threading.Thread(target=work, daemon=True) for _ in range(min(AT_ONCE, len(waiting)))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return [answers[place] for place in sorted(answers)]


def _beneath(error: BaseException) -> list[BaseException]:
    """`error` and what it was made from: requests and urllib3 keep it in `args` and `reason`."""
    found: list[BaseException] = []
    waiting: list[Any] = [error]
    while waiting and len(found) < 20:
        one = waiting.pop(0)
        if isinstance(one, BaseException) and one not in found:
            found.append(one)
            waiting += [*one.args, getattr(one, "reason", None), one.__cause__, one.__context__]
    return found


def host_of(url: str) -> str:
    """Scheme and host, for messages: paths and queries may hold secrets."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname or '?'}" + (f":{parts.port}" if parts.port else "")
