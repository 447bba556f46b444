"""axe, Deque's checker of the accessibility guidelines, finds nothing serious in any state of the chat."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.test_chat import ANSWER, ask, theirs
from tests.browser.test_live import listening
from tests.browser.test_widget import launcher, opened

pytestmark = pytest.mark.browser


@pytest.fixture(params=["light", "dark"])
def scheme(request, context) -> str:
    context.on("page", lambda page: page.emulate_media(color_scheme=request.param))
    return str(request.param)


def test_the_chat_page(worker, scheme, tab, no_barriers):
    page: Page = tab()
    no_barriers(page)
    ask(page)
    expect(theirs(page)).to_contain_text(ANSWER)
    no_barriers(page)
    page.route("**/api/v1/widget/messages", lambda route: route.abort())
    ask(page, "This one can't leave")
    expect(page.get_by_role("button", name="Try again")).to_be_visible()
    no_barriers(page)


def test_where_there_is_no_chat(context, scheme, house, no_barriers):
    page = context.new_page()
    page.goto(f"{house.url}/chat/nowhere")
    no_barriers(page)


def test_an_answer_that_grows(voice, scheme, tab, no_barriers):
    page = listening(tab(), voice)
    no_barriers(page)
    voice.show(
        page, "It is **open**: see https://library.example/hours\n\n1. `nine`\n2. five\n\n```\ncode\n```"
    )
    expect(page.locator("#draft a")).to_be_visible()
    no_barriers(page)


@pytest.mark.parametrize("width", [320, 1280])
@pytest.mark.parametrize("lang", ["en", "ar"])
def test_the_widget(worker, scheme, context, site, house, no_barriers, picture, width, lang):
    page = context.new_page()
    page.set_viewport_size({"width": width, "height": 720})
    page.goto(site.embed(house.seeded["library"], lang=lang))
    expect(launcher(page)).to_be_visible()
    no_barriers(page)
    opened(page)
    no_barriers(page)
    page.locator("#text").fill("When is the library open?")
    page.locator("#send").click()
    expect(page.locator("#log .line.out")).to_have_count(2)
    no_barriers(page)
    picture(page, f"widget-{lang}-{width}-{scheme}")


@pytest.mark.parametrize("color", ["#ffd400", "#000000", "#ffffff", "#777777", "#e3342f"])
def test_any_colour_of_a_site(worker, scheme, context, site, house, no_barriers, picture, color):
    page = context.new_page()
    page.goto(site.embed(house.seeded["library"], color=color))
    opened(page)
    ask(page)
    expect(theirs(page)).to_contain_text(ANSWER)
    no_barriers(page)
    picture(page, f"color-{color[1:]}-{scheme}")
