"""What holds a send back: limits, a provider's 429, an open breaker; all workers share it, no attempt is spent."""

import asyncio
import threading

import pytest
from django.db import transaction

from apps.channels import registry as channels
from apps.channels.base import Sent
from apps.channels.widget.channel import WidgetChannel
from apps.conversations.models import Message
from apps.conversations.services import NewMessage
from apps.delivery.tasks import Parcel, SendMessage
from apps.jobs.drain import drain
from apps.jobs.enqueueing import enqueue
from apps.jobs.models import Job
from apps.jobs.task import Done, get_task
from apps.reliability import breaker
from apps.reliability.breaker import Admission, Call, Outcome, State
from apps.reliability.errors import OutcomeUnknown, PermanentError, Postpone, TransientError
from apps.reliability.limiter import Limit
from apps.reliability.policies import Policy
from tests.factories.conversations import ChannelAccountFactory, ContactFactory, ConversationFactory, added
from tests.factories.jobs import make_due, seconds_until_due, state
from tests.jobs.running import claim, run
from tests.reliability.party import parties
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db
TASK = "delivery.send_widget"
SLOW = 0.001  # a second: what waits for it does not come in this test


class Limited(WidgetChannel):
    """In the widget's place: a messenger with limits and a breaker."""

    repeatable = False
    has_breaker = True
    rate, burst = SLOW, 100

    def __init__(self):
        self.sent, self.errors = [], []

    def limits(self, outgoing):
        account = self.hold_key(outgoing.account)
        return (
            Limit(account, self.rate, self.burst),
            Limit(f"{account}:{outgoing.recipient}", SLOW, 100),
        )

    async def send(self, outgoing):
        if self.errors:
            raise self.errors.pop(0)
        self.sent.append(outgoing.text)
        return Sent(f"provider-{outgoing.text}")

    def announce(self, conversation_ids):
        """Nobody listens."""


@pytest.fixture
def messenger(monkeypatch):
    fake = Limited()
    monkeypatch.setattr(channels, "_load", lambda name, path: fake)
    return fake


@pytest.fixture
def account():
    return ChannelAccountFactory()


def talk(account):
    return ConversationFactory(contact=ContactFactory(account=account))


def send(conversation, *texts):
    """These replies, each with its job, in the conversation's lane."""
    with transaction.atomic():
        messages = added(
            [NewMessage(conversation_id=conversation.pk, direction="out", text=t) for t in texts]
        )
    lane = f"send:{conversation.pk}"
    return [enqueue(TASK, {"message": message.pk}, lane=lane).id for message in messages]


def name_of(account):
    return f"channel:{account.public_id}"


def names_of(account):
    return "service:chat:widget", name_of(account)


def half_open(account):
    breaker.record(Outcome((name_of(account),), failed=10), policy=Policy(open_seconds=0.001))
    wait_until(lambda: breaker.state(name_of(account)).state is State.HALF_OPEN)


def statuses():
    return list(Message.objects.order_by("pk").values_list("status", flat=True))


# --- limits --------------------------------------------------------------------------------------


def test_what_is_over_the_limit_comes_later_in_order_without_an_attempt(messenger, account):
    messenger.burst = 2
    jobs = send(talk(account), "one", "two", "three", "four")
    drain()
    assert messenger.sent == ["one", "two"]
    third = Job.objects.get(pk=jobs[2])
    assert (third.status, third.attempts, third.error_code) == ("retry", 0, "rate_limited")
    assert third.sending_at is None
    assert 900 < seconds_until_due(jobs[2]) < 1100
    assert Job.objects.get(pk=jobs[3]).status == "pending"
    messenger.burst = 100  # room again
    make_due()
    drain()
    assert messenger.sent == ["one", "two", "three", "four"]
    assert statuses() == ["sent"] * 4


def test_those_of_one_claim_that_must_wait_come_one_after_the_other(messenger, account):
    messenger.rate, messenger.burst = 0.1, 1
    jobs = [send(talk(account), text)[0] for text in ("one", "two", "three")]
    run(claim(TASK), task=TASK)
    assert messenger.sent == ["one"]
    waits = [seconds_until_due(job) for job in jobs[1:]]
    assert waits[1] - waits[0] == pytest.approx(10, abs=1)


