"""Which pages may speak for a chatbot: the origin that a browser names, against the chatbot's list.

A preflight can't know the chatbot, so it is answered, and the real call is refused. No Origin header: not a browser,
or a page of our own that only reads. This keeps other people's pages from using a chatbot; it keeps out nobody who
writes their own client, since they can send any header.
"""

from collections.abc import Sequence
from urllib.parse import urlsplit

from django.conf import settings
from django.http.request import split_domain_port, validate_host

from apps.conversations.models.origins import allows
from apps.frontdoor.problems import Problem

REFUSED = (
    "The origin of this page is not on the chatbot's list. In the admin, at the chatbot, add it to the allowed "
    "origins as the browser sends it: scheme, host, and port if there is one, such as https://shop.example"
)


def check(origin: str, host: str, allowed: Sequence[str]) -> None:
    """Return if a page of `origin` (the header, "" without one) may speak to us.

    `host`: the Host header of the request. Raises Problem: 403, with what to add where.
    """
    if not allowed or not origin or allows(allowed, origin) or is_ours(origin, host):
        return
    raise Problem(403, REFUSED)


def is_ours(origin: str, host: str) -> bool:
    """Whether it is our own chat page: the host that was asked, or PUBLIC_URL (the stream may be served elsewhere)."""
    if settings.PUBLIC_URL and allows([settings.PUBLIC_URL], origin):
        return True
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    if parts.scheme not in (("https",) if settings.HTTPS else ("http", "https")):
        return False
    usual = ":443" if parts.scheme == "https" else ":80"
    return parts.netloc.lower() == host.lower().removesuffix(usual) and _is_our_host(host)


def _is_our_host(host: str) -> bool:
    """Any name can be made to lead to our address; only some are ours."""
    name, _ = split_domain_port(host)
    return bool(name) and validate_host(name, settings.ALLOWED_HOSTS)
