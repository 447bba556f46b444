"""Figures that tests measure, printed together at the end of the run, whichever process measured them."""

from collections.abc import Callable

import pytest

FIGURE = "figure"


@pytest.fixture
def figure(
    request: pytest.FixtureRequest, record_property: Callable[[str, object], None]
) -> Callable[[str], None]:
    """Say a measured figure."""
    return lambda text: record_property(FIGURE, f"{request.node.name}: {text}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """In tests/conftest.py, which xdist's controller loads too: it collects nothing, and only it prints."""
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
