"""Each survival test gets `house`: a running Switchboard on one of the three set-ups, with servers of its own."""

import pytest

from tests.survival.fixtures import FIGURE, figure, house, houses, pytest_generate_tests, run
from tests.survival.messenger import messenger, messengers

__all__ = ["figure", "house", "houses", "messenger", "messengers", "pytest_generate_tests", "run"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark whatever needs a house, here and in tests/flows."""
    for item in items:
        if "house" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.survival)
            item.add_marker(pytest.mark.service)
            # All in one xdist process (--dist loadgroup): the servers are started once.
            item.add_marker(pytest.mark.xdist_group("survival"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    said = [
        value
        for reports in terminalreporter.stats.values()
        for report in reports
        if getattr(report, "when", "") == "call"
        for name, value in report.user_properties
        if name == FIGURE
    ]
    if said:
        terminalreporter.section("survival figures")
        for line in said:
            terminalreporter.line(line)
