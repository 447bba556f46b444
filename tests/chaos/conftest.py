import pytest

from tests.chaos.records import Records


@pytest.fixture
def records(tmp_path):
    return Records(tmp_path)
