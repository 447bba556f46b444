"""A table with an encrypted column, for tests that no other room's models should decide."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection

from tests.reliability.vault import Vault


@pytest.fixture(scope="package")
def _vault_table(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    with django_db_blocker.unblock():
        with connection.schema_editor() as editor:
            editor.create_model(Vault)
        yield
        with connection.schema_editor() as editor:
            editor.delete_model(Vault)


@pytest.fixture
def vault(_vault_table: None, db: None) -> type[Vault]:
    """A model with one encrypted column, its table empty."""
    return Vault
