"""Addresses of the outside servers, as the environment gives them, in the words Django and Celery want."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import environ

DATABASE_SCHEMES = ("sqlite", "postgres", "postgresql")

# IMMEDIATE: a transaction that reads and then writes would otherwise fail at once with "database is locked",
# whatever the timeout. So no atomic() around reads, and never around a call outside.
SQLITE_OPTIONS = {
    "transaction_mode": "IMMEDIATE",
    "timeout": 20,
    "init_command": (
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA mmap_size=134217728; "
        "PRAGMA cache_size=-20000; PRAGMA journal_size_limit=67108864"
    ),
}

POSTGRES_OPTIONS = {
    "connect_timeout": 5,
    # A session that forgot its transaction would keep vacuum from the ledger's dead rows.
    "options": "-c idle_in_transaction_session_timeout=60000",
    # Lets the ledger prepare its statements; the ORM's are put together on our side and are not prepared.
    "prepare_threshold": 5,
    # A server that went away without a word (power, network) is noticed in seconds, not in two hours.
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15000,
}


def database(url: str, application_name: str) -> dict[str, Any]:
    """Django's DATABASES entry for `url`.

    A scheme we don't serve gives Django's dummy backend, so that the settings load and the system check can say
    what is wrong.
    """
    if urlsplit(url).scheme not in DATABASE_SCHEMES:
        return {"ENGINE": "django.db.backends.dummy"}
    entry: dict[str, Any] = environ.Env.db_url_config(url)
    if entry["ENGINE"] == "django.db.backends.sqlite3":
        entry["OPTIONS"] = {**SQLITE_OPTIONS, **entry.get("OPTIONS", {})}
        return entry
    entry["OPTIONS"] = {**POSTGRES_OPTIONS, "application_name": application_name, **entry.get("OPTIONS", {})}
    entry["ENGINE"] = "apps.reliability.postgres"  # Django's own, but nobody waits for ever
    # The web processes keep their connections; in workers Celery ignores both (see CELERY_DB_REUSE_MAX).
    entry["CONN_MAX_AGE"] = None
    entry["CONN_HEALTH_CHECKS"] = True
    return entry


def celery_broker(url: str) -> str:
    """`url` as Celery writes it: `unix:///path?db=2` becomes `redis+socket:///path?virtual_host=2`."""
    parts = urlsplit(url)
    if parts.scheme != "unix":
        return url
    number = parse_qs(parts.query).get("db", ["0"])[0]
    which = f"?virtual_host={number}" if number != "0" else ""
    return f"redis+socket://{parts.netloc}{parts.path}{which}"


def broker_options(url: str) -> dict[str, Any]:
    """Celery's `broker_transport_options` for `url`: fail fast, and never wait for a server that went silent."""
    if urlsplit(url).scheme.startswith(("redis", "unix")):
        return {
            # Blocks a publish for at most this long. The consumer is safe from it: kombu reads a BRPOP only when
            # its answer has arrived, and the server ends each BRPOP after 1 s.
            "socket_timeout": 5,
            "socket_connect_timeout": 2,
            "socket_keepalive": True,
            "health_check_interval": 25,
            # Bells are acknowledged early, so hardly anything can be restored; plain tasks are short.
            "visibility_timeout": 900,
            "unacked_restore_interval": 5,
            "unacked_restore_throttle": 1,
        }
    # RabbitMQ: one that accepts and then reads nothing must not hold the ringer.
    return {"write_timeout": 5}
