"""Channels come from the settings; a wrong name or path says what to do."""

import pytest

from apps.channels import registry
from apps.channels.base import Channel
from apps.reliability.errors import PermanentError


class Pigeon(Channel):
    name = "pigeon"
    label = "Pigeon"


def test_what_the_settings_name_is_there(settings):
    settings.CHANNELS = {**settings.CHANNELS, "pigeon": f"{__name__}.Pigeon"}
    assert registry.names() == ["pigeon", "telegram", "widget"]
    assert isinstance(registry.get("pigeon"), Pigeon)
    assert registry.get("pigeon") is registry.get("pigeon")
    assert registry.get("pigeon").debounce_seconds == 1


def test_an_unknown_name_gets_a_hint():
    with pytest.raises(registry.UnknownChannel, match="no channel 'fax'") as caught:
        registry.get("fax")
    assert isinstance(caught.value, PermanentError)
    assert isinstance(caught.value, LookupError)
    assert "widget" in caught.value.advice
    assert "EXTRA_CHANNELS" in caught.value.advice


@pytest.mark.parametrize(
    ("path", "reason"), [("builtins.dict", "not a subclass"), (f"{__name__}.Pigeon", "calls itself 'pigeon'")]
)
def test_a_wrong_path_says_what_is_wrong(settings, path, reason):
    settings.CHANNELS = {"other": path}
    with pytest.raises(TypeError, match=reason):
        registry.get("other")
