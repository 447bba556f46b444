"""Settings that would fail later, found at the boot: each with a hint that says what to do.

`manage.py` runs these with Django's own checks. Servers and workers don't run checks, or ignore what they say, so
project/wsgi.py, asgi.py and celery.py call `stop_if_wrong`.
"""

import base64
import binascii
import ipaddress
import sqlite3
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register, run_checks
from django.core.exceptions import ImproperlyConfigured
from django.http.request import validate_host
from django.utils.module_loading import import_string

from apps.operations import account_checks
from apps.operations.breaker_checks import check_breakers

TAG = "switchboard"
SHORTEST_SECRET_KEY = 50  # what Django's own deployment check asks for
SHORTEST_KEY = 32
OLDEST_SQLITE = (3, 35, 0)  # RETURNING
DEVELOPMENT = "development-only-"
DATABASES = ("sqlite", "postgres", "postgresql")
REDIS = ("redis", "rediss", "unix")
BROKERS = ("redis", "rediss", "unix", "redis+socket", "amqp", "amqps", "sqs")
LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "[::1]", "testserver", ".localhost"})
HOW_TO_MAKE_A_KEY = 'Make one with: python3 -c "import secrets; print(secrets.token_urlsafe(48))"'

Check = Callable[..., list[CheckMessage]]


def _error(number: int, message: str, hint: str) -> CheckMessage:
    return Error(message, hint=hint, id=f"{TAG}.E{number:03}")


def _warning(number: int, message: str, hint: str) -> CheckMessage:
    return Warning(message, hint=hint, id=f"{TAG}.W{number:03}")


def check_secret_key(app_configs: Sequence[AppConfig] | None = None, **_: Any) -> list[CheckMessage]:
    """SECRET_KEY is there, long enough, and not the one everybody has."""
    try:
        key = settings.SECRET_KEY
    except ImproperlyConfigured:  # it is empty; Django says less about it
        return [
            _error(1, "SECRET_KEY is not set.", f"Set it in the environment or .env. {HOW_TO_MAKE_A_KEY}")
        ]
    if not settings.DEBUG and key.startswith(DEVELOPMENT):
        return [_error(1, "SECRET_KEY is the development one.", f"Set your own. {HOW_TO_MAKE_A_KEY}")]
    if len(key) < SHORTEST_SECRET_KEY:
        found = f"SECRET_KEY has {len(key)} characters, at least {SHORTEST_SECRET_KEY} are needed."
        return [_error(2, found, HOW_TO_MAKE_A_KEY)]
    return []


def check_encryption_keys(app_configs: Sequence[AppConfig] | None = None, **_: Any) -> list[CheckMessage]:
    """ENCRYPTION_KEYS: at least one, each long enough; credentials at rest depend on them."""
    keys = list(settings.ENCRYPTION_KEYS)
    if not keys:
        hint = f"Comma separated, the first one encrypts, older ones still decrypt. {HOW_TO_MAKE_A_KEY}"
        return [_error(3, "ENCRYPTION_KEYS is not set: credentials can't be stored.", hint)]
    found = []
    for place, key in enumerate(keys, start=1):
        if not settings.DEBUG and key.startswith(DEVELOPMENT):
            found.append(
                _error(4, f"ENCRYPTION_KEYS: key {place} is the development one.", HOW_TO_MAKE_A_KEY)
            )
        elif len(key) < SHORTEST_KEY:
            problem = (
                f"ENCRYPTION_KEYS: key {place} has {len(key)} characters, at least {SHORTEST_KEY} are needed."
            )
            found.append(
                _error(4, problem, f"A comma separates keys and can't be part of one. {HOW_TO_MAKE_A_KEY}")
            )
        elif key != key.strip() or not key.isprintable() or _cut_off(key):
            problem = f"ENCRYPTION_KEYS: key {place} looks cut off or has white space in it."
            found.append(_error(4, problem, f"Copy the whole key. {HOW_TO_MAKE_A_KEY}"))
    if len(set(keys)) != len(keys):
        found.append(_error(4, "ENCRYPTION_KEYS names a key twice.", "Leave the second one out."))
    return found


def _cut_off(key: str) -> bool:
    """Whether this was a ready Fernet key (padded base64) that lost some of its characters."""
    if not key.endswith("="):
        return False
    try:
        return len(base64.b64decode(key, altchars=b"-_", validate=True)) != 32
    except (binascii.Error, ValueError):
        return True


