"""What happens right now, in a browser: typing, an answer that grows, a live stream that goes away and comes back."""

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from apps.channels.widget import drafts
from apps.reliability.redis_client import redis_client
from tests.browser.test_chat import ANSWER, ask, mine, theirs
from tests.fakes.plugin import WordsProvider
from tests.waiting import wait_until

pytestmark = pytest.mark.browser
NOW = "#waiting"


@pytest.fixture
def quick(context):
    """A clock that the test can set forward."""
    context.clock.install()
    return context.clock


def listening(page: Page, voice: Any) -> Page:
    """Asked, taken, and the stream hears what the worker says."""
    ask(page)
    expect(page.locator(".receipt")).to_be_visible()
    hears(page, voice)
    return page


def hears(page: Page, voice: Any) -> None:
    for _ in range(100):  # until the stream has joined
        voice.typing(page)
        try:
            expect(page.locator(NOW)).to_be_visible(timeout=200)
            return
        except AssertionError:
            continue
    raise AssertionError("the page never heard that somebody types")


def test_typing_then_words_then_the_answer(house, voice, tab, picture):
    page = tab()
    listening(page, voice)
    expect(page.locator(".receipt")).to_have_count(0)
    expect(page.locator("#status")).to_have_text("Writing an answer")
    expect(page.locator(f"{NOW} .dots")).to_be_visible()
    picture(page, "typing")
    text = ""
    for word in ("The library ", "is **open** ", "from:\n\n- nine ", "to five 👋🏽\n", "- on weekdays"):
        text += word
        voice.show(page, text)
    expect(page.locator("#draft strong")).to_have_text("open")
    expect(page.locator("#draft li")).to_have_count(2)
    expect(page.locator("#draft")).to_contain_text("to five 👋🏽")
    picture(page, "draft")
    assert page.locator("#log #draft").count() == 0, "what grows is not read out at every word"
    with house.worker("at last"):
        expect(theirs(page)).to_contain_text(ANSWER)
    expect(page.locator(NOW)).to_be_hidden()
    voice.show(page, text + " and what came late")  # the same draft: it has become a message
    voice.show(page, "So")  # and another one, a moment after
    ask(page, "And on Sundays?")
    expect(page.locator(".receipt")).to_be_visible()
    expect(page.locator(NOW)).to_be_hidden()
    hears(page, voice)


def test_the_words_of_the_ai_as_they_come(house, worker, context, picture):
    """The whole way: the provider streams, the worker tells the channel, Redis, the live stream, the page."""
    page = context.new_page()
    page.goto(f"{house.url}/chat/{house.seeded['typist']}")
    witness, words = house.witness, WordsProvider.WORDS
    witness.behave("ai", hold=True)
    try:
        ask(page, "When do you open?")
        for number in range(len(words)):
            wait_until(lambda: witness.held("ai") == 1, what="the AI to be asked for a word")
            said = "".join(words[:number]).replace("**", "").strip()
            expect(page.locator(NOW)).to_be_visible()
            expect(page.locator("#draft")).to_have_text(said)
            witness.behave("ai", hold=number < len(words) - 1)  # lets this one go, and keeps the next
        expect(page.locator("#log .line.out").last).to_contain_text("We open at nine and close at five.")
    finally:
        witness.behave_again()
    expect(page.locator(NOW)).to_be_hidden()
    expect(page.locator("#log .line.out strong")).to_have_text("nine")
    page.reload()
    expect(page.locator("#log .line.out").last).to_contain_text("We open at nine and close at five.")


def test_who_comes_late_sees_the_whole(voice, tab, settings):
    first = listening(tab(), voice)
    voice.show(first, "We open at")
    second = tab()
    hears(second, voice)
    expect(second.locator("#draft")).to_have_text("")
    # A piece alone doesn't fit; the whole text, which comes every second, does.
    conversation = first.evaluate("JSON.parse(Object.values(localStorage)[0]).conversation")
    for offset, text in ((10, " nine"), (0, "We open at nine"), (3, "open"), (15, " o'clock")):
        piece = {"draft": "0badcafe", "offset": offset, "text": text}
        redis_client().publish(drafts.TOPIC, drafts.line(conversation, "draft", piece))
    expect(second.locator("#draft")).to_have_text("We open at nine o'clock")


def test_a_second_try_begins_anew(voice, tab):
    page = listening(tab(), voice)
    voice.show(page, "The first provider said this and fell")
    expect(page.locator("#draft")).to_contain_text("fell")
    voice.show(page, "The second")
    expect(page.locator("#draft")).to_have_text("The second")


def test_typing_never_hangs(quick, voice, tab):
    page = tab()
    listening(page, voice)
    voice.show(page, "Half an ans")
    expect(page.locator("#draft")).to_have_text("Half an ans")
    quick.fast_forward(11_000)  # the worker died
    expect(page.locator(NOW)).to_be_hidden()
    expect(page.locator("#status")).to_have_text("")


def test_the_live_stream_is_killed_and_comes_back(house, worker, voice, tab):
    page = tab()
    ask(page)
    expect(theirs(page)).to_contain_text(ANSWER)
    house.kill_events()
    ask(page, "Asked without a live stream: when is it open?")
    expect(theirs(page)).to_have_count(2)  # the API has it all the same
    house.start_events()
    hears(page, voice)
    ask(page, "And with one again: when is it open?")
    expect(theirs(page)).to_have_count(3)
    expect(mine(page)).to_have_count(3)
    expect(page.get_by_text("Reconnecting…")).to_be_hidden()
    assert page.locator("#log .bubble").count() == 7  # each once, with the greeting
