"""Which tests share a process of xdist: one process per set-up, so that each starts its servers once.

    pytest -m survival --dist loadgroup -n 4

The three set-ups of tests/survival run side by side; the browser tests, which have houses of their own, beside them.
xdist's `xdist_group` mark would say the same, but as of 3.8 it does nothing under pytest 9.2.
"""

import re

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

SET_UP = re.compile(r"\[(?:.*-)?(embedded|postgres-redis|postgres-rabbitmq)(?:-.*)?\]$")


def group(nodeid: str) -> str:
    """The set-up that the test runs on, else its room: tests/browser, tests/operations."""
    on = SET_UP.search(nodeid)
    return on[1] if on else nodeid.partition("::")[0].rpartition("/")[0]


class BySetUp(LoadScopeScheduling):
    """A group is handed to one process; the groups with most tests go first."""

    def _split_scope(self, nodeid: str) -> str:
        return group(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling | None:
    return BySetUp(config, log) if config.getvalue("dist") == "loadgroup" else None
