"""A real Chromium against a real Switchboard: web, live stream and worker in processes of their own.

Playwright's driver keeps an event loop running in the thread that uses it, and Django refuses to touch the database
there. So these fixtures live for one module, and the tests look at the database through the API and SQL.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.browser.site import Site
from tests.browser.voice import Voice
from tests.fakes.witness import Witness
from tests.servers.setups import Setup
from tests.servers.switchboard import Switchboard

PROGRAMS = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
# No sandbox, since tests may run as root in a container; and it must not call home.
ARGUMENTS = [
    *(
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--no-default-browser-check",
    ),
    *(
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--disable-extensions",
    ),
    *("--disable-default-apps", "--disable-domain-reliability", "--metrics-recording-only", "--no-pings"),
    *(
        "--disable-features=OptimizationHints,MediaRouter,Translate",
        "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
    ),
]
LIMIT = 30_000  # ms: an open page asks every five seconds, and the other set-ups run beside these tests
expect.set_options(timeout=LIMIT)


def chromium() -> str:
    """The program, or a skip that says how to get it. CHROMIUM names another one."""
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, PROGRAMS)), None)
    if not found:
        pytest.skip("needs Chromium: apt-get install chromium, or CHROMIUM=/path/to/it")
    return found


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Switchboard]:
    """Web as in production, the live stream at an address of its own. No worker: see `worker`."""
    chromium()
    directory = tmp_path_factory.mktemp("house")
    setup = Setup("embedded", directory, None, None)
    with Witness(directory) as witness:
        house = Switchboard(setup, directory, witness)
        try:
            house.prepare()
            house.env["EVENTS_URL"] = house.start_events()
            house.start_web()
            yield house
        finally:
            house.close()
            setup.remove()


@pytest.fixture
def worker(house: Switchboard) -> Iterator[None]:
    with house.worker("browser"):
        yield


@pytest.fixture(scope="module")
def browser(house: Switchboard) -> Iterator[Browser]:
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def complaints() -> list[str]:
    """What the pages of the test complained about: errors of scripts, refusals of the content security policy."""
    return []


@pytest.fixture
def context(browser: Browser, complaints: list[str]) -> Iterator[BrowserContext]:
    """One person's browser: the tabs share their storage."""
    context = browser.new_context()
    context.set_default_timeout(LIMIT)
    context.on("weberror", lambda error: complaints.append(str(error.error)))
    context.on(
        "console",
        lambda said: complaints.append(said.text) if "Content Security Policy" in said.text else None,
    )
    yield context
    context.close()
    assert not complaints


@pytest.fixture
def chat(house: Switchboard) -> str:
    """The address of the library's chat page."""
    return f"{house.url}/chat/{house.seeded['library']}"


@pytest.fixture
def tab(context: BrowserContext, chat: str) -> Callable[[], Page]:
    """Opens the chat page in a new tab."""

    def open_tab() -> Page:
        page = context.new_page()
        page.goto(chat)
        return page

    return open_tab


@pytest.fixture(scope="module")
def site(house: Switchboard) -> Iterator[Site]:
    """Somebody else's web site, at another origin."""
    with Site(house.url) as site:
        yield site


@pytest.fixture
def voice(house: Switchboard, settings: Any) -> Iterator[Voice]:
    settings.REDIS_URL = house.setup.redis.url
    voice = Voice()
    yield voice
    voice.close()


@pytest.fixture
def no_barriers() -> Callable[[Page], None]:
    """Asserts that axe finds nothing serious on the page as it is now."""

    def check(page: Page) -> None:
        page.emulate_media(reduced_motion="reduce")  # what fades in is half transparent for a moment
        found = Axe().run(page).response["violations"]
        serious = [
            (violation["id"], [node["html"] for node in violation["nodes"]])
            for violation in found
            if violation["impact"] in ("serious", "critical")
        ]
        assert not serious

    return check


@pytest.fixture
def picture(request: pytest.FixtureRequest) -> Callable[[Page, str], None]:
    """Keeps a screenshot where SCREENSHOTS names a directory, for people to look at."""
    directory = os.environ.get("SCREENSHOTS")

    def take(page: Page, name: str) -> None:
        if directory:
            page.screenshot(path=Path(directory) / f"{name}.png")

    return take
