"""The channels there are: settings.CHANNELS, name -> dotted path of a `Channel` class.

Anyone may add one (EXTRA_CHANNELS in the environment); nothing else needs to know.
"""

from functools import cache

from django.conf import settings
from django.utils.module_loading import import_string

from apps.channels.base import Channel
from apps.reliability.errors import PermanentError


class UnknownChannel(PermanentError, LookupError):
    """No channel by this name: a job that meets it will never work until someone changes the settings."""


def get(name: str) -> Channel:
    """The channel by this name; one instance per process.

    Raises UnknownChannel with a hint, and TypeError when the path in the settings is not a Channel.
    """
    try:
        path = settings.CHANNELS[name]
    except KeyError:
        known = ", ".join(names()) or "none"
        raise UnknownChannel(
            f"There is no channel {name!r}.",
            code="unknown_channel",
            advice=f"Known: {known}. A new one is an entry in EXTRA_CHANNELS (name=dotted.path.Class).",
        ) from None
    return _load(name, path)


def names() -> list[str]:
    """The names of all channels, sorted."""
    return sorted(settings.CHANNELS)


@cache
def _load(name: str, path: str) -> Channel:
    channel = import_string(path)()
    if not isinstance(channel, Channel):
        raise TypeError(f"CHANNELS[{name!r}] = {path!r} is not a subclass of apps.channels.base.Channel.")
    if channel.name != name:
        raise TypeError(
            f"CHANNELS[{name!r}] = {path!r} calls itself {channel.name!r}; use that name as the key."
        )
    return channel
