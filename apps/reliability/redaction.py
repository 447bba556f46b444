"""Keep secrets out of logs and admin pages: mask them by the name they go by and by the shape they have.

Runs on every log line, so ordinary values take a short way through. It never raises, whatever it is given,
and what it gives back is bounded: long texts are cut, deep, cyclic and huge structures end in a mark.
"""

import dataclasses
import re
from collections.abc import Iterable, Mapping
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from pathlib import PurePath
from typing import Any
from uuid import UUID

MASK = "[redacted]"
LONGEST_TEXT = 8_192
# A secret that lies across the cut must be seen whole to be known as one.
BEYOND_THE_CUT = 1_024
DEEPEST = 12
MOST_ITEMS = 5_000
LARGEST_INTEGER_BITS = 4_096
LONGEST_REMEMBERED = 64
MOST_REMEMBERED = 4_096

_SECRET_NAME = re.compile(
    r"pass[_-]?(?:word|wd|phrase)|passwd|secret|token|authorization|api[_-]?key|apikey|access[_-]?key"
    r"|private[_-]?key|encryption[_-]?key|credential|cookie|session[_-]?(?:id|key)|(?:^|[_-])auth$|signature",
    re.IGNORECASE,
)

# What secrets look like. Each alternative begins with a fixed character or two and none of them can match the
# same text in two ways: the time is linear in the text, whatever a stranger writes.
_SHAPES = re.compile(
    r"\d{1,20}:[\w-]{35,}"  # Telegram bot token, also in a URL (/bot123:…/sendMessage)
    r"|(?<![A-Za-z0-9])[srp]k[-_][\w-]{8,}"  # sk-…, sk_live_…: OpenAI, Anthropic, Stripe
    r"|(?P<own>sb_[A-Za-z0-9]{8}_)[\w-]+"  # our API keys; the prefix says which
    r"|gAAAA[\w-]{16,}={0,2}"  # Fernet
    r"|(?P<scheme>\b[Bb](?:earer|EARER|asic|ASIC)[ \t]+)[\w.~+/=-]{8,}"
    r"|(?<![\w-])eyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?"  # JWT
    r"|whsec_[\w+/=-]{8,}|xox[abeprs]-[\w-]{8,}|gh[opsur]_\w{16,}|A[KS]IA[0-9A-Z]{16}|EAA[A-Za-z0-9]{30,}"
    r"|-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----(?:(?!-----)[\s\S])*(?:-----END[^-]{0,60}-----)?"
    r"|(?P<user>://[^/\s:@]{0,100}:)[^/\s@]{1,300}(?=@)"  # redis://user:password@host
)
# `password=…`, `"token": "…"`, `?api_key=…` inside a text; the name stays, the value goes.
_ASSIGNMENT = re.compile(
    r"""(?P<name>(?:password|passwd|passphrase|secret|token(?!s)|api[_-]?key|access[_-]?key|private[_-]?key"""
    r"""|encryption[_-]?key|authorization|credentials?)[\w-]{0,20}\\{0,3}["']?\s{0,3}[=:]\s{0,3}"""
    r"""(?:b(?=["']))?(?:bearer\s{1,3}|basic\s{1,3})?\\{0,3})"""
    r"""(?:"[^"]*"?|'[^']*'?|[^\s"'&,;<>()\[\]{}\\]+)""",
    re.IGNORECASE,
)
_COOKIE = re.compile(r"""(?P<name>cookie["']?\s{0,3}[=:])[^\r\n]+""", re.IGNORECASE)

_WORDS = ("pass", "secret", "token", "key", "authorization", "credential", "cookie")  # of both patterns

_SMALL = 1 << 63
_AS_IT_IS = frozenset({bool, float, type(None)})
_PLAIN = (bool, float, date, time, timedelta, UUID, Decimal, type(None))
# structlog's own entries, which later processors need as they are.
_NOT_OURS = frozenset({"_record", "_from_structlog", "_logger", "_name", "exc_info"})


# Short texts that had nothing to mask: names of tasks, queues, fields and levels come with every line.
_harmless: set[str] = set()


def redact(value: Any) -> Any:
    """A copy of `value` without its secrets: dicts, lists and plain values; anything else becomes text.

    Under a name that sounds secret, everything but None, True, False and "" is masked; in other texts, what
    looks like a token is. Never raises.
    """
    kind = type(value)
    if kind is str:
        return redact_text(value)
    if kind in _AS_IT_IS:
        return value
    try:
        return _Walk().visit(value)
    except Exception:
        # A log line about a strange object must not become an exception of its own.
        return f"[can't be shown: {kind.__name__}]"


def redact_event(logger: Any, method: str, event: Any) -> Any:
    """structlog processor. Its place: after `format_exc_info`, last before the renderer."""
    clean = {}
    for name, value in event.items():
        clean[name] = value if name in _NOT_OURS else _redact_named(name, value)
    return clean


