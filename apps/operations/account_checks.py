"""Checks of what stands in the database: accounts that would let strangers in.

They carry Django's own tag for the database, so plain commands leave them out; `manage.py check --database default`,
`migrate`, and the start of servers and workers run them.
"""

from concurrent.futures import ThreadPoolExecutor

from django.core.checks import CheckMessage, run_checks
from django.db import connections

ACCOUNTS_TAG = "switchboard_accounts"


def run_on_a_thread() -> list[CheckMessage]:
    """What they say; asked on a thread, so that no process inherits a connection."""

    def ask() -> list[CheckMessage]:
        try:
            return run_checks(tags=[ACCOUNTS_TAG])
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(ask).result()