def test_the_limit_of_one_account_is_not_that_of_another(messenger, account):
    messenger.burst = 1
    send(talk(account), "one")
    send(talk(ChannelAccountFactory()), "two")
    run(claim(TASK), task=TASK)
    assert sorted(messenger.sent) == ["one", "two"]


def test_a_wait_that_is_longer_than_anybody_waits_ends_it_at_once(messenger, account):
    messenger.errors = [Postpone(7200, "flood", code="rate_limited")]
    [job, behind] = send(talk(account), "one", "two")
    drain()
    assert state(job) == ("failed", "expired")
    row = Message.objects.first()
    assert (row.status, row.error_code) == ("failed", "rate_limited")
    assert state(behind) == ("failed", "expired")  # the hold is as long for the next; its lane is not stuck


# --- a provider's 429 ----------------------------------------------------------------------------


def test_who_is_asked_to_slow_down_holds_all_sends_of_the_account_everywhere(messenger, account):
    messenger.errors = [Postpone(40, "429", code="rate_limited")]
    [job] = send(talk(account), "one")
    drain()
    row = Job.objects.get(pk=job)
    assert (row.status, row.attempts) == ("retry", 0)
    key = messenger.hold_key(str(account.public_id))
    with parties(1) as [elsewhere]:
        [[wait, free]] = elsewhere.does("limiter.held", [key, messenger.hold_key("another")])
    assert 30 < wait <= 40
    assert free == 0
    other = send(talk(account), "two")[0]
    drain()
    assert messenger.sent == []
    assert 30 < seconds_until_due(other) <= 41


def test_without_limits_of_its_own_an_account_is_held_all_the_same(messenger, account, monkeypatch):
    monkeypatch.setattr(messenger, "limits", lambda outgoing: ())
    messenger.errors = [Postpone(40, "429", code="rate_limited")]
    send(talk(account), "one")
    drain()
    other = send(talk(account), "two")[0]
    drain()
    assert messenger.sent == []
    row = Job.objects.get(pk=other)
    assert (row.status, row.attempts, row.error_code) == ("retry", 0, "rate_limited")
    assert 30 < seconds_until_due(other) <= 41


# --- the breaker ---------------------------------------------------------------------------------


def test_failures_open_the_breaker_and_then_nobody_is_called(messenger, account):
    messenger.errors = [TransientError("502"), OutcomeUnknown("cut")] * 3
    for number in range(5):
        send(talk(account), f"n{number}")
    run(claim(TASK), task=TASK)
    assert breaker.state(name_of(account)).state is State.OPEN
    [job] = send(talk(account), "late")
    drain()
    row = Job.objects.get(pk=job)
    assert (row.status, row.attempts, row.error_code) == ("retry", 0, "breaker_open")
    assert messenger.sent == []


def test_an_outage_stops_all_accounts_of_the_channel_and_one_accounts_trouble_only_that(messenger, account):
    other, third = ChannelAccountFactory(), ChannelAccountFactory()
    messenger.errors = [TransientError("502")] * 5
    for number in range(5):
        send(talk(account), f"n{number}")
    run(claim(TASK), task=TASK)
    assert breaker.state(name_of(account)).state is State.OPEN
    send(talk(other), "goes")
    run(claim(TASK), task=TASK)
    assert messenger.sent == ["goes"]
    messenger.errors = [TransientError("502")]
    send(talk(other), "does not")
    run(claim(TASK), task=TASK)
    [job] = send(talk(third), "waits")
    run(claim(TASK), task=TASK)
    assert breaker.state("service:chat:widget").state is State.OPEN
    row = Job.objects.get(pk=job)
    assert (row.status, row.attempts, row.error_code) == ("retry", 0, "breaker_open")


def test_retries_beyond_the_budget_wait_and_first_tries_go(messenger, account):
    """Thirty of a hundred failed: ten retries may go. A send that waits for them has spent no attempt on it."""
    breaker.record(Outcome(names_of(account), ok=70, failed=30))
    again = [send(talk(account), f"again {number}")[0] for number in range(14)]
    Job.objects.filter(pk__in=again).update(attempts=1, status="retry")
    first = send(talk(account), "first try")[0]
    run(claim(TASK), task=TASK)
    assert sorted(messenger.sent) == sorted([*(f"again {n}" for n in range(10)), "first try"])
    assert state(first) == ("completed", "")
    waiting = Job.objects.filter(status="retry")
    assert [(job.attempts, job.error_code) for job in waiting] == [(1, "retry_budget")] * 4
    waits = sorted(seconds_until_due(job.pk) for job in waiting)
    assert waits[0] > 0
    assert waits[-1] <= 31
    assert waits[-1] - waits[0] == pytest.approx(9, abs=2)  # they come back one after the other


