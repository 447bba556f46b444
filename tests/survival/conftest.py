"""Each survival test gets `house`: a running Switchboard on one of the three set-ups, with servers of its own."""

from collections.abc import Callable, Iterator

import pytest

from tests.servers.setups import NAMES
from tests.servers.switchboard import Switchboard
from tests.survival.houses import Houses, new_run

FIGURE = "survival figure"


def on(*names: str) -> pytest.MarkDecorator:
    """Run the test on these set-ups only."""
    return pytest.mark.parametrize("setup_name", names)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "house" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.survival)
            item.add_marker(pytest.mark.service)
            # All in one xdist process (--dist loadgroup): the servers are started once.
            item.add_marker(pytest.mark.xdist_group("survival"))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    named = any(mark.args[0] == "setup_name" for mark in metafunc.definition.iter_markers("parametrize"))
    if "setup_name" in metafunc.fixturenames and not named:
        metafunc.parametrize("setup_name", NAMES)


@pytest.fixture(scope="session")
def houses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Houses]:
    made = Houses(tmp_path_factory.mktemp("survival"))
    yield made
    made.close()


@pytest.fixture
def house(houses: Houses, setup_name: str) -> Iterator[Switchboard]:
    found = houses.get(setup_name)
    yield found
    houses.tidy(found)


@pytest.fixture
def run() -> str:
    return new_run()


@pytest.fixture
def figure(
    request: pytest.FixtureRequest, record_property: Callable[[str, object], None]
) -> Callable[[str], None]:
    """Say a measured figure; all of them are printed at the end of the run."""
    return lambda text: record_property(FIGURE, f"{request.node.name}: {text}")


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
