"""Allowed origins: what an operator may write, and which pages it lets in."""

import pytest
from django.core.exceptions import ValidationError

from apps.conversations.models.origins import allows, problem_of, validate_origins
from tests.factories.conversations import ChatbotFactory


@pytest.mark.parametrize(
    "entry",
    [
        *(
            "https://shop.example",
            "http://localhost:8080",
            "https://*.shop.example",
            "https://shop.example:8443",
        ),
        *(
            "https://xn--mller-kva.example",
            "https://192.0.2.7",
            "https://[2001:db8::1]:444",
            "HTTPS://Shop.Example",
        ),
    ],
)
def test_origins(entry):
    assert problem_of(entry) is None


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("shop.example", "Write https://shop.example"),
        ("https://shop.example/", "Write https://shop.example"),
        ("https://shop.example/path?x", "Write https://shop.example"),
        ("*", "Leave the list empty"),
        ("https://*", "scheme and host"),
        ("https://*.*.example", "scheme and host"),
        ("https://shop.*", "scheme and host"),
        ("ftp://shop.example", "scheme and host"),
        ("https://müller.example", "xn--"),
        ("https://user@shop.example", "scheme and host"),
        ("null", "scheme"),
        ("", "as text"),
        (7, "as text"),
    ],
)
def test_what_no_browser_sends_is_said_to_be_wrong(entry, words):
    assert words in str(problem_of(entry))


def test_every_mistake_is_named():
    with pytest.raises(ValidationError) as refused:
        validate_origins(["https://fine.example", "shop.example", "*"])
    assert len(refused.value.messages) == 2
    for value in ("https://shop.example", {}, ["https://shop.example"] * 101):
        with pytest.raises(ValidationError):
            validate_origins(value)
    validate_origins([])


@pytest.mark.django_db
def test_the_model_refuses_them():
    chatbot = ChatbotFactory.create(allowed_origins=["shop.example"])
    with pytest.raises(ValidationError) as refused:
        chatbot.full_clean()
    assert set(refused.value.message_dict) == {"allowed_origins"}


@pytest.mark.parametrize(
    ("allowed", "origin", "expected"),
    [
        ("https://shop.example", "https://shop.example", True),
        ("https://shop.example", "https://SHOP.example", True),
        ("https://shop.example", "http://shop.example", False),
        ("https://shop.example", "https://www.shop.example", False),
        ("https://shop.example", "https://shop.example:8443", False),
        ("https://shop.example:443", "https://shop.example", True),
        ("https://shop.example", "https://shop.example.evil.example", False),
        ("https://shop.example", "https://evilshop.example", False),
        ("https://*.shop.example", "https://www.shop.example", True),
        ("https://*.shop.example", "https://a.b.shop.example", True),
        ("https://*.shop.example", "https://shop.example", False),
        ("https://*.shop.example", "https://evilshop.example", False),
        ("https://*.shop.example", "https://*.shop.example", False),
        ("https://*.shop.example", "https://.shop.example", False),
        ("http://localhost:8080", "http://localhost:8080", True),
        ("http://localhost:8080", "http://localhost:9090", False),
        ("https://shop.example", "null", False),
        ("https://shop.example", "https://shop.example/", False),
        ("nonsense", "https://shop.example", False),
    ],
)
def test_who_is_let_in(allowed, origin, expected):
    assert allows([allowed], origin) is expected