def check_database(app_configs: Sequence[AppConfig] | None = None, **_: Any) -> list[CheckMessage]:
    """DATABASE_URL names a database we serve, and the SQLite at hand can do what the ledger asks of it."""
    parts = urlsplit(settings.DATABASE_URL)
    if parts.scheme not in DATABASES:
        hint = "postgresql://user:password@host:5432/name or sqlite:////absolute/path.sqlite3"
        return [
            _error(
                5, f"DATABASE_URL: {parts.scheme or 'no'} scheme is not one of {', '.join(DATABASES)}.", hint
            )
        ]
    if parts.scheme != "sqlite":
        return []
    name = str(settings.DATABASES["default"].get("NAME", ""))
    if name in ("", ":memory:"):
        hint = "Web and workers are processes of their own: name a file, sqlite:////absolute/path.sqlite3"
        return [_error(5, "DATABASE_URL: an SQLite in memory can't be shared.", hint)]
    found = _check_sqlite()
    if not Path(name).parent.is_dir():
        hint = (
            f"Make the directory {Path(name).parent}, or set DATABASE_URL or VAR_DIR to a place that exists."
        )
        found.append(_error(6, f"The directory of the SQLite file {name} does not exist.", hint))
    return found


def _check_sqlite() -> list[CheckMessage]:
    hint = "Use a newer Python (its SQLite comes with it), or PostgreSQL by DATABASE_URL."
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        wanted = ".".join(map(str, OLDEST_SQLITE))
        return [_error(7, f"SQLite {sqlite3.sqlite_version} is too old, {wanted} is needed.", hint)]
    if not has_fts5():
        return [_error(8, "This SQLite lacks FTS5, which searches the knowledge base.", hint)]
    return []


def has_fts5() -> bool:
    """Whether Python's SQLite was built with full-text search."""
    connection = sqlite3.connect(":memory:")
    try:
        connection.execute("CREATE VIRTUAL TABLE probe USING fts5(text)")
    except sqlite3.OperationalError:
        return False
    finally:
        connection.close()
    return True


def check_redis(app_configs: Sequence[AppConfig] | None = None, **_: Any) -> list[CheckMessage]:
    """REDIS_URL and BROKER_URL: there, and of a kind we serve."""
    examples = (
        "redis://127.0.0.1:6379/0 or unix:///run/redis.sock; `make demo` and `make dev` bring their own."
    )
    if not settings.REDIS_URL:
        return [_error(9, "REDIS_URL is not set.", f"Name a Redis-compatible server: {examples}")]
    found = []
    if urlsplit(settings.REDIS_URL).scheme not in REDIS:
        found.append(_error(10, f"REDIS_URL is not one of {', '.join(REDIS)}.", f"For example {examples}"))
    scheme = urlsplit(settings.BROKER_URL).scheme
    if scheme not in BROKERS:
        hint = (
            "Leave it empty to use REDIS_URL, or name RabbitMQ: amqp://user:password@host:5672/vhost, or SQS: "
            "sqs:// (docs/brokers.md)."
        )
        problem = f"BROKER_URL: {scheme or 'no'} scheme is not one of {', '.join(BROKERS)}."
        found.append(_error(11, problem, hint))
    return found


def check_registries(app_configs: Sequence[AppConfig] | None = None, **_: Any) -> list[CheckMessage]:
    """Every dotted path of CHANNELS and AI_PROVIDERS leads to a class."""
    found = []
    for setting in ("CHANNELS", "AI_PROVIDERS"):
        for name, path in getattr(settings, setting).items():
            try:
                import_string(path)
            except ImportError as error:
                hint = f"EXTRA_{setting}={name}=package.module.Class, on the PYTHONPATH of every process. {error}"
                found.append(_error(12, f"{setting}: {name} names {path}, which can't be imported.", hint))
    return found


def check_addresses(app_configs: Sequence[AppConfig] | None = None, **_: Any) -> list[CheckMessage]:
    """How others reach us: ALLOWED_HOSTS names somebody, EVENTS_URL is a URL, DEBUG is on only where nobody can."""
    found = []
    if settings.EVENTS_URL:
        parts = urlsplit(settings.EVENTS_URL)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            hint = (
                "The public address of the events process: https://events.example.com; empty: the API's own."
            )
            found.append(_error(13, "EVENTS_URL is not a URL.", hint))
    if not settings.ALLOWED_HOSTS and not settings.DEBUG:
        hint = "The names under which browsers and providers reach you, comma separated: ALLOWED_HOSTS=chat.example.com"
        found.append(_error(14, "ALLOWED_HOSTS is empty: every request would be refused.", hint))
    strangers = sorted(set(settings.ALLOWED_HOSTS) - LOCAL_HOSTS)
    if settings.DEBUG and strangers:
        hint = "Error pages would show settings and code to strangers. Set DEBUG=false, or leave these hosts out."
        found.append(_error(15, f"DEBUG is on and ALLOWED_HOSTS serves {', '.join(strangers)}.", hint))
    if "*" in settings.ALLOWED_HOSTS and not settings.DEBUG:
        hint = "Name your hosts, so that nobody can send a Host header of their own into links."
        found.append(_warning(1, "ALLOWED_HOSTS lets every host name through.", hint))
    return found


