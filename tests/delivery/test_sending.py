"""One message on its way out: what a send needs, what its endings do to the message, and unknown outcomes."""

from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from apps.accounts.models import UsageRecord
from apps.channels import registry as channels
from apps.channels.base import Sent
from apps.channels.widget.channel import WidgetChannel
from apps.conversations.models import ChannelAccount, Message
from apps.conversations.services import NewMessage
from apps.jobs import desk, ledger
from apps.jobs.drain import drain
from apps.jobs.enqueueing import NewJob, enqueue, enqueue_many
from apps.jobs.models import Job
from apps.jobs.taking_back import take_back_abandoned
from apps.reliability.errors import OutcomeUnknown, PermanentError, TransientError
from tests.factories.conversations import ChannelAccountFactory, ContactFactory, ConversationFactory, added
from tests.factories.jobs import WorkerFactory, make_due, state
from tests.jobs.running import claim, run

pytestmark = pytest.mark.django_db
TASK = "delivery.send_widget"


class Messenger(WidgetChannel):
    """In the widget's place: a messenger, where what is sent twice arrives twice."""

    repeatable = False

    def __init__(self):
        self.sent, self.errors, self.announced = [], [], []

    async def send(self, outgoing):
        if self.errors:
            raise self.errors.pop(0)
        self.sent.append(outgoing)
        return Sent(f"provider-{outgoing.text}")

    def announce(self, conversation_ids):
        self.announced.append(list(conversation_ids))


@pytest.fixture
def messenger(monkeypatch):
    fake = Messenger()
    monkeypatch.setattr(channels, "_load", lambda name, path: fake)
    return fake


@pytest.fixture
def conversation():
    account = ChannelAccountFactory(credentials={"token": "t-0815"})
    return ConversationFactory(contact=ContactFactory(account=account, external_id="person-9"))


def outbound(conversation, *texts):
    with transaction.atomic():
        return added(
            [NewMessage(conversation_id=conversation.pk, direction="out", text=text) for text in texts]
        )


def send(message, **options):
    customer = message.conversation.account.chatbot.customer_id
    lane = f"send:{message.conversation_id}"
    return enqueue(TASK, {"message": message.pk}, lane=lane, customer=customer, **options)


def run_all(worker):
    run(claim(TASK, worker=worker.pk), worker=worker.pk, task=TASK)


def test_a_message_is_sent_with_all_that_its_channel_needs(messenger, conversation):
    [message] = outbound(conversation, "Hello")
    send(message)
    drain()
    [outgoing] = messenger.sent
    assert (outgoing.recipient, outgoing.text, outgoing.credentials) == (
        "person-9",
        "Hello",
        {"token": "t-0815"},
    )
    assert outgoing.message_id == str(message.public_id)
    assert outgoing.account == str(conversation.account.public_id)
    assert "t-0815" not in repr(outgoing)
    row = Message.objects.get(pk=message.pk)
    assert (row.status, row.provider_message_id) == ("sent", "provider-Hello")
    assert row.sent_at is not None
    assert UsageRecord.objects.get().sends == 1


def test_many_are_read_in_one_statement_and_written_together(
    messenger, conversation, django_assert_max_num_queries
):
    messages = [outbound(ConversationFactory(), f"n{n}")[0] for n in range(20)]
    enqueue_many([NewJob(TASK, {"message": message.pk}) for message in messages])
    jobs = claim(TASK)
    with django_assert_max_num_queries(8):
        run(jobs, task=TASK)
    rows = Message.objects.in_bulk([message.pk for message in messages])
    assert [rows[message.pk].provider_message_id for message in messages] == [
        f"provider-n{n}" for n in range(20)
    ]


def test_the_order_in_a_conversation_is_kept_when_the_first_is_tried_again(messenger, conversation):
    messenger.errors = [TransientError("502")]
    for message in outbound(conversation, "one", "two", "three"):
        send(message)
    drain()
    assert messenger.sent == []
    make_due()
    drain()
    assert [outgoing.text for outgoing in messenger.sent] == ["one", "two", "three"]


def test_a_dead_message_lets_the_next_go(messenger, conversation):
    messenger.errors = [PermanentError("blocked")]
    for message in outbound(conversation, "one", "two"):
        send(message)
    drain()
    statuses = Message.objects.order_by("position").values_list("status", flat=True)
    assert list(statuses) == ["failed", "sent"]


