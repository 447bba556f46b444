"""How often a visitor may knock: conversations begun per address, messages per conversation.

The visitor's address is the peer's own. Behind a proxy of ours (TRUSTED_PROXIES) it is what the proxy says: the last
entry of X-Forwarded-For that is not such a proxy itself; anything further left, the visitor could have written.
"""

import ipaddress
import math
from collections.abc import Iterable
from functools import lru_cache

import structlog
from django.conf import settings
from django.http import HttpRequest

from apps.frontdoor.lookups import Visitor
from apps.frontdoor.problems import Problem
from apps.reliability.limiter import Limit, reserve

STARTS = "Too many conversations were started from this address. Try again in a moment."
MESSAGES = "Too many messages in a short time. Try again in a moment."

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

log = structlog.get_logger(__name__)


def check_start(request: HttpRequest) -> None:
    """Return if this address may begin another conversation. Raises Problem: 429 with Retry-After."""
    a_minute: int = settings.WIDGET_STARTS_PER_MINUTE
    address = address_of(request)
    if a_minute and address:
        _check(Limit(f"widget-starts:{address}", a_minute / 60, a_minute), STARTS)


def check_message(visitor: Visitor) -> None:
    """Return if this conversation may take another message now. Raises Problem: 429 with Retry-After."""
    a_minute: int = settings.WIDGET_MESSAGES_PER_MINUTE
    if a_minute:
        limit = Limit(
            f"widget-messages:{visitor.conversation_id}", a_minute / 60, settings.WIDGET_MESSAGES_BURST
        )
        _check(limit, MESSAGES)


def address_of(request: HttpRequest) -> str:
    """What counts as one visitor: an IPv4 address, or the /64 of an IPv6 one, since one connection has all of it.

    Empty where it can't be known: a local peer that forwards for others, while TRUSTED_PROXIES names nobody. All
    visitors would share its limit.
    """
    peer = _address(request.META.get("REMOTE_ADDR", ""))
    forwarded = [part.strip() for part in request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")]
    trusted = trusted_proxies(tuple(settings.TRUSTED_PROXIES))
    if not trusted and any(forwarded) and (peer is None or peer.is_private):
        _say_once("TRUSTED_PROXIES")
        return ""
    while forwarded and forwarded[-1] and (peer is None or _is_in(peer, trusted)):
        nearer = _address(forwarded.pop())
        if nearer is None:
            break
        peer = nearer
    if peer is None:
        return ""
    return str(ipaddress.ip_network((peer, 64), strict=False)) if peer.version == 6 else str(peer)


@lru_cache(maxsize=4)
def trusted_proxies(entries: tuple[str, ...]) -> tuple[Network, ...]:
    """The networks that the setting names. Raises ValueError for what is none."""
    return tuple(ipaddress.ip_network(entry, strict=False) for entry in entries)


def _check(limit: Limit, detail: str) -> None:
    (wait,) = reserve([[limit]])
    if wait:
        raise Problem(429, detail, {"Retry-After": str(math.ceil(wait))})


def _address(text: str) -> Address | None:
    bare = text.strip().strip('"')
    if bare.startswith("["):  # [2001:db8::1]:443
        bare = bare[1:].partition("]")[0]
    elif bare.count(":") == 1:  # 192.0.2.1:443
        bare = bare.partition(":")[0]
    try:
        address = ipaddress.ip_address(bare)
    except ValueError:
        return None
    return (address.version == 6 and address.ipv4_mapped) or address


def _is_in(address: Address, networks: Iterable[Network]) -> bool:
    return any(address in network for network in networks)


@lru_cache(maxsize=1)
def _say_once(setting: str) -> None:
    log.warning(
        "forwarded_addresses_are_not_trusted",
        setting=setting,
        consequence="conversations begun are not limited per visitor",
    )
