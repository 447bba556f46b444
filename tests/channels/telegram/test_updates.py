"""What people and Telegram do, as events. The updates are made by the fake, as a webhook would get them."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.channels.base import Malformed
from apps.channels.events import (
    ContactClosed,
    ContactMoved,
    ContactReopened,
    ProviderEvent,
    TextReceived,
    Unknown,
)
from apps.channels.telegram.contents import CONTENTS
from apps.channels.telegram.updates import parse
from tests.fakes.telegram import World


@pytest.fixture
def world():
    return World()


@pytest.fixture
def bot(world):
    return world.bot("helper_bot")


@pytest.fixture
def ada(world):
    return world.person("Ada", last_name="Lovelace", username="ada")


def only(update):
    (event,) = parse(json.dumps(update).encode())
    assert event.event_id == f"update:{update['update_id']}"
    assert event.raw == update
    return event


class TestPrivate:
    def test_a_text(self, ada, bot):
        event = only(ada.writes("Hello 👍", bot))
        assert isinstance(event, TextReceived)
        assert (event.sender, event.text, event.sender_name) == (str(ada.id), "Hello 👍", "Ada Lovelace")

    def test_start_opens_the_conversation(self, ada, bot):
        event = only(ada.starts(bot))
        assert (event.text, event.opens) == ("/start", True)

    @pytest.mark.parametrize(
        ("text", "opens"), [("/start promo7", True), ("/started", False), ("start", False)]
    )
    def test_what_opens_and_what_does_not(self, ada, bot, text, opens):
        assert only(ada.writes(text, bot)).opens is opens

    @pytest.mark.parametrize(
        ("content", "text"),
        [
            ({"photo": [{"file_id": "x"}], "caption": "my cat"}, "[photo] my cat"),
            ({"photo": [{"file_id": "x"}]}, "[photo]"),
            ({"voice": {"duration": 3}}, "[voice message]"),
            ({"sticker": {"emoji": "👍"}}, "[sticker 👍]"),
            ({"sticker": {"type": "regular"}}, "[sticker]"),
            ({"document": {"file_name": "offer.pdf"}, "caption": "see"}, "[document offer.pdf] see"),
            ({"animation": {"a": 1}, "document": {"file_name": "x.mp4"}}, "[animation]"),
            ({"location": {"latitude": 52.5, "longitude": 13.4}}, "[location 52.5 13.4]"),
            (
                {"venue": {"title": "Zoo", "address": "Street 1"}, "location": {"latitude": 1}},
                "[venue Zoo Street 1]",
            ),
            ({"contact": {"first_name": "Bob", "phone_number": "+49"}}, "[contact Bob]"),
            ({"poll": {"question": "Tea?"}}, "[poll Tea?]"),
            ({"dice": {"emoji": "🎲", "value": 4}}, "[dice 🎲 4]"),
            ({"caption": "words alone"}, "words alone"),
        ],
    )
    def test_what_is_no_text_becomes_a_word(self, ada, bot, content, text):
        assert only(ada.sends(bot, **content)).text == text

    @pytest.mark.parametrize("field", [one[0] for one in CONTENTS])
    def test_every_kind_of_content_says_something(self, ada, bot, field):
        assert only(ada.sends(bot, **{field: {"any": "thing"}})).text.startswith("[")

    def test_blocking_and_coming_back(self, ada, bot):
        closed = only(ada.blocks(bot))
        assert isinstance(closed, ContactClosed)
        assert (closed.sender, closed.reason) == (str(ada.id), "bot_blocked")
        reopened = only(ada.unblocks(bot))
        assert isinstance(reopened, ContactReopened)
        assert reopened.sender == str(ada.id)

    def test_an_edit_is_kept(self, ada, bot):
        event = only(ada.edits("other", bot))
        assert isinstance(event, Unknown)
        assert (event.kind, event.sender) == ("edited_message", str(ada.id))

    def test_an_empty_text_is_nothing(self, ada, bot):
        assert isinstance(only(ada.writes(" \n ", bot)), Unknown)

    def test_a_bot_is_ignored(self, ada, bot, world):
        other = world.bot("other_bot")
        event = only(ada.sends(bot, text="beep", **{"from": other.user}))
        assert isinstance(event, Unknown)
        assert event.kind == "message:bot"

    def test_payments_are_kept_for_those_who_read_them(self, ada, bot):
        event = only(ada.sends(bot, successful_payment={"currency": "XTR"}))
        assert event.kind == "message:successful_payment"


class TestGroups:
    @pytest.fixture
    def group(self, world, bot, ada):
        group = world.group("Team")
        group.adds(bot, by=ada)
        return group

    @pytest.mark.parametrize(
        "more",
        [
            {"text": "/help", "entities": [{"type": "bot_command", "offset": 0, "length": 5}]},
            {"text": "👍 hi @helper_bot", "entities": [{"type": "mention", "offset": 6, "length": 11}]},
            {
                "photo": [{}],
                "caption": "@HELPER_BOT look",
                "caption_entities": [{"type": "mention", "offset": 0, "length": 11}],
            },
            {"text": "and now?", "reply_to_message": {"from": {"id": 7, "is_bot": True}}},
        ],
        ids=["command", "mention", "mention in a caption", "reply"],
    )
    def test_who_asks_the_bot_is_answered(self, ada, bot, group, more):
        event = only(ada.sends(bot, to=group, **more))
        assert isinstance(event, TextReceived)
        assert (event.sender, event.sender_name) == (str(group.id), "Team")

    @pytest.mark.parametrize(
        "more",
        [
            {"text": "hi all"},
            {"text": "hi @bob", "entities": [{"type": "mention", "offset": 3, "length": 4}]},
            {"text": "try /help", "entities": [{"type": "bot_command", "offset": 4, "length": 5}]},
            {"text": "yes", "reply_to_message": {"from": {"id": 8, "is_bot": False}}},
            {"text": "x", "entities": [{"type": "mention", "offset": -1, "length": 10**9}]},
        ],
    )
    def test_other_talk_is_not_for_us(self, ada, bot, group, more):
        event = only(ada.sends(bot, to=group, **more))
        assert isinstance(event, Unknown)
        assert event.kind == "message:group"

    def test_an_anonymous_administrator_may_ask(self, ada, bot, group):
        more = {"from": {"id": 1087968824, "is_bot": True, "first_name": "Group"}, "sender_chat": group.chat}
        entities = [{"type": "bot_command", "offset": 0, "length": 5}]
        event = only(ada.sends(bot, to=group, text="/help", entities=entities, **more))
        assert isinstance(event, TextReceived)

    @pytest.mark.parametrize("status", ["kicked", "left"])
    def test_removed_and_added_again(self, ada, bot, group, status):
        event = only(group.removes(bot, by=ada, status=status))
        assert isinstance(event, ContactClosed)
        assert (event.sender, event.reason) == (str(group.id), "bot_removed")
        assert isinstance(only(group.adds(bot, by=ada, status="administrator")), ContactReopened)

    def test_becoming_a_supergroup(self, world, bot, group):
        seen = []
        world.deliver = lambda bot, chat_id, update: seen.append(update)
        supergroup = group.upgrades(bot)
        moved, arrived = map(only, seen)
        assert isinstance(moved, ContactMoved)
        assert (moved.sender, moved.to) == (str(group.id), str(supergroup.id))
        assert isinstance(arrived, Unknown)
        assert arrived.kind == "message:migrate_from_chat_id"

    def test_who_came_and_went_is_a_service_message(self, ada, bot, group):
        event = only(ada.sends(bot, to=group, new_chat_members=[ada.user]))
        assert event.kind == "message:new_chat_members"


@pytest.mark.parametrize("kind", ["channel_post", "callback_query", "chat_member", "something_new"])
def test_what_nothing_follows_from_is_kept(kind):
    event = only({"update_id": 7, kind: {"chat": {"id": -100, "type": "channel"}, "text": "x"}})
    assert isinstance(event, Unknown)
    assert (event.kind, event.sender) == (kind, "-100")


def test_a_message_of_a_channel_is_kept():
    event = only({"update_id": 7, "message": {"chat": {"id": -100, "type": "channel"}, "text": "x"}})
    assert event.kind == "message:channel"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nonsense",
        b"[]",
        b"7",
        b"null",
        b"{}",
        b'{"update_id": "7"}',
        b'{"update_id": true}',
        b'{"update_id": 1.5}',
        b'{"update_id": 99999999999999999999}',
        b'{"update_id": 1, "x": NaN}',
        b'{"update_id": ' + b"9" * 5000 + b"}",
        b"\xff\xfe\x00",
        b"[" * 100_000,
    ],
)
def test_what_is_no_update(body):
    with pytest.raises(Malformed):
        parse(body)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
FIELDS = (
    "chat", "from", "id", "type", "text", "caption", "entities", "caption_entities", "is_bot", "sender_chat",
    "reply_to_message", "migrate_to_chat_id", "new_chat_member", "status", "photo", "sticker", "location", "offset",
    "length", "title", "first_name", "username",
)  # fmt: skip
KINDS = ["private", "group", "supergroup", "channel", "kicked", "member", "mention", "bot_command"]
likely = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.integers()
    | st.text(max_size=5)
    | st.sampled_from(KINDS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=6),
    max_leaves=20,
)


@given(
    st.one_of(
        json_values,
        st.fixed_dictionaries(
            {"update_id": st.integers(0, 10)},
            optional={"message": likely, "my_chat_member": likely, "edited_message": likely, "poll": likely},
        ),
    )
)
def test_whatever_comes_it_is_an_event_or_malformed(value):
    try:
        (event,) = parse(json.dumps(value).encode())
    except Malformed:
        return
    assert isinstance(event, ProviderEvent)
    assert len(event.event_id) <= 255
    assert len(event.sender) <= 255
    if isinstance(event, TextReceived):
        assert event.sender
        assert event.text


@given(st.binary(max_size=200))
def test_bytes_of_any_kind(body):
    with contextlib.suppress(Malformed):  # the only refusal there is
        parse(body)
