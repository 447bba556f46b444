"""The fixtures of every test that runs against whole Switchboards: tests/survival and tests/flows import them."""

from collections.abc import Iterator

import pytest

from tests.servers.setups import NAMES
from tests.servers.switchboard import Switchboard
from tests.survival.houses import Houses, new_run


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every test with a `house` runs on all set-ups, unless it names its own (`@on`)."""
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
