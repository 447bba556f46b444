"""No wait for PostgreSQL lasts for ever, and what was given up is not used again."""

import threading

import psycopg
import pytest
from django.db import DatabaseError, OperationalError, connection, transaction

from apps.jobs.connections import is_away
from apps.reliability import database_outage, patience


def test_each_thread_has_its_own_and_a_block_gives_back_what_was(monkeypatch):
    monkeypatch.setattr(patience, "_default", None)  # a test before us may have made this process a worker
    assert patience.seconds() is None
    patience.by_default(9)
    with patience.of(1):
        assert patience.seconds() == 1
        with patience.of(2):
            assert patience.seconds() == 2
        assert patience.seconds() == 1
        seen = []
        other = threading.Thread(target=lambda: seen.append(patience.seconds()))
        other.start()
        other.join()
        assert seen == [9]
    assert patience.seconds() == 9


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
class TestOnPostgres:
    def test_what_takes_too_long_is_given_up_and_the_next_connection_is_a_new_one(self):
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            (before,) = cursor.fetchone()
        with (
            patience.of(0.2),
            pytest.raises(OperationalError, match=r"did not answer within 0\.2 s") as raised,
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute("SELECT pg_sleep(60)")
        assert isinstance(raised.value.__cause__, patience.NoAnswer)
        assert is_away(raised.value)
        assert connection.get_autocommit()
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            assert cursor.fetchone()[0] != before
            cursor.execute("SELECT pg_terminate_backend(%s)", [before])

    def test_without_a_limit_it_takes_as_long_as_it_takes(self):
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(0.3)")

    def test_errors_of_statements_stay_what_they_are(self):
        with (
            patience.of(5),
            pytest.raises(DatabaseError, match="nothing_here"),
            connection.cursor() as cursor,
        ):
            cursor.execute("SELECT * FROM nothing_here")


def caused(cause):
    error = OperationalError("…")
    error.__cause__ = cause
    return error


def locked():
    error = Exception("database is locked")
    error.sqlite_errorcode = 5
    return error


@pytest.mark.parametrize(
    ("error", "kept_waiting"),
    [
        (caused(patience.NoAnswer("silence")), True),
        (caused(psycopg.errors.ConnectionTimeout("silence")), True),
        (caused(locked()), True),
        (caused(psycopg.OperationalError("connection refused")), False),
        (OperationalError("from nowhere"), False),
    ],
)
def test_only_what_kept_somebody_waiting_closes_the_door(monkeypatch, error, kept_waiting):
    monkeypatch.setattr(database_outage, "outage", database_outage.Outage("database", "…"))
    assert database_outage.noticed(error) is kept_waiting
    assert database_outage.outage.quiet() is kept_waiting
    if kept_waiting:
        with pytest.raises(database_outage.StillAway):
            database_outage.refuse()