def redact_text(text: str) -> str:
    """`text` with what looks like a secret masked, cut after LONGEST_TEXT characters."""
    if text in _harmless:
        return text
    length = len(text)
    if length <= LONGEST_REMEMBERED:
        seen = _mask(text)
        if seen == text:
            if len(_harmless) >= MOST_REMEMBERED:
                _harmless.clear()
            _harmless.add(text)
        return seen
    if length > LONGEST_TEXT:
        seen = _mask(text[: LONGEST_TEXT + BEYOND_THE_CUT])
        return f"{seen[:LONGEST_TEXT]}… [{length - LONGEST_TEXT} characters more]"
    return _mask(text)


def is_secret_name(name: str) -> bool:
    """Whether a value by this name is to be masked: "api_key", "Authorization", "botToken"…"""
    return _is_secret_name(name) if len(name) <= 100 else bool(_SECRET_NAME.search(name))


@lru_cache(maxsize=4_096)
def _is_secret_name(name: str) -> bool:
    return bool(_SECRET_NAME.search(name))


def _redact_named(name: Any, value: Any) -> Any:
    if isinstance(name, str) and is_secret_name(name) and _hides_something(name, value):
        return MASK
    return redact(value)


def _hides_something(name: str, value: Any) -> bool:
    # Asked by type first: a stranger's object may answer a comparison with an exception.
    if value is None or isinstance(value, bool) or (type(value) in (str, bytes) and not value):
        return False
    # `tokens_in`, `max_tokens`: a count of an AI's tokens, not a credential.
    return not (isinstance(value, int | float) and "tokens" in name.lower())


def _mask(text: str) -> str:
    if not text.isascii():
        # A lone surrogate would break the stream that the log is written to.
        text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    # Shorter than any secret with a shape or a name.
    if len(text) < 8:
        return text
    text = _SHAPES.sub(_keep_lead, text)
    if "=" in text or ":" in text:
        # Looking for the words first is ten times faster than the patterns.
        lower = text.lower()
        if any(word in lower for word in _WORDS):
            text = _ASSIGNMENT.sub(_keep_name, text)
            text = _COOKIE.sub(_keep_name, text)
    return text


def _keep_lead(match: re.Match[str]) -> str:
    return f"{match['own'] or match['scheme'] or match['user'] or ''}{MASK}"


def _keep_name(match: re.Match[str]) -> str:
    return f"{match['name']}{MASK}"


class _Walk:
    """One walk through a structure: knows where it is (cycles) and how much it has shown."""

    def __init__(self) -> None:
        self.path: set[int] = set()
        self.left = MOST_ITEMS

    def visit(self, value: Any) -> Any:
        kind = type(value)
        if kind is str:
            return redact_text(value)
        if kind in _AS_IT_IS or (kind is int and -_SMALL < value < _SMALL):
            return value
        if isinstance(value, str):
            # A subclass may be an enum or bring methods of its own.
            return redact_text(str.__str__(value))
        if isinstance(value, _PLAIN):
            return value
        if isinstance(value, int):
            return value if value.bit_length() <= LARGEST_INTEGER_BITS else "[a huge number]"
        if isinstance(value, bytes | bytearray | memoryview):
            head = bytes(value[: LONGEST_TEXT + BEYOND_THE_CUT])
            return redact_text(head.decode("utf-8", "backslashreplace"))
        if isinstance(value, PurePath | Enum):
            return redact_text(str(value))
        if id(value) in self.path:
            return "[cycle]"
        if len(self.path) >= DEEPEST:
            return "[too deep]"
        self.path.add(id(value))
        try:
            return self._inside(value)
        except Exception:
            return f"[can't be shown: {type(value).__name__}]"
        finally:
            self.path.discard(id(value))

    def _inside(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            return self._named(value.items())
        if isinstance(value, tuple) and hasattr(value, "_fields"):
            return self._named(zip(value._fields, value, strict=False))
        if isinstance(value, list | tuple | set | frozenset):
            return self._listed(value)
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return self._named(
                (field.name, getattr(value, field.name)) for field in dataclasses.fields(value)
            )
        if isinstance(value, BaseException):
            return redact_text(f"{type(value).__name__}: {value}")
        return redact_text(repr(value))

    def _named(self, pairs: Iterable[tuple[Any, Any]]) -> dict[Any, Any]:
        shown: dict[Any, Any] = {}
        for name, value in pairs:
            if self.left <= 0:
                shown["…"] = "[cut: too many items]"
                break
            self.left -= 1
            label = name.decode("utf-8", "backslashreplace") if isinstance(name, bytes) else name
            secret = isinstance(label, str) and is_secret_name(label) and _hides_something(label, value)
            shown[self._label(label)] = MASK if secret else self.visit(value)
        return shown

    def _label(self, name: Any) -> Any:
        if type(name) is str:
            return redact_text(name)
        if isinstance(name, bool | int | float | None):
            return name
        return redact_text(name if isinstance(name, str) else str(name))

    def _listed(self, values: Iterable[Any]) -> list[Any]:
        shown = []
        for value in values:
            if self.left <= 0:
                shown.append("[cut: too many items]")
                break
            self.left -= 1
            shown.append(self.visit(value))
        return shown
