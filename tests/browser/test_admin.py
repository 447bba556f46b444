"""The admin in a real browser: logging in, live figures, a transcript, a dead letter tried again, a phone, the dark."""

import json
import re
import sys
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.servers.processes import run
from tests.servers.switchboard import Switchboard

pytestmark = pytest.mark.browser

PHONE = {"width": 390, "height": 844}
MAIN_PAGES = (
    "", "conversations/conversation/", "conversations/contact/", "conversations/message/", "conversations/chatbot/",
    "conversations/channelaccount/", "conversations/aiaccount/", "knowledge/knowledgeitem/", "jobs/deadletter/",
    "jobs/job/", "jobs/queueoverview/", "jobs/jobcounter/?last=day", "jobs/worker/", "monitoring/breaker/",
    "frontdoor/inboundevent/",
    "django_celery_results/taskresult/", "accounts/customer/", "accounts/plan/", "accounts/apikey/",
    "accounts/usagerecord/", "accounts/user/", "auth/group/", "conversations/chatbot/1/change/",
    "conversations/channelaccount/1/change/", "conversations/aiaccount/1/change/", "accounts/user/1/change/",
    "auth/group/add/", "accounts/apikey/add/",
)  # fmt: skip

BROKEN = """
from apps.reliability import breaker, limiter
from apps.reliability.breaker import Outcome
breaker.record(*[Outcome(("service:chat:telegram", "{name}"), failed=1)] * 5)
breaker.record(Outcome(("service:ai:api.example.com",), failed=5), Outcome(("service:rpc:ton",), ok=9, failed=1))
limiter.hold("{name}", 600)
"""


@pytest.fixture(scope="module")
def example(house: Switchboard) -> dict[str, Any]:
    """What tests/browser/example.py makes, in the house's database."""
    printed = run([sys.executable, "-m", "tests.browser.example"], env=house.env)
    found: dict[str, Any] = json.loads(printed.splitlines()[-1])
    return found


@pytest.fixture
def errors(context: BrowserContext) -> Iterator[list[str]]:
    """Errors that the pages' scripts wrote to the console; a test that cuts a connection expects that one."""
    said: list[str] = []
    context.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    yield said
    assert [text for text in said if "net::ERR_FAILED" not in text] == []


def log_in(page: Page, house: Switchboard, example: dict[str, Any]) -> None:
    page.goto(f"{house.url}/admin/login/")
    page.get_by_label("Username").fill(example["user"])
    page.get_by_label("Password").fill(example["password"])
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()


@pytest.fixture
def olga(context: BrowserContext, house: Switchboard, example: dict[str, Any], errors: list[str]) -> Page:
    """A page of somebody who may do everything, on the first page."""
    page = context.new_page()
    log_in(page, house, example)
    return page


def number(page: Page, card: str) -> int:
    return int(page.locator(f"#card-{card} .sb-card-value").inner_text().replace(",", "").rstrip("+"))


def test_the_figures_change_while_one_looks(worker, house, olga):
    expect(olga.locator("#live-words")).to_contain_text("as of")
    before = number(olga, "came"), number(olga, "sent")
    house.post("When is the library open?", contact="live-figures", account="widget")
    value = "#card-{} .sb-card-value"
    expect(olga.locator(value.format("came"))).to_have_text(f"{before[0] + 1:,}")
    expect(olga.locator(value.format("sent"))).to_have_text(f"{before[1] + 1:,}")
    expect(olga.locator("#live-words")).to_contain_text("live, as of")
    drawn = "id => Chart.getChart(id).data.datasets[0].data.at(-1)"
    assert olga.evaluate(drawn, "chart-messages") >= 1


def test_the_figures_say_when_they_are_not_live(olga):
    olga.route("**/admin/overview/figures", lambda route: route.abort())
    olga.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(olga.locator("#live-words")).to_contain_text("not live")
    olga.unroute("**/admin/overview/figures")
    expect(olga.locator("#live-words")).to_contain_text("live, as of")