def test_of_a_whole_claim_one_goes_as_the_probe(messenger, account):
    half_open(account)
    jobs = [send(talk(account), f"n{number}")[0] for number in range(5)]
    task = get_task(TASK)
    items = task.read(claim(TASK))
    going = [pk for pk in jobs if isinstance(items[pk], Parcel)]
    assert going == jobs[:1]
    assert {items[pk].code for pk in jobs[1:]} == {"breaker_open"}


@pytest.mark.parametrize(
    ("error", "standing"),
    [
        (None, State.CLOSED),
        (PermanentError("blocked", code="bot_blocked"), State.CLOSED),
        (Postpone(1, "429"), State.CLOSED),
        (TransientError("502"), State.OPEN),
        (OutcomeUnknown("cut"), State.OPEN),
        (KeyError("our bug"), State.HALF_OPEN),
    ],
    ids=str,
)
@pytest.mark.django_db(transaction=True)
def test_how_the_probe_went_is_what_the_breaker_does(messenger, account, error, standing):
    half_open(account)
    messenger.errors = [error] if error else []
    send(talk(account), "probe")
    run(claim(TASK), task=TASK)
    assert breaker.state(name_of(account)).state is standing
    if standing is State.HALF_OPEN:
        assert breaker.admit([Call(names_of(account))]) == [Admission()]  # its place is free


@pytest.mark.django_db(transaction=True)
def test_what_was_sent_long_ago_does_not_close_a_breaker(messenger, account, monkeypatch):
    """A send that began before the trouble says nothing of what is now."""
    send(talk(account), "straggler")
    [job] = claim(TASK)
    task = get_task(TASK)
    parcel = task.read([job])[job.id]
    result = asyncio.run(task.call(parcel))
    half_open(account)
    assert breaker.admit([Call(names_of(account))]) == [Admission()]  # the probe is under way
    with transaction.atomic():
        task.write([Done(job, parcel, result)])
    assert breaker.state(name_of(account)).state is State.HALF_OPEN


@pytest.mark.django_db(transaction=True)
def test_a_result_that_is_written_by_a_later_run_was_no_call_of_now(messenger, account):
    half_open(account)
    assert breaker.admit([Call(names_of(account))]) == [Admission()]
    send(talk(account), "kept")
    Job.objects.update(result={"value": {"provider_message_id": "p-1", "moved_to": ""}})
    later = claim(TASK)
    breaker.record(Outcome(names_of(account)))
    run(later, task=TASK)
    assert breaker.state(name_of(account)).state is not State.CLOSED


def test_a_send_that_never_ends_counts_and_one_that_is_handed_back_does_not(messenger, account, monkeypatch):
    hanging = threading.Event()

    async def hang(outgoing):
        hanging.set()
        await asyncio.Event().wait()

    async def cut_after(parcel):
        task = asyncio.create_task(get_task(TASK).call(parcel))
        assert await asyncio.to_thread(hanging.wait, 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    monkeypatch.setattr(messenger, "send", hang)
    [pk] = send(talk(account), "hello")
    parcel = get_task(TASK).read(claim(TASK))[pk]
    asyncio.run(cut_after(parcel))  # the worker stops
    assert breaker.state(name_of(account)).failed == 0
    monkeypatch.setattr(SendMessage, "time_limit", 0)
    asyncio.run(cut_after(parcel))  # the time limit
    assert breaker.state(name_of(account)).failed == 1


def test_an_answer_does_not_wait_for_redis_to_hear_of_a_refusal(messenger, account, monkeypatch):
    go_on = threading.Event()
    monkeypatch.setattr(breaker, "record", lambda *args, **how: go_on.wait(10))
    messenger.errors = [PermanentError("no", code="no")]
    [pk] = send(talk(account), "hello")
    parcel = get_task(TASK).read(claim(TASK))[pk]

    async def refused():
        with pytest.raises(PermanentError):
            await asyncio.wait_for(get_task(TASK).call(parcel), 5)
        go_on.set()

    asyncio.run(refused())
