"""The web as others see it: health, certificate, webhook doors, static files, the live events."""

from __future__ import annotations

import os
import socket
import ssl
import time
from collections.abc import Iterator
from ipaddress import ip_address
from urllib.parse import urlsplit

from django.conf import settings
from django.templatetags.static import static
from requests.utils import DEFAULT_CA_BUNDLE_PATH

from apps.channels import registry as channels
from apps.conversations.models import ChannelAccount
from apps.operations.doctor.finding import Finding, Settings, fail, note, ok, skip, warn
from apps.operations.doctor.outside import Reply, ask, side_by_side

DAYS_SOON, DAYS_NOW = 21, 3
EVENTS = "/api/v1/widget/events"
STATIC = "admin/css/base.css"
START = "granian --interface asgi --port 8000 --workers 2 --no-ws project.asgi:application"
MOST_DOORS = 50
TELEGRAMS_OWN = "api.telegram.org"


def check(asked: Settings) -> Iterator[Finding]:
    """Asks PUBLIC_URL where there is one, else the address of the Procfile's web line."""
    base = (asked.base_url or settings.PUBLIC_URL or _local()).rstrip("/")
    callers = _called_accounts()
    if not settings.PUBLIC_URL:
        made = fail if callers else note
        advice = "Providers need an https address to call: PUBLIC_URL=https://your.host in .env"
        yield made("PUBLIC_URL", f"is not set; asking {base}", advice)
    health = ask(f"{base}/healthz")
    yield _health(base, health)
    if base.startswith("https://"):
        yield certificate(base)
    if settings.PUBLIC_URL and any(_calls_from_outside(channel) for channel, _ in callers):
        yield from _private(base)
    if health.status != 200:
        yield skip("behind it", "doors, static files and events are left out")
        return
    yield from _doors(base, callers)
    yield _static(base)
    yield _events(settings.EVENTS_URL.rstrip("/") or base)


def _local() -> str:
    return f"http://{os.environ.get('HOST', '127.0.0.1')}:{os.environ.get('PORT', '8000')}"


def _health(base: str, reply: Reply) -> Finding:
    if reply.problem:
        advice = "Is the web process running, and the proxy before it? Is the address right, also from this machine?"
        return fail("healthz", f"{base}: {reply.problem}", advice, START)
    if reply.status == 400:
        return fail("healthz", f"{base} answered 400", f"ALLOWED_HOSTS must name {urlsplit(base).hostname}.")
    if reply.status == 503:
        return fail(
            "healthz", f"{base} answered 503", "The web process can't reach the database: same DATABASE_URL?"
        )
    body = reply.json()
    if reply.status != 200 or not isinstance(body, dict) or body.get("status") != "ok":
        advice = "Somebody else answers at this address: does the proxy lead to the web process?"
        return fail("healthz", f"{base} answered {reply.status}, and not as Switchboard does", advice)
    return ok("healthz", f"{base} answers")


def certificate(base: str, context: ssl.SSLContext | None = None) -> Finding:
    """How long the certificate of this https address still holds."""
    parts = urlsplit(base)
    host, port = parts.hostname or "", parts.port or 443
    if context is None:
        context = ssl.create_default_context()
        context.load_verify_locations(DEFAULT_CA_BUNDLE_PATH)
    try:
        with (
            socket.create_connection((host, port), timeout=3) as raw,
            context.wrap_socket(raw, server_hostname=host) as tls,
        ):
            ends = ssl.cert_time_to_seconds(str((tls.getpeercert() or {})["notAfter"]))
    except ssl.SSLCertVerificationError as error:
        advice = "Get one that covers this name, and serve its whole chain (fullchain.pem)."
        return fail("certificate", f"is refused: {error.verify_message}", advice)
    except (OSError, KeyError) as error:
        return fail(
            "certificate", f"can't be read: {type(error).__name__}", "Does the proxy speak TLS on this port?"
        )
    days = (ends - time.time()) / 86_400
    found = f"holds for another {days:.0f} days"
    if days < DAYS_NOW:
        return fail("certificate", found, "Renew it now; browsers and providers refuse an expired one.")
    if days < DAYS_SOON:
        return warn("certificate", found, "Renew it; does the automatic renewal run?")
    return ok("certificate", found)


