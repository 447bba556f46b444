"""Providers come from the settings; a wrong name or path says what to do."""

import pytest

from apps.ai import registry
from apps.ai.base import Provider
from apps.reliability.errors import PermanentError


class Echo(Provider):
    name = "echo"


def test_what_the_settings_name_is_there(settings):
    settings.AI_PROVIDERS = {**settings.AI_PROVIDERS, "echo": f"{__name__}.Echo"}
    assert registry.names() == ["anthropic", "builtin", "echo", "openai"]
    assert isinstance(registry.get("echo"), Echo)
    assert registry.get("echo") is registry.get("echo")


def test_an_unknown_name_gets_a_hint():
    with pytest.raises(registry.UnknownProvider, match="no AI provider 'gpt'") as caught:
        registry.get("gpt")
    assert isinstance(caught.value, PermanentError)
    assert isinstance(caught.value, LookupError)
    assert "builtin" in caught.value.advice
    assert "EXTRA_AI_PROVIDERS" in caught.value.advice


@pytest.mark.parametrize(
    ("path", "reason"), [("builtins.dict", "not a subclass"), (f"{__name__}.Echo", "calls itself 'echo'")]
)
def test_a_wrong_path_says_what_is_wrong(settings, path, reason):
    settings.AI_PROVIDERS = {"other": path}
    with pytest.raises(TypeError, match=reason):
        registry.get("other")
