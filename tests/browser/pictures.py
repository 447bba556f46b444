"""Pictures of the admin and of the widget for the documentation, made from a running system:

    python -m tests.browser.pictures [directory]       (default: docs/pictures)

Starts a house of its own (SQLite, the server in the box, web and worker), fills it with tests/browser/example.py, and
photographs it in Chromium. The same example each time; the times in it are those of today.
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.browser.conftest import ARGUMENTS, chromium
from tests.browser.site import Site
from tests.fakes.witness import Witness
from tests.servers.processes import REPOSITORY, run
from tests.servers.setups import Setup
from tests.servers.switchboard import Switchboard

WIDE, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 780}
QUEUES = ("incoming-messages", "ai-processing", "outgoing-messages", "maintenance", "widget-send")
LARGEST = 150_000  # bytes
# What only tests add to an installation.
OF_TESTS = ("EXTRA_CHANNELS", "EXTRA_AI_PROVIDERS", "EXTRA_APPS", "EXTRA_QUEUES")


def shots(example: dict[str, Any]) -> list[tuple[str, str, dict[str, int], str]]:
    """Name of the picture, page of the admin, size, light or dark."""
    talk = f"conversations/conversation/{example['conversation']}/change/"
    letter = f"jobs/deadletter/{example['letter']}/change/"
    return [
        ("dashboard", "", WIDE, "light"),
        ("dashboard-dark", "", WIDE, "dark"),
        ("dashboard-phone", "", PHONE, "light"),
        ("conversation", talk, WIDE, "light"),
        ("conversation-phone", talk, PHONE, "light"),
        ("dead-letter", letter, WIDE, "light"),
    ]


def main(directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="sb-") as name, Witness(Path(name)) as witness:
        home = Path(name)
        setup = Setup("embedded", home, None, None)
        house = Switchboard(setup, home, witness)
        for variable in OF_TESTS:
            house.env.pop(variable)
        try:
            house.manage("migrate", "-v", "0")
            example = json.loads(
                run([sys.executable, "-m", "tests.browser.example"], env=house.env).splitlines()[-1]
            )
            house.start_web()
            with house.worker("pictures", queues=QUEUES), sync_playwright() as driver:
                browser = driver.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
                for shot in shots(example):
                    _take(browser, house.url, example, directory, *shot)
                _take_widget(browser, house.url, example, directory)
                browser.close()
        finally:
            house.close()
            setup.remove()


def _take(
    browser: Browser, url: str, example: dict[str, Any], directory: Path,
    name: str, path: str, size: dict[str, int], scheme: Any,
) -> None:  # fmt: skip
    context = browser.new_context(viewport=size, color_scheme=scheme)  # type: ignore[arg-type]
    page = context.new_page()
    _log_in(page, url, example)
    page.goto(f"{url}/admin/{path}")
    page.wait_for_load_state("networkidle")
    _save(page, directory / f"{name}.png")
    context.close()


def _take_widget(browser: Browser, url: str, example: dict[str, Any], directory: Path) -> None:
    """Somebody else's page with the chat open and a question answered."""
    with Site(url) as site:
        page = browser.new_page(
            viewport={"width": 960, "height": 640}, color_scheme="light", reduced_motion="reduce"
        )
        page.goto(site.embed(example["chat"]))
        page.locator("switchboard-chat .launch").click()
        box = page.get_by_role("textbox")
        box.fill("Can I return the bicycle in another town?")
        box.press("Enter")
        expect(page.get_by_role("log")).to_contain_text("green light", timeout=20_000)
        _save(page, directory / "widget.png")
        page.close()


def _save(page: Page, target: Path) -> None:
    page.screenshot(path=target)
    weight = target.stat().st_size
    print(f"{target}: {weight // 1000} KB")  # noqa: T201 - a script for people
    if weight > LARGEST:
        raise SystemExit(f"{target} is larger than {LARGEST // 1000} KB")


def _log_in(page: Page, url: str, example: dict[str, Any]) -> None:
    page.goto(f"{url}/admin/login/")
    page.get_by_label("Username").fill(example["user"])
    page.get_by_label("Password").fill(example["password"])
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url("**/admin/")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else REPOSITORY / "docs" / "pictures")