def _calls_from_outside(channel: str) -> bool:
    """Whether its provider is somewhere in the world; a Bot API server of one's own may stand beside us."""
    return channel != "telegram" or urlsplit(settings.TELEGRAM_API_URL).hostname == TELEGRAMS_OWN


def _private(base: str) -> Iterator[Finding]:
    """An address that only our own network knows can't be called by a provider outside it."""
    host = urlsplit(base).hostname or ""
    try:
        found = {str(entry[4][0]) for entry in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)}
    except OSError:
        return  # healthz says so
    inside = sorted(one for one in found if not ip_address(one.partition("%")[0]).is_global)
    if inside and len(inside) == len(found):
        advice = (
            "A provider outside can't call it. In development: a tunnel (docs/how-to/connect-telegram.md)."
        )
        yield warn("address", f"{host} is {', '.join(inside)}, which is not a public address", advice)


def _called_accounts() -> list[tuple[str, str]]:
    """(channel, public id) of active accounts that a provider calls."""
    called = [name for name in channels.names() if channels.get(name).has_webhook]
    rows = ChannelAccount.objects.filter(channel__in=called, is_active=True, chatbot__is_active=True)
    return [(channel, str(pk)) for channel, pk in rows.values_list("channel", "public_id")[:MOST_DOORS]]


def _doors(base: str, callers: list[tuple[str, str]]) -> Iterator[Finding]:
    """An unsigned call must be refused as unsigned: then the path, the proxy and the account are right."""
    if not callers:
        return
    replies = side_by_side(lambda one: _knock(base, *one), callers)
    shut = 0
    for (channel, account), reply in zip(callers, replies, strict=True):
        name, found = f"door of {channel} {account}", reply.problem or f"an unsigned call got {reply.status}"
        if reply.status in (401, 403):
            shut += 1
        elif 300 <= reply.status < 400:
            advice = "The proxy must say that it spoke TLS: SECURE_PROXY_SSL_HEADER=X-Forwarded-Proto"
            yield fail(name, f"{found}, a redirect", advice)
        elif reply.status == 404:
            yield fail(name, found, "Does the proxy send /webhooks/ to this installation's web process?")
        elif 200 <= reply.status < 300:
            yield fail(name, found, "It must be refused. Does something before us answer by itself?")
        else:
            yield fail(name, found, "It should be refused with 401 or 403: look at the log of web and proxy.")
    if shut:
        yield ok("doors", f"{shut} of {len(callers)} refuse unsigned calls, as they should")


def _knock(base: str, channel: str, account: str) -> Reply:
    headers = {"Content-Type": "application/json"}
    return ask(f"{base}/webhooks/{channel}/{account}", method="POST", headers=headers, data=b"{}")


def _static(base: str) -> Finding:
    path = static(STATIC)
    reply = ask(path if "://" in path else f"{base}/{path.lstrip('/')}")
    if reply.status == 200 and reply.header("Content-Type").startswith("text/css"):
        return ok("static files", "are served")
    found = reply.problem or f"{STATIC} answered {reply.status} {reply.header('Content-Type')}".strip()
    command = "python manage.py collectstatic --no-input"
    return fail("static files", found, "The admin has no style without them. Collect, restart:", command)


def _events(base: str) -> Finding:
    """The events process asks for a token; the web process knows no such path."""
    reply = ask(f"{base}{EVENTS}")
    if reply.status == 401:
        return ok("events", f"{base} serves live events")
    if reply.problem:
        advice = "Is the events process running, and EVENTS_URL right?"
        return fail("events", f"{base}: {reply.problem}", advice)
    advice = (
        f"Let the proxy send {EVENTS} to the events process (Procfile), or set EVENTS_URL to its own address."
    )
    return fail("events", f"{base} answered {reply.status}: pages get answers late or never", advice)
