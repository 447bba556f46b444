"""Server-sent events, however the bytes are cut."""

import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.ai import streams
from apps.reliability.errors import TransientError

WHOLE = b': hello\r\n\r\nevent: ping\ndata: {"a": "\xc3\xa9"}\n\ndata:{"b":\ndata: 2}\n\nretry: 5\n\ndata: [DONE]\n\n'
EVENTS: list[dict[str, Any] | None] = [{"a": "é"}, {"b": 2}, None]


def read(*pieces: bytes) -> list[dict[str, Any] | None]:
    async def feed() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    async def gather() -> list[dict[str, Any] | None]:
        return [event async for event in streams.events(feed())]

    return asyncio.run(gather())


@given(st.lists(st.integers(0, len(WHOLE)), max_size=6))
def test_cut_anywhere(cuts):
    places = [0, *sorted(cuts), len(WHOLE)]
    assert read(*(WHOLE[a:b] for a, b in pairwise(places))) == EVENTS


def test_the_last_event_may_lack_its_end():
    assert read(b'data: {"a": 1}') == [{"a": 1}]
    assert read(b'data: {"a": 1}\n') == [{"a": 1}]
    assert read(b"") == read(b"event: x\n\n") == []


@pytest.mark.parametrize("broken", [b"data: {\n\n", b"data: 7\n\n", b'data: {"a": 1', b"data: \xff\n\n"])
def test_what_can_not_be_read(broken):
    with pytest.raises(TransientError) as caught:
        read(broken)
    assert caught.value.code == "unreadable_answer"


def test_an_event_without_end_is_given_up(monkeypatch):
    monkeypatch.setattr(streams, "LONGEST_EVENT", 100)
    with pytest.raises(TransientError, match="without end"):
        read(b"data: ", *[b"x" * 30] * 10)
