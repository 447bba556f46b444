"""The chat page in a real browser: a question, its answer, and everything that gets in between."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, Route, expect

from tests.servers.switchboard import Switchboard
from tests.waiting import wait_until

pytestmark = pytest.mark.browser

ANSWER = re.compile("nine to five")
QUESTION = "When is the library open?"
POSTS = "**/api/v1/widget/messages"
Tab = Callable[[], Page]
Picture = Callable[[Page, str], None]


def ask(page: Page, text: str = QUESTION) -> None:
    page.get_by_label("Your message").fill(text)
    page.get_by_role("button", name="Send").click()


def mine(page: Page) -> Any:
    return page.locator("#log .line.in")


def theirs(page: Page) -> Any:
    """Answers, without the greeting."""
    return page.locator("#log .line.out").filter(has_not_text=re.compile("Hello$"))


def texts(page: Page) -> list[str]:
    return [text.strip() for text in page.locator("#log .bubble").all_inner_texts()]


def events_in_the_inbox(house: Switchboard, text: str) -> int:
    query = "SELECT count(*) AS n FROM frontdoor_inboundevent WHERE payload LIKE %s"
    return int(house.ledger.one(query, f"%{text}%"))


def test_a_question_and_its_answer(worker, tab, picture):
    page = tab()
    expect(page.get_by_role("heading", name="Library")).to_be_visible()
    expect(page.get_by_role("log")).to_contain_text("Hello")
    expect(page.get_by_role("button", name="Send")).to_be_disabled()
    ask(page)
    expect(page.get_by_label("Your message")).to_be_empty()
    expect(mine(page)).to_have_text(re.compile(re.escape(QUESTION)))
    expect(theirs(page)).to_contain_text(ANSWER)
    expect(page.locator("#waiting")).to_be_hidden()
    expect(page.locator(".state")).to_have_count(0)
    assert len(texts(page)) == 3
    picture(page, "answered")


def test_one_process_may_serve_everything(house, worker, context):
    """As in the demo: pages, API and live stream from the ASGI application."""
    page = context.new_page()
    page.goto(f"{house.start_events()}/chat/{house.seeded['library']}")
    ask(page)
    expect(theirs(page)).to_contain_text(ANSWER)


def test_a_reload_keeps_the_conversation(worker, tab):
    page = tab()
    ask(page)
    expect(theirs(page)).to_contain_text(ANSWER)
    before = texts(page)
    page.reload()
    expect(theirs(page)).to_contain_text(ANSWER)
    assert texts(page) == before
    ask(page, "And on weekdays?")
    expect(theirs(page)).to_have_count(2)
    assert len(texts(page)) == 5


def test_what_was_said_before_is_not_read_out_again(worker, tab):
    page = tab()
    log = page.get_by_role("log")
    expect(log).to_have_attribute("aria-live", "polite")
    ask(page)
    expect(theirs(page)).to_contain_text(ANSWER)
    held: list[Route] = []
    page.route("**/api/v1/widget/events", lambda route: held.append(route))
    page.reload()
    wait_until(lambda: (page.wait_for_timeout(20), held)[1], what="the page to ask for its history")
    expect(log).to_have_attribute("aria-live", "off")
    held[0].continue_()
    expect(theirs(page)).to_contain_text(ANSWER)
    expect(log).to_have_attribute("aria-live", "polite")


def test_two_tabs_show_the_same(worker, tab):
    first, second = tab(), tab()
    ask(first)  # the second tab was open before there was a conversation
    expect(theirs(first)).to_contain_text(ANSWER)
    expect(theirs(second)).to_contain_text(ANSWER)
    ask(second, "Is the library open on weekdays?")
    for page in (first, second):
        expect(theirs(page)).to_have_count(2)
        expect(mine(page)).to_have_count(2)
    assert texts(first) == texts(second)


def test_what_was_accepted_says_so_until_there_is_more_to_tell(house, tab, picture):
    """Nobody is typing as long as no worker says so."""
    page = tab()
    ask(page)
    expect(page.locator(".line.in .receipt")).to_have_text("Sent")
    expect(page.locator("#waiting")).to_be_hidden()
    expect(page.locator(".line.in .state")).to_have_count(0)
    picture(page, "sent")
    with house.worker("late"):
        expect(theirs(page)).to_contain_text(ANSWER)
    expect(page.locator(".receipt")).to_have_count(0)


def test_the_network_goes_and_comes_back(house, worker, context: BrowserContext, tab, picture):
    page = tab()
    ask(page)
    expect(theirs(page)).to_contain_text(ANSWER)
    context.set_offline(True)
    ask(page, "Asked without a network: when is it open?")
    expect(page.locator(".line.failed")).to_contain_text("Not sent.")
    expect(page.get_by_role("button", name="Try again")).to_be_visible()
    expect(page.get_by_text("Reconnecting…")).to_be_visible()
    picture(page, "failed")
    context.set_offline(False)  # it is sent by itself
    expect(theirs(page)).to_have_count(2)
    expect(page.get_by_text("Reconnecting…")).to_be_hidden()
    expect(page.locator(".state")).to_have_count(0)
    expect(mine(page)).to_have_count(2)
    assert events_in_the_inbox(house, "Asked without a network") == 1


def test_try_again_and_an_answer_that_got_lost_store_it_once(house, worker, tab):
    page = tab()
    posted: list[str] = []

    def lose_the_answer(route: Route) -> None:
        if route.request.method != "POST":
            route.continue_()
            return
        posted.append(route.request.post_data_json["id"])
        route.fetch()  # it arrives, but nobody hears of it
        route.abort()

    page.route(POSTS, lose_the_answer)
    ask(page, "Asked again and again: when is it open?")
    expect(page.get_by_role("button", name="Try again")).to_be_visible()
    page.unroute(POSTS)
    page.get_by_role("button", name="Try again").click()
    expect(theirs(page)).to_contain_text(ANSWER)
    expect(page.locator(".state")).to_have_count(0)
    expect(mine(page)).to_have_count(1)
    assert len(posted) == 3
    assert len(set(posted)) == 1
    assert events_in_the_inbox(house, "Asked again and again") == 1


def test_what_was_not_sent_survives_a_reload(house, worker, context, tab, chat):
    page = tab()
    page.route("**/api/v1/widget/**", lambda route: route.abort())
    ask(page, "Asked before a reload: when is it open?")
    expect(page.get_by_role("button", name="Try again")).to_be_visible()
    page.unroute("**/api/v1/widget/**")
    page.reload()
    expect(theirs(page)).to_contain_text(ANSWER)
    expect(mine(page)).to_have_count(1)
    assert events_in_the_inbox(house, "Asked before a reload") == 1


def test_messages_in_a_row_keep_their_order(worker, tab):
    page = tab()
    for number in range(5):
        ask(page, f"Question {number}: when is the library open?")
    expect(page.locator(".state")).to_have_count(0)
    expect(mine(page)).to_have_count(5)
    wait_until(lambda: theirs(page).count() >= 1, what="an answer")
    said = mine(page).all_inner_texts()
    assert [int(re.search(r"Question (\d)", text)[1]) for text in said] == [0, 1, 2, 3, 4]


def test_without_a_live_stream_it_asks(worker, context, tab):
    context.route("**/api/v1/widget/events", lambda route: route.fulfill(status=404, body="no"))
    page = tab()
    ask(page)
    expect(theirs(page)).to_contain_text(ANSWER)
    expect(page.locator("#link")).to_be_hidden()


def test_a_conversation_that_was_closed_goes_on_in_a_new_one(house, worker, tab):
    page = tab()
    ask(page)
    expect(theirs(page)).to_contain_text(ANSWER)
    house.ledger.rows("UPDATE conversations_conversation SET state = 'closed'")
    wait_until(lambda: closed_is_noticed(page), 10, "the door to notice")
    ask(page, "And now, when is it open?")
    expect(theirs(page)).to_have_count(2)
    expect(page.locator("#log .note")).to_have_count(1)
    said = [text.strip() for text in page.locator("#log > li").all_inner_texts()]
    (border,) = [place for place, text in enumerate(said) if text.startswith("A new conversation")]
    assert QUESTION in said[1]
    assert ANSWER.search(said[2])
    assert "And now" in said[border + 1]
    assert ANSWER.search(said[border + 2])
    assert len(said) == border + 3


def closed_is_noticed(page: Page) -> bool:
    """The web process remembers a conversation for two seconds."""
    return bool(
        page.evaluate(
            """async () => {
                const key = Object.keys(localStorage)[0];
                const { token } = JSON.parse(localStorage[key]);
                const response = await fetch("/api/v1/widget/messages", {
                    method: "POST",
                    headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
                    body: JSON.stringify({ id: "00000000-0000-4000-8000-000000000001", text: "Is it closed?" }),
                });
                return response.status === 409;
            }"""
        )
    )


def test_who_reads_further_up_is_left_alone(house, tab, picture):
    page = tab()
    ask(page, "A long story.\n" * 60 + "When is the library open?")
    expect(page.locator(".receipt")).to_be_visible()
    page.locator("#lines").evaluate("lines => { lines.scrollTop = 0; }")
    with house.worker("later"):
        expect(theirs(page)).to_have_count(1)
    newest = page.get_by_role("button", name="New messages")
    expect(newest).to_be_visible()
    assert page.locator("#lines").evaluate("lines => lines.scrollTop") == 0
    picture(page, "further-up")
    newest.click()
    expect(theirs(page)).to_be_in_viewport()
    expect(newest).to_be_hidden()


def test_the_keyboard_is_enough(worker, tab):
    page = tab()
    field = page.get_by_label("Your message")
    expect(field).to_be_focused()
    page.keyboard.type("When is the library")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("open?")
    expect(field).to_have_value("When is the library\nopen?")
    page.keyboard.press("Enter")
    expect(theirs(page)).to_contain_text(ANSWER)
    expect(field).to_be_focused()
    page.keyboard.press("Enter")
    assert mine(page).count() == 1


def test_too_long_a_message_is_not_sent(tab):
    page = tab()
    page.get_by_label("Your message").fill("👋" * 16_001)
    expect(page.get_by_role("button", name="Send")).to_be_disabled()
    expect(page.locator("#count")).to_have_text("16,001 of 16,000 characters")
    page.get_by_label("Your message").fill("👋" * 16_000)
    expect(page.get_by_role("button", name="Send")).to_be_enabled()


def test_what_people_write_is_text_and_nothing_else(tab):
    page = tab()
    ask(page, "<img src=x onerror=alert(1)><b>bold</b>")
    expect(mine(page)).to_contain_text("<img src=x onerror=alert(1)><b>bold</b>")
    assert page.locator("#log img, #log b").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 390, 1280])
def test_it_fits_every_screen(worker, browser, chat, picture, width, scheme):
    context = browser.new_context(viewport={"width": width, "height": 640}, color_scheme=scheme)
    context.set_default_timeout(15_000)
    page = context.new_page()
    page.goto(chat)
    ask(page)
    expect(theirs(page)).to_contain_text(ANSWER)
    ask(page, "Donaudampfschifffahrtsgesellschaftskapitänsmützenabzeichen " + "x" * 200)
    expect(theirs(page)).to_have_count(2)
    expect(page.locator(".state")).to_have_count(0)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for part in ("#text", "#send", ".bar"):
        expect(page.locator(part)).to_be_in_viewport()
    assert page.locator("#send").bounding_box()["width"] >= 44
    picture(page, f"{scheme}-{width}")
    context.close()


def test_where_there_is_no_chat(context, house, picture):
    page = context.new_page()
    response = page.goto(f"{house.url}/chat/00000000-0000-4000-8000-000000000000")
    assert response is not None
    assert response.status == 404
    expect(page.get_by_role("heading")).to_have_text("There is no chat here")
    picture(page, "no-chat")
