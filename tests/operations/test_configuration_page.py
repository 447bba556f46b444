"""The configuration reference is what the settings say, and says all of it."""

import re
from pathlib import Path

import pytest
from django.core.management import call_command

from apps.operations.configuration_page import PAGE, configuration_page, groups

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def page() -> str:
    return configuration_page(ROOT)


def test_it_is_up_to_date(page: str) -> None:
    assert (ROOT / PAGE).read_text() == page, "make docs"
    call_command("configuration_page", "--check")


def test_it_names_every_setting_once(page: str) -> None:
    named = re.findall(r"^#?([A-Z][A-Z0-9_]*)=", (ROOT / ".env.example").read_text(), flags=re.MULTILINE)
    assert re.findall(r"^- `([A-Z0-9_]+)`:", page, flags=re.MULTILINE) == named


@pytest.mark.parametrize(
    "says",
    [
        "- `SECRET_KEY`: text, required.",
        "- `EVENTS_PORT`: whole number, default `8001`.",
        "- `HTTPS`: true or false, default `not DEBUG`, for example `true`.",
        "- `ALLOWED_HOSTS`: list, separated by commas, required, for example `switchboard.example.com`.",
        "Checked at the start: PUBLIC_URL, where it is set: an address without a path",
        "E017, E018, E019",
        "default `sqlite:///VAR_DIR/switchboard.sqlite3`",
        "webhook addresses are made of it",
        "### `HTTPS`, `SECURE_SSL_REDIRECT`",
    ],
)
def test_type_default_meaning_and_checks(page: str, says: str) -> None:
    assert says in page


def test_a_comment_belongs_to_all_that_follow_it() -> None:
    first, second, third = groups(
        "# --- one ---\n# About both,\n# in two lines.\nA=1\n#B=2\n# Another.\n#C=\n\n# --- two ---\n#D=\n"
    )
    assert (first.section, first.meaning) == ("one", "About both, in two lines.")
    assert first.entries == [("A", True, "1"), ("B", False, "2")]
    assert second.entries == [("C", False, "")]
    assert (third.section, third.meaning, third.entries) == ("two", "", [("D", False, "")])
