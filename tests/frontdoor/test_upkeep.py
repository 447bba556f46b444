"""The inbox over time, and in the admin."""

from datetime import timedelta

import pytest
from django.utils import timezone

from apps.frontdoor import tasks
from apps.frontdoor.models import InboundEvent
from apps.jobs.drain import drain
from apps.jobs.enqueueing import enqueue
from apps.jobs.models import Job
from tests.factories.accounts import StaffFactory
from tests.factories.conversations import ChannelAccountFactory
from tests.factories.frontdoor import InboundEventFactory


def inbox_of_days(*days: float) -> list[InboundEvent]:
    account = ChannelAccountFactory.create()
    now = timezone.now()
    return [
        InboundEventFactory.create(account=account, received_at=now - timedelta(days=age))
        for age in sorted(days, reverse=True)
    ]


@pytest.mark.django_db(transaction=True)
def test_what_came_in_more_than_eight_days_ago_is_forgotten(committed):
    *_, recent, new = inbox_of_days(30, 9, 8.01, 7.99, 0)
    enqueue("frontdoor.prune_inbox")
    drain()
    assert list(InboundEvent.objects.order_by("pk")) == [recent, new]


@pytest.mark.django_db(transaction=True)
def test_many_are_forgotten_in_small_batches(committed, monkeypatch):
    monkeypatch.setattr(tasks, "AT_ONCE", 3)
    inbox_of_days(*[20] * 8, 0)
    enqueue("frontdoor.prune_inbox")
    drain()
    assert InboundEvent.objects.count() == 1
    runs = Job.objects.filter(task="frontdoor.prune_inbox")
    assert [job.status for job in runs] == ["completed"] * 3


@pytest.mark.django_db
def test_nothing_old_costs_one_question(django_assert_num_queries):
    inbox_of_days(1, 2, 3)
    with django_assert_num_queries(1):
        assert InboundEvent.objects.all().delete_older(than=timezone.now() - timedelta(days=8), limit=10) == 0


@pytest.mark.django_db
def test_the_inbox_in_the_admin_is_to_be_looked_at_only(client):
    client.force_login(StaffFactory.create())
    event = InboundEventFactory.create(payload={"text": "When do you open?", "name": "Ada"})
    listed = client.get("/admin/frontdoor/inboundevent/")
    assert str(event.public_id) in listed.content.decode()
    assert client.get(f"/admin/frontdoor/inboundevent/?q={event.public_id}").status_code == 200
    assert client.get("/admin/frontdoor/inboundevent/?q=nonsense").status_code == 200
    shown = client.get(f"/admin/frontdoor/inboundevent/{event.pk}/change/")
    assert "When do you open?" in shown.content.decode()
    assert client.get("/admin/frontdoor/inboundevent/add/").status_code == 403
    assert (
        client.post(f"/admin/frontdoor/inboundevent/{event.pk}/delete/", {"post": "yes"}).status_code == 403
    )
    assert InboundEvent.objects.exists()