def test_nobody_looks_nobody_asks(olga):
    """A hidden tab asks for nothing; when it is shown again it asks at once."""
    olga.clock.install()
    olga.reload()
    expect(olga.locator("#live-words")).to_contain_text("as of")
    asked: list[str] = []
    olga.on("request", lambda request: asked.append(request.url) if "figures" in request.url else None)
    olga.evaluate(
        """() => {
          window.isHidden = true;
          Object.defineProperty(document, "hidden", { get: () => window.isHidden });
          document.dispatchEvent(new Event("visibilitychange"));
        }"""
    )
    olga.clock.run_for(60_000)
    assert asked == []
    with olga.expect_request("**/admin/overview/figures"):
        olga.evaluate(
            "() => { window.isHidden = false; document.dispatchEvent(new Event('visibilitychange')); }"
        )


def test_a_conversation_reads_as_a_transcript(house, olga, example, picture):
    olga.locator("#nav-sidebar-apps a", has_text="Conversations").click()
    olga.get_by_role("link", name="Ada Berg").first.click()
    bubbles = olga.locator(".transcript .bubble")
    expect(bubbles).to_have_count(10)
    expect(bubbles.nth(1)).to_contain_text("we have a table for two")
    expect(bubbles.nth(1)).to_contain_text("Read")
    expect(bubbles.nth(1)).to_contain_text("gpt-5-mini")
    expect(bubbles.nth(9)).to_contain_text("fallback message")
    # The jobs come after the page, each to its message, and lead to their story.
    expect(bubbles.nth(0).get_by_role("link", name="pipeline.receive_message")).to_be_visible()
    expect(bubbles.nth(1).get_by_role("link", name="delivery.send_widget")).to_be_visible()
    picture(olga, "admin-transcript")
    bubbles.nth(8).get_by_role("link", name="pipeline.generate_reply").click()
    expect(olga.get_by_text("529: overloaded").first).to_be_visible()
    olga.go_back()
    bubbles.nth(1).get_by_role("link", name="answers 1").click()
    expect(olga).to_have_url(re.compile(r"before=2#m1$"))


def test_a_dead_letter_is_tried_again(house, olga, example, picture):
    olga.get_by_role("link", name=re.compile("Dead letters")).first.click()
    badge = olga.locator("#nav-sidebar-apps a", has_text="Dead letters").locator("span.bg-red-500")
    expect(badge).to_have_text("3")
    olga.goto(f"{house.url}/admin/jobs/deadletter/{example['letter']}/change/")
    expect(olga.get_by_text("tried as often as allowed").first).to_be_visible()
    picture(olga, "admin-dead-letter")
    olga.get_by_label("Reason").fill("the provider is well again")
    olga.get_by_role("button", name="Retry").click()
    expect(olga.get_by_text(re.compile(r"1 tried again as job #\d+"))).to_be_visible()
    expect(badge).to_have_text("2")
    made = house.ledger.one("SELECT count(*) AS n FROM jobs_job WHERE redrive_of_id = %s", example["letter"])
    assert made == 1


def test_a_breaker_is_seen_and_reset(browser: Browser, house, olga, example, picture):
    account = house.ledger.one("SELECT public_id AS id FROM conversations_channelaccount ORDER BY id LIMIT 1")
    name = f"channel:{uuid.UUID(str(account))}"
    house.manage("shell", "-c", BROKEN.format(name=name))
    olga.locator("#nav-sidebar-apps a", has_text="Breakers").click()
    line = olga.locator("tr", has_text=name)
    expect(line).to_contain_text("open")
    expect(line).to_contain_text("a probe in")
    expect(olga.locator("tr", has_text="telegram").first).to_contain_text("all accounts")
    expect(olga.get_by_role("heading", name="Asked to wait")).to_be_visible()
    picture(olga, "admin-breakers")
    phone = browser.new_context(viewport=PHONE)
    page = phone.new_page()
    log_in(page, house, example)
    page.goto(f"{house.url}/admin/monitoring/breaker/")
    assert not page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
    picture(page, "admin-breakers-phone")
    phone.close()
    line.get_by_role("link", name="Reset").click()
    olga.get_by_label("Reason").fill("the bot has a new token")
    picture(olga, "admin-breaker-reset")
    olga.get_by_role("button", name="Yes, reset").click()
    expect(olga.get_by_text(f"{name} is closed")).to_be_visible()
    expect(olga.locator("tr", has_text=name)).to_have_count(0)


