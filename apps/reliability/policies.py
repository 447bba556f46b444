"""When a breaker opens and for how long: by the kind of what is behind it (settings.BREAKERS).

    BREAKER_CHAT=5/30     five failures within 30 seconds open it, for 30 seconds at first

A breaker's name begins with what it guards, and tells its kind:

    service:<kind>:<name>    a provider as a whole: service:chat:telegram, service:ai:api.openai.com
    channel:<public id>      one account of a channel: chat
    ai:<public id>           one account with an AI provider: ai
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from django.conf import settings

KINDS = {
    "chat": "chat APIs (channels and their accounts)",
    "ai": "AI providers and their accounts",
    "rpc": "RPC nodes of blockchains",
    "ipfs": "IPFS gateways",
}
MOST_FAILURES, MOST_SECONDS = 1_000, 3_600
_FORM = re.compile(r"(\d{1,6})/(\d{1,6})")


@dataclass(frozen=True, slots=True)
class Policy:
    """When a breaker opens, and for how long. Seconds.

    failures             so many within `window_seconds` open it, if they are at least half of all calls of that time
    open_seconds         how long at first; each failed probe doubles it, up to `longest_open_seconds`
    lease_seconds        how long a probe may take; then the next one who asks is the probe
    """

    failures: int = 5
    window_seconds: float = 30.0
    open_seconds: float = 30.0
    longest_open_seconds: float = 300.0
    lease_seconds: float = 60.0


@lru_cache(maxsize=64)
def parse(text: str) -> Policy:
    """The policy of "failures/seconds". Raises ValueError with what is wrong."""
    found = _FORM.fullmatch(text.strip())
    if not found:
        raise ValueError("it is not of the form failures/seconds, such as 5/30")
    failures, seconds = int(found[1]), int(found[2])
    if not 1 <= failures <= MOST_FAILURES:
        raise ValueError(f"the number of failures is not between 1 and {MOST_FAILURES:,}")
    if not 1 <= seconds <= MOST_SECONDS:
        raise ValueError(f"the seconds are not between 1 and {MOST_SECONDS:,}")
    return Policy(failures, seconds, seconds, max(300.0, seconds))


def kind_of(name: str) -> str:
    """The kind of the breaker of this name, one of KINDS."""
    first, _, rest = name.partition(":")
    if first == "service":
        return rest.partition(":")[0]
    return "chat" if first == "channel" else first


def policy_of(name: str) -> Policy:
    """The policy of the breaker of this name. Raises LookupError for a name of no known kind."""
    return parse(settings.BREAKERS[kind_of(name)])
