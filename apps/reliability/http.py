"""Plain calls to the outside: one `requests` session per service and thread, and what their failures mean.

    try:
        response = http.session("telegram").post(url, json=body)
    except requests.RequestException as error:
        raise http.classify(error) from error
    if failure := http.classify(response):
        raise failure

Sessions ignore the environment (no proxy, no .netrc), try nothing twice (the ledger does that) and never wait
without end. A provider's client looks at its provider's own words first and leaves the rest to `classify`.
"""

import os
import ssl
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum
from math import isfinite
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3.exceptions
from requests.adapters import HTTPAdapter

from apps.reliability.errors import OutcomeUnknown, PermanentError, Postpone, SwitchboardError, TransientError

# Seconds to connect, and between two bytes of the answer.
TIMEOUT = (5.0, 20.0)
CONNECTIONS_PER_HOST = 10
LONGEST_RETRY_AFTER = 86_400.0
# Seconds for which "too many requests" is heeded: where no time is said, and at least.
USUAL_PAUSE, SHORTEST_PAUSE = 5.0, 1.0
# RFC 9110: doing these twice is like doing them once.
IDEMPOTENT = frozenset({"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"})


class Reached(Enum):
    """How far a call came that ended in an exception."""

    NOWHERE = "it was cut off before it was sent"
    MAYBE = "it was sent, or may have been"
    REFUSED_HERE = "it can't be sent at all"


# requests' exceptions, the special ones first. ConnectionError and SSLError are looked into (`_reached`).
FAILURES: tuple[tuple[type[Exception], Reached, str], ...] = (
    (requests.ConnectTimeout, Reached.NOWHERE, "connect_timeout"),
    (requests.exceptions.ProxyError, Reached.NOWHERE, "proxy"),
    (requests.exceptions.SSLError, Reached.MAYBE, "tls"),
    (requests.ReadTimeout, Reached.MAYBE, "read_timeout"),
    (requests.Timeout, Reached.MAYBE, "timeout"),
    (requests.exceptions.InvalidURL, Reached.REFUSED_HERE, "invalid_url"),
    (requests.exceptions.MissingSchema, Reached.REFUSED_HERE, "invalid_url"),
    (requests.exceptions.InvalidSchema, Reached.REFUSED_HERE, "invalid_url"),
    (requests.URLRequired, Reached.REFUSED_HERE, "invalid_url"),
    (requests.exceptions.InvalidHeader, Reached.REFUSED_HERE, "invalid_header"),
    (requests.TooManyRedirects, Reached.REFUSED_HERE, "too_many_redirects"),
    (requests.exceptions.UnrewindableBodyError, Reached.REFUSED_HERE, "unrewindable_body"),
    (requests.JSONDecodeError, Reached.MAYBE, "unreadable_answer"),
    (requests.exceptions.InvalidJSONError, Reached.REFUSED_HERE, "invalid_json"),
    (requests.exceptions.ChunkedEncodingError, Reached.MAYBE, "answer_cut_off"),
    (requests.exceptions.ContentDecodingError, Reached.MAYBE, "unreadable_answer"),
    (requests.ConnectionError, Reached.MAYBE, "connection_lost"),
    (requests.RequestException, Reached.MAYBE, "request_failed"),
    (urllib3.exceptions.HTTPError, Reached.MAYBE, "connection_lost"),
    (OSError, Reached.MAYBE, "connection_lost"),
)
# What urllib3 says when no byte of the request can have left.
NEVER_CONNECTED = (
    urllib3.exceptions.NewConnectionError,
    urllib3.exceptions.ConnectTimeoutError,
    urllib3.exceptions.EmptyPoolError,
    urllib3.exceptions.LocationParseError,
)

TOO_MANY_REQUESTS = 429
# 4xx that may well work later, beside all of 5xx.
TRANSIENT_STATUSES = frozenset({408, 425})
ADVICE = {
    400: "The request isn't what the service expects: look at its answer.",
    401: "Check the credentials of this account.",
    403: "Check what the credentials of this account may do.",
    404: "Check the address: the service knows nothing under it.",
    410: "What this addresses is gone for good: remove it.",
    413: "Send less: the service finds the request too large.",
}

_local = threading.local()


class Adapter(HTTPAdapter):
    """Never without a time limit, never a second try of its own."""

    def __init__(self) -> None:
        super().__init__(
            pool_connections=CONNECTIONS_PER_HOST, pool_maxsize=CONNECTIONS_PER_HOST, max_retries=0
        )

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: float | tuple[float, float] | tuple[float, None] | None = None,
        verify: bool | str = True,
        cert: Any = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        connect, read = timeout if isinstance(timeout, tuple) else (timeout, timeout)
        limits = (connect or TIMEOUT[0], read or TIMEOUT[1])
        return super().send(request, stream, limits, verify, cert, proxies)