def test_many_are_chosen_and_confirmed(house, olga):
    olga.goto(f"{house.url}/admin/jobs/deadletter/")
    rows = olga.locator("#result_list .action-select")
    chosen = rows.count()
    assert chosen >= 1
    rows.first.check()
    olga.get_by_role("combobox").select_option("discard")
    olga.get_by_role("button", name="Run").click()
    expect(olga.get_by_role("heading", name="Discard this dead letter?")).to_be_visible()
    olga.get_by_role("link", name="No, take me back").click()
    expect(rows).to_have_count(chosen)


def test_the_form_shows_what_the_chosen_channel_needs(house, olga):
    """The fields follow the choice; JSON is for channels that don't say what they need."""
    olga.goto(f"{house.url}/admin/conversations/channelaccount/add/")
    choice = olga.locator("[name=channel]")
    choice.select_option("widget")
    expect(olga.locator("[name=new_credentials]")).to_be_visible()
    names = choice.locator("option").evaluate_all("all => all.map(one => one.value)")
    if "telegram" in names:
        choice.select_option("telegram")
        expect(olga.locator("[name=credential_telegram_bot_token]")).to_be_visible()
        expect(olga.locator("[name=new_credentials]")).to_be_hidden()
        choice.select_option("widget")
        expect(olga.locator("[name=credential_telegram_bot_token]")).to_be_hidden()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_needs_no_sideways_scrolling(browser: Browser, house, example, scheme, complaints):
    context = browser.new_context(viewport=PHONE, color_scheme=scheme, has_touch=True)
    context.set_default_timeout(15_000)
    context.on("weberror", lambda error: complaints.append(str(error.error)))
    page = context.new_page()
    log_in(page, house, example)
    pages = [
        *(MAIN_PAGES if scheme == "light" else MAIN_PAGES[:1]),
        f"conversations/conversation/{example['conversation']}/change/",
        f"jobs/job/{example['letter']}/change/",
    ]
    wide = []
    for path in pages:
        answer = page.goto(f"{house.url}/admin/{path}")
        assert answer is not None
        assert answer.status == 200, path
        if page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
            wide.append(path)
    assert wide == []
    assert (page.locator("html.dark").count() == 1) == (scheme == "dark")
    context.close()


def test_the_menu_opens_on_a_phone(browser: Browser, house, example, picture):
    context = browser.new_context(viewport=PHONE)
    page = context.new_page()
    log_in(page, house, example)
    menu = page.locator("#nav-sidebar")
    expect(menu).to_be_hidden()
    page.locator("#header-inner .material-symbols-outlined:visible").first.click()
    expect(menu).to_be_visible()
    picture(page, "admin-menu-phone")
    menu.get_by_role("link", name="Queues").click()
    expect(page.get_by_role("heading", name="Queues").first).to_be_visible()
    context.close()


def test_the_dark_is_dark(browser: Browser, house, example, picture):
    context = browser.new_context(color_scheme="dark")
    page = context.new_page()
    log_in(page, house, example)
    ground = "getComputedStyle(document.querySelector('.sb-card')).backgroundColor"
    ink = "getComputedStyle(document.querySelector('.sb-card-value')).color"
    assert _brightness(page.evaluate(ground)) < 60
    assert _brightness(page.evaluate(ink)) > 180
    picture(page, "admin-dark")
    context.close()


def _brightness(colour: str) -> float:
    """0 to 255, of `rgb(…)` or `oklch(… % …)` as Chromium prints it."""
    numbers = [float(one) for one in re.findall(r"[\d.]+", colour)]
    if colour.startswith("oklch"):
        return numbers[0] * (255 if numbers[0] <= 1 else 2.55)
    return sum(numbers[:3]) / 3
