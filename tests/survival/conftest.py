"""Each survival test gets `house`: a running Switchboard on one of the three set-ups, with servers of its own."""

import pytest

from tests.survival.fixtures import house, houses, pytest_generate_tests, run
from tests.survival.messenger import messenger, messengers

__all__ = ["house", "houses", "messenger", "messengers", "pytest_generate_tests", "run"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark whatever needs a house, here, in tests/flows and in tests/browser."""
    for item in items:
        if "house" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.survival)
            item.add_marker(pytest.mark.service)