def check_public_url(app_configs: Sequence[AppConfig] | None = None, **_: Any) -> list[CheckMessage]:
    """PUBLIC_URL, where it is set: an address without a path, https wherever HTTPS is on, and one of ALLOWED_HOSTS."""
    if not settings.PUBLIC_URL:
        return []
    try:
        parts = urlsplit(settings.PUBLIC_URL)
        host = parts.hostname if parts.port is None or parts.port else None
    except ValueError:
        host = None
    if host is None or parts.scheme not in ("http", "https") or "@" in parts.netloc:
        return [_error(17, "PUBLIC_URL is not a URL.", "For example https://switchboard.example.com")]
    found = []
    if parts.path or parts.query or parts.fragment:
        hint = f"Only scheme and host: {parts.scheme}://{parts.netloc}. Serve Switchboard under a host of its own."
        found.append(_error(17, "PUBLIC_URL has something behind the host.", hint))
    if settings.HTTPS and parts.scheme != "https":
        hint = "Providers call https addresses only, and HTTPS=true redirects everything else: begin it with https://"
        found.append(_error(18, "PUBLIC_URL is not https.", hint))
    shown = f"[{host}]" if ":" in host else host
    if not validate_host(shown, settings.ALLOWED_HOSTS):
        hint = f"Every call to it would be refused: ALLOWED_HOSTS={shown}"
        found.append(_error(19, f"The host of PUBLIC_URL, {shown}, is not one of ALLOWED_HOSTS.", hint))
    return found


def check_visitors(app_configs: Sequence[AppConfig] | None = None, **_: Any) -> list[CheckMessage]:
    """TRUSTED_PROXIES are addresses or networks; the limits of the widget are numbers that can be kept."""
    found = []
    for entry in settings.TRUSTED_PROXIES:
        try:
            network = ipaddress.ip_network(entry, strict=False)
        except ValueError:
            hint = "Addresses or networks, comma separated: TRUSTED_PROXIES=10.0.0.0/8,127.0.0.1"
            found.append(_error(30, f"TRUSTED_PROXIES: {entry} is neither an address nor a network.", hint))
            continue
        if network.prefixlen == 0:
            hint = "Name your proxies only; else anybody can write the address that they are counted under."
            found.append(_error(30, f"TRUSTED_PROXIES: {entry} trusts everybody.", hint))
    least = {"WIDGET_STARTS_PER_MINUTE": 0, "WIDGET_MESSAGES_PER_MINUTE": 0, "WIDGET_MESSAGES_BURST": 1}
    for name, smallest in least.items():
        if getattr(settings, name) < smallest:
            hint = "0 means no limit." if smallest == 0 else "It says how many may come at once."
            found.append(_error(31, f"{name} is below {smallest}.", hint))
    return found


def check_logging(app_configs: Sequence[AppConfig] | None = None, **_: Any) -> list[CheckMessage]:
    """LOG_FORMAT is one that exists (a wrong LOG_LEVEL already stops Django's own set-up)."""
    formats = ("json", "console", "colour")
    if settings.LOG_FORMAT in formats:
        return []
    return [_error(16, f"LOG_FORMAT={settings.LOG_FORMAT} is unknown.", f"One of {', '.join(formats)}.")]


ALL: tuple[Check, ...] = (
    check_secret_key,
    check_encryption_keys,
    check_database,
    check_redis,
    check_registries,
    check_addresses,
    check_public_url,
    check_visitors,
    check_breakers,
    check_logging,
)


def register_all() -> None:
    """Let `manage.py` run them (called when the room is ready)."""
    for check in ALL:
        register(check, TAG)


def report(messages: Iterable[CheckMessage]) -> str:
    """What was found, for a terminal."""
    return "\n".join(f"  {message.id}: {message.msg}\n      {message.hint}" for message in messages)


def stop_if_wrong() -> None:
    """End the process with the hints on standard error if a setting is wrong. Raises SystemExit."""
    wrong = [message for message in run_checks(tags=[TAG]) if message.is_serious()]
    wrong = wrong or [message for message in account_checks.run_on_a_thread() if message.is_serious()]
    if wrong:
        print(f"Switchboard can't start:\n{report(wrong)}", file=sys.stderr)  # noqa: T201 - logs may be elsewhere
        raise SystemExit(1)