@pytest.mark.parametrize("status", ["sent", "delivered", "read"])
def test_what_got_there_already_is_not_sent_again(messenger, conversation, status):
    [message] = outbound(conversation, "Hello")
    Message.objects.update(status=status)
    job = send(message)
    drain()
    assert messenger.sent == []
    assert state(job.id) == ("completed", "")
    assert Message.objects.get().status == status


def test_a_message_that_is_gone_and_an_account_that_is_off_say_what_to_do(messenger, conversation):
    [message] = outbound(conversation, "Hello")
    gone = enqueue(TASK, {"message": message.pk + 999})
    ChannelAccount.objects.update(is_active=False)
    off = send(message)
    drain()
    assert Job.objects.get(pk=gone.id).error_code == "message_gone"
    row = Job.objects.get(pk=off.id)
    assert (row.failure_reason, row.error_code) == ("permanent", "account_inactive")
    assert "switch it on and try again" in row.error
    assert Message.objects.get().error_code == "account_inactive"


def test_a_retry_by_a_person_sends_it_after_all_at_the_end(messenger, conversation):
    messenger.errors = [PermanentError("blocked")]
    first, second = outbound(conversation, "one", "two")
    job = send(first)
    send(second)
    drain()
    desk.retry(job=Job.objects.get(pk=job.id), by="ada")
    drain()
    rows = Message.objects.order_by("position").values_list("text", "status")
    assert list(rows) == [("two", "sent"), ("one", "sent")]  # those who read along have passed its old place


@pytest.mark.parametrize("reason", ["expired", "cancelled"])
def test_whoever_gives_up_fails_the_message(messenger, conversation, reason):
    [message] = outbound(conversation, "Hello")
    job = send(message)
    if reason == "cancelled":
        desk.cancel(job=Job.objects.get(pk=job.id), by="ada")
    else:
        Job.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
        drain()
    assert state(job.id) == ("failed", reason)
    row = Message.objects.get()
    assert (row.status, row.error_code) == ("failed", reason)


@pytest.mark.parametrize("choice", ["send_again", "ask_person"])
def test_after_a_cut_off_send_the_account_decides(messenger, conversation, choice):
    ChannelAccount.objects.update(on_unknown=choice)
    messenger.errors = [OutcomeUnknown("no answer", code="cut_off")]
    worker = WorkerFactory()
    [message] = outbound(conversation, "Hello")
    job = send(message)
    run_all(worker)
    if choice == "ask_person":
        assert state(job.id) == ("failed", "unknown")
        assert Message.objects.get().status == "failed"
        return
    assert state(job.id) == ("retry", "")
    run_all(worker)
    assert Message.objects.get().status == "sent"


@pytest.mark.parametrize("choice", ["send_again", "ask_person"])
def test_after_a_worker_that_died_while_sending_the_account_decides(messenger, conversation, choice):
    ChannelAccount.objects.update(on_unknown=choice)
    worker = WorkerFactory()
    [message] = outbound(conversation, "Hello")
    job = send(message)
    [mine] = claim(TASK, worker=worker.pk)
    assert ledger.mark_sending([mine], worker=worker.pk) == {mine.key}
    ledger.end_worker(worker.pk, how="dead")
    take_back_abandoned(me=0)
    expected = {"send_again": (("retry", ""), "pending"), "ask_person": (("failed", "unknown"), "failed")}[
        choice
    ]
    assert (state(job.id), Message.objects.get().status) == expected


def test_a_send_is_marked_before_it_goes_out_only_where_twice_would_arrive_twice(messenger, conversation):
    marked = []
    messenger.repeatable = False
    worker = WorkerFactory()
    send(outbound(conversation, "Hello")[0])
    [job] = claim(TASK, worker=worker.pk)
    run([job], worker=worker.pk, task=TASK)
    marked.append(Job.objects.get(pk=job.id).sending_at is not None)
    messenger.repeatable = True
    send(outbound(conversation, "Again")[0])
    [job] = claim(TASK, worker=worker.pk)
    run([job], worker=worker.pk, task=TASK)
    marked.append(Job.objects.get(pk=job.id).sending_at is not None)
    assert marked == [True, False]


def test_pages_that_listen_are_told_after_the_commit(
    messenger, conversation, django_capture_on_commit_callbacks
):
    messenger.errors = [PermanentError("blocked")]
    with django_capture_on_commit_callbacks(execute=True):
        for message in outbound(conversation, "one", "two"):
            send(message)
        drain()
    assert messenger.announced == [[str(conversation.public_id)]] * 2
