"""Nothing secret in what is logged, and nothing that breaks the logging."""

import dataclasses
import json
import uuid
from collections import OrderedDict, namedtuple
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.reliability import redaction
from apps.reliability.encryption import encrypt
from apps.reliability.redaction import LONGEST_TEXT, MASK, redact, redact_event, redact_text

PLANTED = "planted-hunter2-4711"
TELEGRAM = "123456789:AAF0abcdefghijklmnopqrstuvwxyz-_012"
SECRET_NAMES = [
    "password", "PASSWORD", "new_password", "token", "botToken", "access_token", "Authorization", "api_key",
    "apiKey", "X-API-Key", "apikey", "client_secret", "credentials", "Cookie", "Set-Cookie", "private_key",
    "sessionid", "ENCRYPTION_KEYS", "passphrase", "auth",
]  # fmt: skip
PLAIN_NAMES = [
    "job",
    "tokens_in",
    "author",
    "key",
    "dedupe_key",
    "idempotency_key",
    "monkey",
    "passed",
    "lane",
]
TOKENS = [
    TELEGRAM,
    "sk-proj-abcdefghijklmnop1234",
    "sk_live_abcdefghijklmnop",
    "sb_abcd1234_" + "x" * 43,
    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abc-DEF_123",
    "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
    "xoxb-1234567890-abcdef",
    "AKIAIOSFODNN7EXAMPLE",
    "ASIAIOSFODNN7EXAMPLE",
    "sqs://AKIAIOSFODNN7EXAMPL:abc%2Fdef@",
    "EAAG" + "a1B2" * 12,
    "-----BEGIN PRIVATE KEY-----\nMIIEvQ+/abc==\n-----END PRIVATE KEY-----",
]


def shown(value: Any) -> str:
    """Everything that a log line could make of a value."""
    return f"{value!r} {json.dumps(value, default=repr)}"


@pytest.mark.parametrize("name", SECRET_NAMES)
@pytest.mark.parametrize("value", [PLANTED, PLANTED.encode(), [PLANTED], {"x": PLANTED}, 4711, object()])
def test_what_goes_by_a_secret_name_is_masked(name: str, value: Any) -> None:
    for key in (name, name.encode()):
        assert redact({"deep": [{key: value}]}) == {"deep": [{name: MASK}]}


@pytest.mark.parametrize("name", SECRET_NAMES)
@pytest.mark.parametrize("value", [None, True, False, "", b""])
def test_that_there_is_none_is_no_secret(name: str, value: Any) -> None:
    assert redact({name: value})[name] in (None, True, False, "")


@pytest.mark.parametrize("name", PLAIN_NAMES)
def test_other_names_are_shown(name: str) -> None:
    assert redact({name: 4711}) == {name: 4711}


@pytest.mark.parametrize("token", [*TOKENS, "fernet"])
def test_what_looks_like_a_token_is_masked_anywhere(token: str) -> None:
    token = encrypt("x") if token == "fernet" else token
    for text in (
        token,
        f"before {token} after",
        f"https://api.example/{token}/send",
        f"({token})",
        f'"{token}"',
    ):
        clean = redact_text(text)
        assert MASK in clean
        assert token[12:] not in clean
        assert token[12:] not in shown(redact({"n": [text, {text: text}, (text,), {text}, text.encode()]}))


@pytest.mark.parametrize(
    "text",
    [
        f"password={PLANTED}",
        f"password: {PLANTED}",
        f'{{"password": "{PLANTED} and more"}}',
        f"{{'botToken': '{PLANTED}'}}",
        f"https://x.example/?a=1&api_key={PLANTED}&b=2",
        f"Authorization: Bearer {PLANTED}",
        f"Authorization: Basic {PLANTED}",
        f"authorization={PLANTED}",
        f"redis://user:{PLANTED}@host:6379/0",
        f"postgres://:{PLANTED}@host/db",
        f"Cookie: sessionid={PLANTED}; other={PLANTED}",
        json.dumps(json.dumps({"secret": PLANTED})),
        f"Vault(password='{PLANTED}')",
    ],
)
def test_a_secret_inside_a_text_is_masked(text: str) -> None:
    assert PLANTED not in redact_text(text)
    assert PLANTED not in shown(redact(ValueError(text)))
    assert PLANTED not in shown(redact([Exception(text), text.encode()]))


@pytest.mark.parametrize(
    "text",
    [
        "pipeline.generate_reply",
        "0b7c6f2e-1111-4222-8333-444455556666",
        "2026-11-22T01:55:26.123456+00:00",
        "What are your opening hours on Sunday: may I come by?",
        "a task-queue-name-that-is-long and a risk-assessment-of-things",
        "tokens: 12 in, 40 out; key: value",
        "http://localhost:8000/chat/0b7c6f2e",
        "grüße, Ω≈ç√ 你好",
    ],
)
def test_ordinary_texts_stay_as_they_are(text: str) -> None:
    assert redact(text) == text


