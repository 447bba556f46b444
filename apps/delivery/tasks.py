"""Delivering messages: one task for each channel in the registry, on a queue of its own.

PENDING -> SENT when the provider took it, FAILED in the transaction in which the job dies. What a provider's words
mean is the channel's business; what follows from it is the ledger's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import starmap
from typing import Any, NamedTuple
from uuid import UUID

from django.conf import settings
from django.db import transaction

from apps.accounts.models import UsageRecord
from apps.accounts.services import log_usage
from apps.channels import registry as channels
from apps.channels.base import Outgoing
from apps.conversations.models import ChannelAccount, Message
from apps.conversations.services import Failure, mark_failed, mark_sent
from apps.jobs.claimed import ClaimedJob
from apps.jobs.endings import Complete, Ending, Fail
from apps.jobs.models import Job
from apps.jobs.task import Done, JobTask

UNSENT = (Message.Status.PENDING, Message.Status.FAILED)


@dataclass(frozen=True, slots=True)
class SendPayload:
    message: int


@dataclass(slots=True)
class Parcel:
    """One message on its way out."""

    outgoing: Outgoing
    reference: str


class SendMessage(JobTask):
    """The base of every channel's task: the subclass names channel and queue."""

    channel: str
    payload = SendPayload
    batch = 100
    retry_backoff_max = 30
    time_limit = 30

    def read(self, jobs: list[ClaimedJob]) -> dict[int, Any | Ending]:
        rows = {row.pk: row for row in starmap(Row, _rows(jobs))}
        accounts = ChannelAccount.objects.in_bulk({row.account for row in rows.values()})
        return {
            job.id: _parcel(rows[job.data.message], accounts)
            if job.data.message in rows
            else Fail("the message is gone", "message_gone")
            for job in jobs
        }

    async def call(self, item: Parcel) -> dict[str, str]:
        sent = await channels.get(self.channel).send(item.outgoing)
        return {"provider_message_id": sent.provider_message_id}

    def write(self, done: list[Done]) -> None:
        mark_sent({one.job.data.message: one.result["provider_message_id"] for one in done})
        log_usage(
            [
                UsageRecord(customer_id=one.job.customer_id, reference=one.item.reference, sends=1)
                for one in done
                if one.job.customer_id is not None
            ]
        )
        self._announce_after_commit(one.item.outgoing.conversation_id for one in done)

    def dead(self, jobs: list[ClaimedJob], reason: str) -> None:
        why = Job.objects.in_bulk([job.id for job in jobs])  # this transaction has just written it there
        mark_failed(
            [
                Failure(job.data.message, why[job.id].error_code or reason, why[job.id].error or reason)
                for job in jobs
            ]
        )
        ids = Message.objects.filter(pk__in=[job.data.message for job in jobs])
        self._announce_after_commit(map(str, ids.values_list("conversation__public_id", flat=True)))

    def repeatable(self, item: Parcel) -> bool:
        return channels.get(self.channel).repeatable

    def may_repeat(self, jobs: list[ClaimedJob]) -> set[int]:
        wanting = set(
            Message.objects.filter(
                pk__in=[job.data.message for job in jobs],
                conversation__account__on_unknown=ChannelAccount.OnUnknown.SEND_AGAIN,
            ).values_list("pk", flat=True)
        )
        return {job.id for job in jobs if job.data.message in wanting}

    def _announce_after_commit(self, conversation_ids: Iterable[str]) -> None:
        if ids := sorted(set(conversation_ids)):
            transaction.on_commit(partial(channels.get(self.channel).announce, ids), robust=True)


class Row(NamedTuple):
    """A message as a send needs it. Not a model: hundreds of them are read at once."""

    pk: int
    public_id: UUID
    status: str
    text: str
    conversation: UUID
    recipient: str
    account: int


def _rows(jobs: list[ClaimedJob]) -> Iterable[tuple[Any, ...]]:
    """The messages of these jobs with all that a send needs. One query, and one for their accounts."""
    return Message.objects.filter(pk__in=[job.data.message for job in jobs]).values_list(
        "pk",
        "public_id",
        "status",
        "text",
        "conversation__public_id",
        "conversation__contact__external_id",
        "conversation__account_id",
    )


def _parcel(row: Row, accounts: Mapping[int, ChannelAccount]) -> Parcel | Ending:
    if row.status not in UNSENT:
        return Complete()  # it got there after all, before this job's turn came
    account = accounts[row.account]
    if not account.is_active:
        return Fail("its channel account is switched off; switch it on and try again", "account_inactive")
    return Parcel(
        Outgoing(
            message_id=str(row.public_id),
            conversation_id=str(row.conversation),
            recipient=row.recipient,
            text=row.text,
            credentials=account.credentials,
            account=str(account.public_id),
        ),
        reference=f"message:{row.public_id}",
    )


def _declare(channel: str) -> None:
    queue = f"{channel.replace('_', '-')}-send"
    members = {
        "name": f"delivery.send_{channel}",
        "queue": queue,
        "channel": channel,
        "__module__": __name__,
        "__doc__": f"Deliver on the channel {channel}.",
    }
    type(f"Send{channel.title().replace('_', '')}", (SendMessage,), members)


for _channel in settings.CHANNELS:
    _declare(_channel)
