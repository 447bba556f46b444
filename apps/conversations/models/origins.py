"""The origins where a chatbot's widget may be embedded: `https://shop.example`, `https://*.shop.example`.

An origin is what a browser sends in the header of that name: scheme, host, and the port where it isn't the usual one
(RFC 6454). Nothing of it is guessed: an entry that no browser would send is a mistake, and said to be one.
"""

import re
from collections.abc import Iterable
from typing import Any

from django.core.exceptions import ValidationError

MOST_ORIGINS = 100
LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
ORIGIN = re.compile(
    rf"(?P<scheme>https?)://(?P<wild>\*\.)?(?P<host>{LABEL}(?:\.{LABEL})*|\[[0-9a-f:.]+\])(?::(?P<port>\d{{1,5}}))?"
)
USUAL_PORTS = {"http": "80", "https": "443"}


def problem_of(entry: Any) -> str | None:
    """What is wrong with one entry of `allowed_origins`, in words that say what to write; None if nothing is."""
    if not isinstance(entry, str) or not entry.strip():
        return "Write each origin as text, such as https://shop.example"
    if entry == "*":
        return "* is not an origin. Leave the list empty to allow every page."
    if not entry.isascii():
        return f"{entry}: write the host as browsers send it (xn--…)."
    if "://" not in entry:
        return f"{entry}: it lacks the scheme. Write https://{entry}"
    found = ORIGIN.fullmatch(entry.lower())
    if found:
        return None
    bare = ORIGIN.match(entry.lower())
    if bare and entry[bare.end() : bare.end() + 1] in ("/", "?", "#"):
        return f"{entry}: leave out what is behind the host. Write {entry[: bare.end()]}"
    return f"{entry}: an origin is scheme and host, and a port if need be, such as https://*.shop.example"


def validate_origins(value: Any) -> None:
    """Validator of the model field. Raises ValidationError with a line for each mistake."""
    if not isinstance(value, list):
        raise ValidationError('Write a list, such as ["https://shop.example"].')
    if len(value) > MOST_ORIGINS:
        raise ValidationError(f"At most {MOST_ORIGINS} origins.")
    wrong = [problem for problem in map(problem_of, value) if problem]
    if wrong:
        raise ValidationError(wrong)


def allows(allowed: Iterable[str], origin: str) -> bool:
    """Whether `origin`, as a browser sent it, is one of `allowed`. The wildcard stands for one or more subdomains,
    never for the domain itself."""
    asked = ORIGIN.fullmatch(origin.lower())
    if asked is None or asked["wild"]:  # "null": a sandboxed frame or a file
        return False
    return any(_fits(entry, asked) for entry in allowed)


def _fits(entry: str, asked: re.Match[str]) -> bool:
    wanted = ORIGIN.fullmatch(entry.lower())
    if wanted is None or wanted["scheme"] != asked["scheme"] or _port(wanted) != _port(asked):
        return False
    if wanted["wild"]:
        return bool(asked["host"].endswith("." + wanted["host"]))
    return bool(asked["host"] == wanted["host"])


def _port(origin: re.Match[str]) -> str:
    return origin["port"] or USUAL_PORTS[origin["scheme"]]
