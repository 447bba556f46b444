"""While a call is outside it has no database: a query there raises instead of holding a connection."""

import asyncio
import threading

import pytest
from asgiref.sync import sync_to_async
from django.core.exceptions import SynchronousOnlyOperation
from django.db import connection

from apps.jobs.drain import drain
from apps.jobs.enqueueing import enqueue
from apps.jobs.models import Job
from apps.jobs.outside import DatabaseInCall, outside
from tests.factories.jobs import JobFactory, state


def ask():
    return Job.objects.count()


@pytest.mark.django_db
def test_a_query_in_a_sync_call_is_refused_and_the_job_says_so(script):
    script.call = lambda item: {"jobs": ask()}
    job = enqueue("test.script")
    drain()
    row = Job.objects.get(pk=job.id)
    assert row.status == "retry"
    assert row.error_code == "DatabaseInCall"
    assert "test.script: call() has no database; load in read(), store in write()" in row.error


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("way", ["in a thread of its own", "through sync_to_async", "directly"])
def test_a_query_in_an_async_call_is_refused(script, way):
    def in_a_connection_of_its_own():
        try:
            return ask()
        finally:
            connection.close()

    async def call(item):
        if way == "directly":
            return ask()
        if way == "through sync_to_async":
            return await sync_to_async(in_a_connection_of_its_own, thread_sensitive=False)()
        return await asyncio.to_thread(in_a_connection_of_its_own)

    script.call = call
    job = enqueue("test.script_async")
    drain()
    row = Job.objects.get(pk=job.id)
    assert row.status == "retry"
    expected = SynchronousOnlyOperation if way == "directly" else DatabaseInCall
    assert row.error_code == expected.__name__


@pytest.mark.django_db
def test_read_and_write_have_it(script):
    script.read = lambda jobs: {job.id: {"jobs": ask()} for job in jobs}
    script.write = lambda done: JobFactory(task="test.effect", status="completed")
    job = enqueue("test.script")
    drain()
    assert state(job.id) == ("completed", "")
    assert script.called == [{"jobs": 1}]


@pytest.mark.django_db(transaction=True)
def test_others_ask_while_a_call_is_outside():
    answers = []

    def other():
        answers.append(ask())
        connection.close()

    with outside("test.script"):
        with pytest.raises(DatabaseInCall):
            ask()
        thread = threading.Thread(target=other)  # a plain thread knows nothing of our call
        thread.start()
        thread.join()
    assert answers == [0]
    assert ask() == 0
