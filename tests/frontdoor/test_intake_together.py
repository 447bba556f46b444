"""Many at the door at once, through the real group commit: one commit, each its own answer, nothing twice."""

import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import DatabaseError, connection, connections

from apps.conversations.models import ChannelAccount
from apps.frontdoor import inbox
from apps.frontdoor.models import InboundEvent
from apps.jobs.models import IdempotencyKey, Job
from tests.frontdoor.conftest import Visitor, assert_problem, make_caller, make_visitor

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _committed(committed: None) -> None:
    """These tests see real commits (tests/frontdoor/conftest.py leaves the group alone)."""


def at_once(number: int, post: Callable[[int], Any]) -> list[Any]:
    """Call `post(0)`, `post(1)`, … in as many threads, all let go at the same moment."""
    together = threading.Barrier(number)

    def one(index: int) -> Any:
        together.wait(10)
        try:
            return post(index)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(number) as threads:
        return list(threads.map(one, range(number)))


def test_fifty_identical_posts_with_a_key():
    caller = make_caller()
    responses = at_once(50, lambda _: caller.post(idempotency_key="order-1"))
    assert {response.status_code for response in responses} == {202}
    assert len({response.content for response in responses}) == 1
    assert InboundEvent.objects.count() == Job.objects.count() == IdempotencyKey.objects.count() == 1


def test_fifty_identical_posts_of_a_page(settings):
    settings.WIDGET_MESSAGES_PER_MINUTE = 0  # no limit
    visitor, own_id = make_visitor(), str(uuid.uuid4())
    responses = at_once(50, lambda _: visitor.post("Hello", own_id))
    assert {response.status_code for response in responses} == {202}
    assert len({response.content for response in responses}) == 1
    assert InboundEvent.objects.count() == Job.objects.count() == 1


def test_different_posts_share_commits_and_each_gets_its_own_answer():
    caller = make_caller()
    caller.post(caller.body(text="so that the group has its connection"))
    commits = Commits(inbox.group)
    responses = at_once(
        40, lambda index: caller.post(caller.body(contact={"id": str(index)}, text=str(index)))
    )
    commits.close()
    ids = [response.json()["id"] for response in responses]
    assert len(set(ids)) == 40
    for index, public_id in enumerate(ids):
        assert InboundEvent.objects.get(public_id=public_id).payload["text"] == str(index)
    assert Job.objects.count() == 41
    assert sum(commits.sizes) == 40
    assert len(commits.sizes) < 40


def test_one_key_with_two_bodies_at_once():
    caller = make_caller()
    responses = at_once(
        20, lambda index: caller.post(caller.body(text=f"body {index % 2}"), idempotency_key="order-1")
    )
    taken = [response for response in responses if response.status_code == 202]
    refused = [response for response in responses if response.status_code == 422]
    assert len(taken) == len(refused) == 10
    assert len({response.content for response in taken}) == 1
    assert InboundEvent.objects.count() == Job.objects.count() == 1


def test_a_bad_one_does_not_take_the_others_down():
    caller, gone = make_caller(), make_caller()
    gone.post()  # remembers the account
    InboundEvent.objects.all().delete()
    Job.objects.all().delete()
    ChannelAccount.objects.filter(pk=gone.account.pk).delete()
    responses = at_once(10, lambda index: (gone if index == 0 else caller).post())
    assert responses[0].status_code >= 400
    assert {response.status_code for response in responses[1:]} == {202}
    assert InboundEvent.objects.count() == Job.objects.count() == 9


def test_what_was_answered_first_is_handled_first():
    caller = make_caller()
    ids = [caller.post(caller.body(text=str(number))).json()["id"] for number in range(5)]
    assert list(Job.objects.order_by("pk").values_list("correlation_id", flat=True)) == ids


def test_nothing_half_done_when_the_jobs_can_not_be_written(monkeypatch):
    caller = make_caller()

    def broken(_):
        raise DatabaseError("no room")

    monkeypatch.setattr(inbox, "enqueue_many", broken)
    assert_problem(caller.post(idempotency_key="k"), 500)
    assert not InboundEvent.objects.exists()
    assert not IdempotencyKey.objects.exists()
    monkeypatch.undo()
    assert caller.post(idempotency_key="k").status_code == 202


@pytest.mark.postgres
def test_two_processes_with_overlapping_events_do_not_deadlock():
    """Two groups insert the same events in opposite order of arrival: rows are locked in one order."""
    visitor = make_visitor()
    ids = [str(uuid.uuid4()) for _ in range(30)]
    arrivals = [_arrival(visitor, own_id) for own_id in ids]

    def group(index: int) -> list[uuid.UUID]:
        mine = arrivals if index % 2 else arrivals[::-1]
        with connection.cursor() as cursor:
            cursor.execute("BEGIN")
            receipts = inbox.take([[arrival] for arrival in mine])
            cursor.execute("COMMIT")
        return sorted(receipt.public_id for (receipt,) in receipts)

    answers = at_once(6, group)
    assert len({tuple(answer) for answer in answers}) == 1
    assert InboundEvent.objects.count() == Job.objects.count() == 30


def _arrival(visitor: Visitor, own_id: str) -> inbox.Arrival:
    from apps.frontdoor.lookups import visitor_by_token

    known = visitor_by_token(visitor.token)
    assert known is not None
    return inbox.Arrival(account=known.account, event_id=own_id, sender=known.sender, text="Hello")


class Commits:
    """Counts what the group hands to its handler."""

    def __init__(self, group: Any) -> None:
        self.sizes: list[int] = []
        self._group, self._handler = group, group._handler
        group._handler = self._count

    def _count(self, requests: Any) -> Any:
        self.sizes.append(len(requests))
        return self._handler(requests)

    def close(self) -> None:
        self._group._handler = self._handler
