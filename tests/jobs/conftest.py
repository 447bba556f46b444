"""What the tests of the ledger share: the scripted tasks and, on PostgreSQL, a second connection."""

import pytest

from tests.jobs.scripts import script as the_script
from tests.jobs.second import Second


@pytest.fixture(autouse=True)
def _fresh_script():
    the_script.reset()
    yield
    the_script.reset()


@pytest.fixture
def script():
    return the_script


@pytest.fixture
def second(transactional_db):
    """A second connection with a transaction of its own. Its database must see what the test commits."""
    other = Second()
    yield other
    other.close()


@pytest.fixture
def third(transactional_db):
    other = Second()
    yield other
    other.close()
