"""Jobs whose claim got through although its answer did not."""

from types import SimpleNamespace

import pytest
from django.utils import timezone

from apps.jobs.adrift import Adrift
from tests.factories.jobs import JobFactory, WorkerFactory, state

pytestmark = pytest.mark.django_db


def test_what_nobody_here_knows_is_handed_back_at_the_second_look():
    me, other = WorkerFactory(), WorkerFactory()

    def running(worker=me, **columns):
        return JobFactory(status="processing", fence=1, worker_id=worker.pk, **columns)

    lost, known, theirs = running(), running(), running(other)
    suspect, sending = running(crashes=2), running(sending_at=timezone.now())
    line = SimpleNamespace(flights={(known.pk, 1): None})
    adrift = Adrift(SimpleNamespace(worker_id=me.pk, lines={"any": line}))
    adrift.hand_back()
    assert state(lost) == ("processing", "")
    adrift.hand_back()
    assert state(lost) == ("retry", "")
    assert {state(job) for job in (known, theirs, suspect, sending)} == {("processing", "")}
