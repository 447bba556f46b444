"""The AI providers there are: settings.AI_PROVIDERS, name -> dotted path of a `Provider` class.

Anyone may add one (EXTRA_AI_PROVIDERS in the environment); nothing else needs to know.
"""

from functools import cache

from django.conf import settings
from django.utils.module_loading import import_string

from apps.ai.base import Provider
from apps.reliability.errors import PermanentError


class UnknownProvider(PermanentError, LookupError):
    """No provider by this name: a turn that meets it goes straight to the chatbot's fallback message."""


def get(name: str) -> Provider:
    """The provider by this name; one instance per process.

    Raises UnknownProvider with a hint, and TypeError when the path in the settings is not a Provider.
    """
    try:
        path = settings.AI_PROVIDERS[name]
    except KeyError:
        known = ", ".join(names()) or "none"
        raise UnknownProvider(
            f"There is no AI provider {name!r}.",
            code="unknown_provider",
            advice=f"Known: {known}. A new one is an entry in EXTRA_AI_PROVIDERS (name=dotted.path.Class).",
        ) from None
    return _load(name, path)


def names() -> list[str]:
    """The names of all providers, sorted."""
    return sorted(settings.AI_PROVIDERS)


@cache
def _load(name: str, path: str) -> Provider:
    provider = import_string(path)()
    if not isinstance(provider, Provider):
        raise TypeError(f"AI_PROVIDERS[{name!r}] = {path!r} is not a subclass of apps.ai.base.Provider.")
    if provider.name != name:
        raise TypeError(
            f"AI_PROVIDERS[{name!r}] = {path!r} calls itself {provider.name!r}; use that name as key."
        )
    return provider
