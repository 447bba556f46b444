"""Checks of what stands in the database: accounts that would let strangers in. Servers and workers run them at their
start; commands don't, because it is commands that mend what they find (and `migrate` must always go)."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from django.core.checks import CheckMessage
from django.db import connections

CHECKS: list[Callable[[], list[CheckMessage]]] = []


def run_on_a_thread() -> list[CheckMessage]:
    """What they say; asked on a thread, so that no process inherits a connection."""

    def ask() -> list[CheckMessage]:
        try:
            return [message for check in CHECKS for message in check()]
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(ask).result()
