"""The widget on somebody else's pages: it opens, answers, remembers, and leaves the page alone."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, ConsoleMessage, Page, expect

from tests.browser.site import Site
from tests.browser.test_chat import ANSWER, QUESTION, ask, mine, theirs
from tests.servers.switchboard import Switchboard
from tests.waiting import wait_until

pytestmark = pytest.mark.browser
Embed = Callable[..., Page]


@pytest.fixture
def embed(context: BrowserContext, site: Site, house: Switchboard) -> Embed:
    """Opens a page of the site that embeds the library's chat, with these options."""

    def open_page(path: str = "/", **options: str) -> Page:
        page = context.new_page()
        page.goto(site.embed(house.seeded["library"], path, **options))
        return page

    return open_page


def launcher(page: Page) -> Any:
    return page.locator("switchboard-chat .launch")


def panel(page: Page) -> Any:
    return page.get_by_role("dialog")


def opened(page: Page) -> Page:
    launcher(page).click()
    expect(panel(page)).to_be_visible()
    return page


def test_a_question_from_another_origin_and_no_cookie(worker, embed, context, site, house, picture):
    asked: list[str] = []
    context.on("request", lambda request: asked.append(request.url))
    page = embed()
    expect(launcher(page)).to_have_accessible_name("Open chat")
    expect(launcher(page)).to_have_attribute("aria-expanded", "false")
    ours = [url for url in asked if url.startswith(house.url)]
    assert ours == [f"{house.url}/widget.js"], "a page that only shows the launcher loads nothing else"
    picture(page, "launcher")
    opened(page)
    expect(panel(page)).to_have_accessible_name("Library")
    expect(launcher(page)).to_have_attribute("aria-expanded", "true")
    expect(page.get_by_role("log")).to_contain_text("Hello")
    ask(page)
    expect(theirs(page)).to_contain_text(ANSWER)
    picture(page, "widget")
    assert context.cookies() == []
    assert page.evaluate("document.cookie") == ""
    assert page.evaluate("Object.keys(localStorage)") == [f"switchboard:{house.seeded['library']}"]
    token = json.loads(page.evaluate("Object.values(localStorage)[0]"))["token"]
    assert len(token) == 43
    assert not [url for url in asked if token in url]


def test_a_reload_and_another_page_go_on_with_the_conversation(worker, embed, site, house):
    page = opened(embed())
    ask(page)
    expect(theirs(page)).to_contain_text(ANSWER)
    page.reload()
    expect(panel(page)).to_be_visible()  # as they left it
    expect(theirs(page)).to_contain_text(ANSWER)
    assert page.evaluate("document.activeElement === document.body"), "nobody asked for the focus"
    page.goto(site.embed(house.seeded["library"], "/another"))
    expect(theirs(page)).to_contain_text(ANSWER)
    page.get_by_role("button", name="Close chat").click()
    page.reload()
    expect(launcher(page)).to_be_visible()
    expect(panel(page)).to_have_count(0)
    expect(mine(opened(page))).to_have_count(1)


def test_two_tabs_of_a_site_show_the_same(worker, embed):
    first, second = opened(embed()), opened(embed("/second"))
    ask(first)
    for page in (first, second):
        expect(theirs(page)).to_contain_text(ANSWER)
    ask(second, "Is the library open on weekdays?")
    for page in (first, second):
        expect(theirs(page)).to_have_count(2)


def test_two_tabs_that_begin_at_once_begin_one_conversation(house, worker, embed):
    pages = [opened(embed()), opened(embed("/second"))]
    before = house.ledger.one("SELECT count(*) AS n FROM conversations_conversation")
    for number, page in enumerate(pages):
        page.get_by_label("Your message").fill(f"From tab {number}: when is it open?")
    for page in pages:
        page.evaluate("document.querySelector('switchboard-chat').shadowRoot.querySelector('#send').click()")
    for page in pages:
        expect(mine(page)).to_have_count(2)
    assert int(house.ledger.one("SELECT count(*) AS n FROM conversations_conversation")) == int(before) + 1


