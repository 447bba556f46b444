"""Stories end to end, with real workers, on the embedded set-up of tests/survival."""

from tests.survival.conftest import pytest_collection_modifyitems
from tests.survival.fixtures import house, houses, pytest_generate_tests, run

__all__ = ["house", "houses", "pytest_collection_modifyitems", "pytest_generate_tests", "run"]