class Session(requests.Session):
    """Ours: `trust_env` off, our adapter, and exceptions that always know their request."""

    def __init__(self) -> None:
        super().__init__()
        self.trust_env = False
        self.headers["User-Agent"] = "Switchboard"
        for scheme in ("http://", "https://"):
            self.mount(scheme, Adapter())

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        try:
            return super().send(request, **kwargs)
        except requests.RequestException as error:
            # requests leaves it out of what goes wrong while the body is read; `classify` needs the method.
            error.request = error.request or request
            raise


def session(service: str) -> requests.Session:
    """This thread's session for `service`, a name of the caller's choice. Don't pass it to another thread.

    Calls without a timeout get TIMEOUT; `timeout=` sets another, None doesn't take it away.
    """
    pid = os.getpid()
    if getattr(_local, "pid", None) != pid:
        # A forked child must not talk on its parent's connections.
        _local.pid, _local.sessions = pid, {}
    sessions: dict[str, requests.Session] = _local.sessions
    if service not in sessions:
        sessions[service] = Session()
    return sessions[service]


def classify(found: requests.Response | Exception, *, now: datetime | None = None) -> SwitchboardError | None:
    """What a response or exception means for the job: an error of our tree to raise, None for a success.

    429 is Postpone with the code `rate_limited`: nobody should call meanwhile, and no attempt is spent.
    A call that may have arrived is TransientError if its method is idempotent, else OutcomeUnknown. Messages
    name method and host, never path or query: tokens live there. `now` is for Retry-After given as a date.
    Raises `found` itself if it is neither ours nor one of requests: a bug, not an answer.
    """
    if isinstance(found, SwitchboardError):
        return found
    if isinstance(found, requests.Response):
        return _classify_response(found, now or datetime.now(UTC))
    for kind, reached, code in FAILURES:
        if isinstance(found, kind):
            return _classify_failure(found, _reached(found, reached), code)
    raise found


def _classify_response(response: requests.Response, now: datetime) -> SwitchboardError | None:
    status = response.status_code
    if 200 <= status < 300:
        return None
    message = f"{_what(response.request)}: answered {status}"
    if status == TOO_MANY_REQUESTS:
        asked = retry_after(response.headers.get("Retry-After"), now=now)
        return Postpone(pause(asked), message, code="rate_limited")
    if status >= 500 or status in TRANSIENT_STATUSES:
        wait = retry_after(response.headers.get("Retry-After"), now=now)
        return TransientError(message, retry_after=wait, code=f"http_{status}")
    return PermanentError(message, code=f"http_{status}", advice=ADVICE.get(status, ""))


def _classify_failure(error: Exception, reached: Reached, code: str) -> SwitchboardError:
    request = getattr(error, "request", None)
    message = f"{_what(request)}: {code.replace('_', ' ')}"
    if reached is Reached.REFUSED_HERE:
        return PermanentError(message, code=code, advice="Check the address and what is sent there.")
    if reached is Reached.NOWHERE or (request is not None and request.method in IDEMPOTENT):
        return TransientError(message, code=code)
    return OutcomeUnknown(message, code=code)


def _reached(error: Exception, by_type: Reached) -> Reached:
    """The table's word, unless what lies beneath proves that no byte of the request left."""
    if by_type is not Reached.MAYBE:
        return by_type
    for cause in _causes(error):
        if isinstance(cause, (*NEVER_CONNECTED, ssl.SSLCertVerificationError)):
            return Reached.NOWHERE
    return by_type


def _causes(error: BaseException) -> list[BaseException]:
    """`error` and what it was made from: requests and urllib3 keep it in `args` and `reason`."""
    found: list[BaseException] = []
    waiting: list[Any] = [error]
    while waiting and len(found) < 20:
        one = waiting.pop()
        if isinstance(one, BaseException) and one not in found:
            found.append(one)
            waiting += [*one.args, getattr(one, "reason", None)]
    return found


def _what(request: Any) -> str:
    method = getattr(request, "method", None) or "request"
    url = getattr(request, "url", None) or ""
    return f"{method} {urlsplit(url).hostname or 'unknown host'}"


def pause(asked: float | None) -> float:
    """Seconds for which somebody who answered "too many requests" is left alone: as long as was asked for, and at
    least a moment, because a 429 costs no attempt and would come back at once for ever."""
    return USUAL_PAUSE if asked is None else max(asked, SHORTEST_PAUSE)


def retry_after(value: str | None, *, now: datetime) -> float | None:
    """Seconds to wait by a Retry-After header (seconds or HTTP date), 0 to a day; None if it says nothing."""
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            at = parsedate_to_datetime(value)
        except (ValueError, TypeError, OverflowError):
            return None
        seconds = (at.replace(tzinfo=at.tzinfo or UTC) - now).total_seconds()
    if not isfinite(seconds):
        return None
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER)