def test_a_page_with_a_strict_policy(worker, embed, house):
    """Nothing inline, no eval, no style but its own, Trusted Types: what docs/how-to/embed-the-widget.md names is
    enough. The context's `complaints` must stay empty."""
    events = house.env["EVENTS_URL"]
    policy = (
        f"default-src 'none'; script-src {house.url}; connect-src {house.url} {events}; "
        "base-uri 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    )
    page = opened(embed(policy=policy))
    ask(page)
    expect(theirs(page)).to_contain_text(ANSWER)
    background = page.locator(".line.in .bubble").evaluate("node => getComputedStyle(node).backgroundColor")
    assert background == "rgb(36, 87, 197)", "styled all the same"


@pytest.fixture
def only_elsewhere(house: Switchboard) -> Iterator[Callable[[str], None]]:
    """Allows the library's chat on these origins only."""

    def allow(*origins: str) -> None:
        query = "UPDATE conversations_chatbot SET allowed_origins = %s WHERE name = 'Library'"
        house.ledger.rows(query, json.dumps(origins))

    yield allow
    allow()


def test_an_origin_that_is_not_allowed(house, embed, only_elsewhere, picture):
    only_elsewhere("https://shop.example")
    page = embed()
    said: list[ConsoleMessage] = []
    page.on("console", lambda message: said.append(message))
    opened(page)
    expect(panel(page)).to_contain_text("This chat is not available on this page.")
    assert [message for message in said if "allowed origins" in message.text], (
        "the site's owner is told what to do"
    )
    picture(page, "refused")
    page.keyboard.press("Escape")
    expect(panel(page)).to_be_hidden()


def test_an_origin_that_is_allowed_and_our_own_page(house, worker, embed, site, tab, only_elsewhere):
    only_elsewhere(
        site.url, house.url
    )  # the stream is at another port here: our own page counts as any other there
    page = opened(embed())
    ask(page)
    expect(theirs(page)).to_contain_text(ANSWER)
    own = tab()
    ask(own)
    expect(theirs(own)).to_contain_text(ANSWER)


def test_the_keyboard_is_enough(worker, embed):
    page = embed()
    page.locator("h1").click()
    for _ in range(3):  # the page's link, then the launcher at its end
        page.keyboard.press("Tab")
        if launcher(page).evaluate("node => node.getRootNode().activeElement === node"):
            break
    page.keyboard.press("Enter")
    field = page.get_by_label("Your message")
    expect(field).to_be_focused()
    page.keyboard.type(QUESTION)
    page.keyboard.press("Enter")
    expect(theirs(page)).to_contain_text(ANSWER)
    expect(field).to_be_focused()
    page.keyboard.press("Shift+Tab")
    expect(page.locator("#lines")).to_be_focused()
    page.keyboard.press("Shift+Tab")
    expect(page.get_by_role("button", name="Close chat")).to_be_focused()
    page.keyboard.press("Escape")
    expect(panel(page)).to_be_hidden()
    expect(launcher(page)).to_be_focused()
    expect(launcher(page)).to_have_attribute("aria-expanded", "false")
    page.keyboard.press("Space")
    expect(field).to_be_focused()


def test_shortcuts_of_the_page_hear_nothing(embed):
    page = embed()
    page.evaluate("window.heard = []; addEventListener('keydown', ({ key }) => window.heard.push(key))")
    opened(page)
    page.get_by_label("Your message").press_sequentially("s/?")
    assert page.evaluate("window.heard") == []


def test_on_a_narrow_screen_it_covers_the_page_and_keeps_the_focus(worker, embed, picture):
    page = embed()
    page.set_viewport_size({"width": 320, "height": 568})
    page.emulate_media(reduced_motion="reduce")
    picture(page, "launcher-320")
    opened(page)
    expect(panel(page)).to_have_attribute("aria-modal", "true")
    assert panel(page).bounding_box() == {"x": 0, "y": 0, "width": 320, "height": 568}
    expect(launcher(page)).to_be_hidden()
    ask(page)
    expect(theirs(page)).to_contain_text(ANSWER)
    picture(page, "widget-320")
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    page.get_by_label("Your message").fill("More")
    seen = set()
    for _ in range(8):
        page.keyboard.press("Tab")
        seen.add(page.evaluate("document.activeElement.shadowRoot?.activeElement?.id ?? 'the page'"))
    assert seen == {"text", "send", "", "lines"}, "round and round, never behind it"
    assert page.evaluate("getComputedStyle(document.documentElement).overflow") == "hidden"
    page.get_by_role("button", name="Close chat").click()
    assert page.evaluate("getComputedStyle(document.documentElement).overflow") == "visible"
    expect(launcher(page)).to_be_focused()


def test_styles_of_the_page_stay_outside_and_ours_inside(worker, embed, picture):
    head = (
        "<style>html { font-size: 8px } * { font-family: cursive !important; letter-spacing: 3px; color: red; "
        "box-sizing: content-box } div, button, ol, p { all: unset; display: inline !important; width: 3px; "
        "text-transform: uppercase; direction: rtl; text-align: right; font-size: 40px }</style>"
    )
    page = opened(embed(head=head))
    ask(page)
    expect(theirs(page)).to_contain_text(ANSWER)
    assert panel(page).bounding_box()["width"] == 400
    bubble = page.locator(".line.out .bubble").last
    style = bubble.evaluate(
        "n => ['fontSize', 'letterSpacing', 'textTransform', 'textAlign'].map(name => getComputedStyle(n)[name])"
    )
    assert style == ["16px", "normal", "none", "start"]
    picture(page, "hostile")


@pytest.mark.parametrize(
    ("lang", "option", "placeholder", "name", "direction"),
    [
        ("de-AT", "", "Nachricht schreiben", "Chat öffnen", "ltr"),
        ("fr", "", "Écrivez un message", "Ouvrir le chat", "ltr"),
        ("de", "es", "Escriba un mensaje", "Abrir el chat", "ltr"),
        ("pt-BR", "", "Escreva uma mensagem", "Abrir o chat", "ltr"),
        ("en", "it", "Scriva un messaggio", "Apri la chat", "ltr"),
        ("nl", "", "Schrijf een bericht", "Chat openen", "ltr"),
        ("ar", "", "اكتب رسالة", "افتح الدردشة", "rtl"),
        ("xx", "", "Write a message", "Open chat", "ltr"),  # the browser's language
    ],
)
def test_languages(embed, lang, option, placeholder, name, direction, picture):
    page = embed(lang=lang, **({"language": option} if option else {}))
    expect(launcher(page)).to_have_accessible_name(name)
    opened(page)
    expect(page.get_by_placeholder(placeholder)).to_be_visible()
    expect(panel(page)).to_have_attribute("dir", direction)
    picture(page, f"language-{option or lang}")


def test_options(embed, picture):
    page = embed(position="left", color="#ffd400", title="Ask Ada", theme="dark", open="true")
    expect(panel(page)).to_be_visible()
    expect(panel(page)).to_have_accessible_name("Ask Ada")
    assert panel(page).bounding_box()["x"] == 20
    assert launcher(page).bounding_box()["x"] == 20
    for part in (launcher(page), page.locator("#send"), page.locator(".bar")):
        assert part.evaluate("n => getComputedStyle(n).color") in ("rgb(0, 0, 0)", "rgb(166, 176, 195)")
    expect(panel(page)).to_have_attribute("data-scheme", "dark")
    picture(page, "options")
    page.get_by_role("button", name="Close chat").click()
    page.reload()
    expect(launcher(page)).to_be_visible()
    expect(panel(page)).to_have_count(0)  # closed by hand: it does not open by itself again


def test_a_page_can_open_and_close_it(embed):
    page = embed()
    page.wait_for_function("window.Switchboard")
    page.evaluate("Switchboard.open()")
    expect(panel(page)).to_be_visible()
    page.evaluate("Switchboard.close()")
    expect(panel(page)).to_be_hidden()
    page.evaluate("Switchboard.toggle()")
    expect(panel(page)).to_be_visible()
    page.evaluate("Switchboard.remove()")
    expect(page.locator("switchboard-chat")).to_have_count(0)
    assert page.evaluate("typeof window.Switchboard") == "undefined"


def test_an_answer_that_comes_while_it_is_closed_is_counted(house, embed):
    page = opened(embed())
    ask(page)
    expect(page.locator(".receipt")).to_be_visible()
    page.keyboard.press("Escape")
    with house.worker("later"):
        expect(launcher(page)).to_have_accessible_name("Open chat (1)")
    expect(page.locator(".badge")).to_have_text("1")
    opened(page)
    expect(theirs(page)).to_contain_text(ANSWER)
    expect(page.locator(".badge")).to_be_hidden()


def test_who_writes_faster_than_allowed_waits_and_loses_nothing(house, worker, embed):
    page = opened(embed())
    for number in range(12):  # ten at once, then one in three seconds
        ask(page, f"Fast {number}: when is it open?")
    expect(page.locator(".state", has_text="A moment please…")).to_be_visible()
    expect(page.locator(".state")).to_have_count(0, timeout=20_000)
    expect(mine(page)).to_have_count(12)
    said = mine(page).all_inner_texts()
    assert [int(re.search(r"Fast (\d+)", text)[1]) for text in said] == list(range(12))
    query = "SELECT count(*) AS n FROM frontdoor_inboundevent WHERE payload LIKE %s"
    assert int(house.ledger.one(query, "%Fast 1%")) == 3  # 1, 10 and 11, each once


def test_where_it_can_not_be_loaded_it_says_so_and_tries_again(embed, context):
    context.route("**/widget/*/embed.js", lambda route: route.abort())
    page = embed()
    said: list[ConsoleMessage] = []
    page.on("console", lambda message: said.append(message))
    launcher(page).click()
    wait_until(
        lambda: (page.wait_for_timeout(20), [m for m in said if "could not be loaded" in m.text])[1],
        what="it",
    )
    expect(panel(page)).to_have_count(0)
    context.unroute("**/widget/*/embed.js")
    opened(page)