@pytest.mark.parametrize("offset", range(0, 60, 7))
def test_a_token_across_the_cut_does_not_show_its_beginning(offset: int) -> None:
    text = "a " * ((LONGEST_TEXT - offset) // 2) + TELEGRAM + " b" * 10_000
    clean = redact_text(text)
    assert "AAF0" not in clean
    assert clean.endswith("characters more]")
    assert len(clean) < LONGEST_TEXT + 100


def test_huge_and_deep_things_are_cut() -> None:
    assert len(redact("x" * 50_000_000)) < LONGEST_TEXT + 100
    assert len(redact(b"x" * 50_000_000)) < LONGEST_TEXT + 100
    assert redact(10**5000) == "[a huge number]"
    assert len(redact(list(range(100_000)))) <= redaction.MOST_ITEMS + 1
    deep: Any = PLANTED
    for _ in range(100_000):
        deep = [deep]
    assert "too deep" in shown(redact(deep))
    laughs: Any = ["ha"]
    for _ in range(11):
        laughs = [laughs] * 10
    assert len(shown(redact(laughs))) < 1_000_000
    while isinstance(deep, list):  # taken apart by hand: the interpreter would recurse
        deep = deep[0]


def test_cycles_end() -> None:
    around: dict[str, Any] = {"password": PLANTED}
    around["again"] = [around]
    assert redact(around) == {"password": MASK, "again": ["[cycle]"]}
    same = {"a": 1}
    assert redact([same, same]) == [{"a": 1}, {"a": 1}]


class Colour(Enum):
    RED = "red"


Point = namedtuple("Point", "x secret")


@dataclasses.dataclass
class Account:
    name: str
    credentials: dict[str, str]


class Hostile:
    def __repr__(self) -> str:
        raise RuntimeError("no")

    __str__ = __repr__
    __eq__ = __hash__ = __bool__ = __len__ = None  # type: ignore[assignment]


class HostileText(str):
    def __len__(self) -> int:
        raise RuntimeError("no")

    __str__ = __repr__ = __len__  # type: ignore[assignment]


class HostileMapping(dict[str, str]):
    def items(self) -> Any:
        raise RuntimeError("no")


class HostileError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no")


def test_plain_values_are_kept_and_others_become_text() -> None:
    day = datetime(2026, 1, 1, tzinfo=UTC)
    plain = {
        "a": 1,
        "b": 1.5,
        "c": None,
        "d": day,
        "e": Decimal("1.5"),
        "f": uuid.UUID(int=1),
        "g": True,
        3: "three",
    }
    assert redact(plain) == plain
    assert redact(OrderedDict(a=(1, 2))) == {"a": [1, 2]}
    assert redact(Point(1, PLANTED)) == {"x": 1, "secret": MASK}
    assert redact(Account("x", {"a": PLANTED})) == {"name": "x", "credentials": MASK}
    assert redact(Path("/tmp/x")) == "/tmp/x"  # noqa: S108 - only a name
    assert redact(Colour.RED) == "Colour.RED"
    assert redact({1, 2}) == [1, 2]


@pytest.mark.parametrize(
    "make",
    [
        Hostile,
        lambda: HostileText("x"),
        lambda: HostileMapping(a="b"),
        HostileError,
        lambda: Hostile,
        lambda: type,
    ],
)
def test_hostile_objects_break_nothing(make: Callable[[], Any]) -> None:
    value = make()
    for given_value in (value, {"a": value, "b": PLANTED[:7]}, [value], {"password": value}):
        clean = redact(given_value)
        shown(clean)
    assert redact({"a": value, "b": 1})["b"] == 1


leaves = [
    st.none(), st.booleans(), st.integers(), st.floats(), st.binary(), st.text(st.characters(exclude_categories=())),
    st.datetimes(), st.uuids(), st.decimals(), st.complex_numbers(), st.builds(Hostile),
]  # fmt: skip
names = st.text() | st.integers() | st.binary()
anything = st.recursive(
    st.one_of(leaves),
    lambda inner: st.lists(inner) | st.dictionaries(names, inner) | st.tuples(inner, inner),
    max_leaves=20,
)


@given(anything)
def test_it_never_raises_and_what_it_gives_can_be_written(value: Any) -> None:
    json.dumps(redact(value), default=repr, ensure_ascii=False).encode()


@given(anything, st.sampled_from(SECRET_NAMES), st.sampled_from(TOKENS))
def test_a_secret_in_the_middle_of_anything_is_masked(value: Any, name: str, token: str) -> None:
    clean = shown(redact([value, {name: PLANTED}, {"text": f"see {token}", "inner": (value, {name: token})}]))
    assert PLANTED not in clean
    assert token[12:] not in clean


@given(st.text(st.characters(exclude_categories=())), st.sampled_from(TOKENS))
def test_no_text_around_a_token_brings_it_out(text: str, token: str) -> None:
    assert token[12:] not in redact_text(f"{text} {token}")


@given(anything)
def test_twice_is_like_once(value: Any) -> None:
    once = redact(value)
    assert shown(redact(once)) == shown(once)


def test_as_a_processor_it_keeps_what_structlog_needs() -> None:
    record, error = object(), (ValueError, ValueError("x"), None)
    line = {
        "event": f"sent to bot{TELEGRAM}",
        "token": PLANTED,
        "_record": record,
        "_from_structlog": True,
        "exc_info": error,
        "payload": {"password": PLANTED},
    }
    assert redact_event(None, "info", line) == {
        "event": f"sent to bot{MASK}",
        "token": MASK,
        "_record": record,
        "_from_structlog": True,
        "exc_info": error,
        "payload": {"password": MASK},
    }
    assert line["token"] == PLANTED


def test_the_memory_of_harmless_texts_is_bounded_and_holds_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redaction, "_harmless", set())
    for number in range(redaction.MOST_REMEMBERED + 10):
        redact_text(f"text number {number}")
    redact_text(TELEGRAM)
    redact_text(f"password={PLANTED}")
    assert len(redaction._harmless) == 10
    assert redact_text("text number 1") == "text number 1"
    assert MASK in redact_text(TELEGRAM)
