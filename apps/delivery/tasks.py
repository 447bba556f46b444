"""Delivering messages: one task for each channel in the registry, on a queue of its own.

1. read: what is to be sent to whom. A contact that can't be written to, and an account that is switched off, end it
   here; a limit, a provider's 429, an open breaker or a used-up budget for retries, which all
   workers share, lets it come back later.
2. call: the channel's adapter. What a provider's words mean is the channel's business. How it went is told to the
   breakers, refusals included, so that a probe never keeps its place for nothing; a provider's 429 holds all others.
3. write: PENDING -> SENT. dead: FAILED in the transaction in which the job dies, and where the reason says that the
   person can't be reached, the contact is closed until they write again.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.conf import settings
from django.db import transaction

from apps.accounts.models import UsageRecord
from apps.accounts.services import log_usage
from apps.channels import registry as channels
from apps.channels.base import Outgoing
from apps.conversations import destinations, facts
from apps.conversations.models import ChannelAccount, Message
from apps.conversations.services import Failure, close_contacts, mark_failed, mark_sent, move_contact
from apps.conversations.statements import as_uuid, records, rows, statements
from apps.delivery.reports import PROVIDER, REPORTED
from apps.jobs import desk
from apps.jobs.claimed import ClaimedJob
from apps.jobs.endings import Complete, Ending, Fail, Postponed
from apps.jobs.models import Job
from apps.jobs.task import Done, JobTask
from apps.reliability import breaker, limiter
from apps.reliability.background import in_background
from apps.reliability.errors import OutcomeUnknown, PermanentError, Postpone, TransientError

_WHY = {
    "breaker_open": "its provider does not answer",
    "retry_budget": "its provider fails, and others are trying again already",
}
ARRIVED = (Message.Status.SENT, Message.Status.DELIVERED, Message.Status.READ)
UNSENT = (Message.Status.PENDING, Message.Status.FAILED)


@dataclass(frozen=True, slots=True)
class SendPayload:
    message: int


@dataclass(slots=True)
class Parcel:
    """One message on its way out. `account`: the primary key of the channel account."""

    outgoing: Outgoing
    account: int
    reference: str
    breakers: tuple[str, ...] = ()
    is_retry: bool = False
    began: float | None = None
    """When its call began (monotonic); None: not in this run."""


class SendMessage(JobTask):
    """The base of every channel's task: the subclass names channel and queue."""

    channel: str
    payload = SendPayload
    batch = 100
    retry_backoff_max = 30
    time_limit = 30

    def read(self, jobs: list[ClaimedJob]) -> dict[int, Any | Ending]:
        keys = records([{"id": pk} for pk in sorted({job.data.message for job in jobs})])
        found = {row[0]: row for row in rows(statements().to_send, keys=keys)}
        accounts = facts.accounts({row[5] for row in found.values()})
        items: dict[int, Any | Ending] = {
            job.id: _parcel(
                found[job.data.message], accounts.get(found[job.data.message][5]), job.attempts > 0
            )
            if job.data.message in found
            else Fail("the message is gone", "message_gone")
            for job in jobs
        }
        return items | self._not_yet({pk: item for pk, item in items.items() if isinstance(item, Parcel)})

    def _not_yet(self, parcels: dict[int, Parcel]) -> dict[int, Ending]:
        """Those of these that must wait: for a limit or a hold, or because the provider is down."""
        channel = channels.get(self.channel)
        wanted = {pk: channel.limits(parcel.outgoing) for pk, parcel in parcels.items()}
        later: dict[int, Ending] = {}
        if channel.has_breaker:  # there is somebody outside who may have asked us to wait
            keys = {pk: channel.hold_key(parcel.outgoing.account) for pk, parcel in parcels.items()}
            # Where it is one of the limits, those know; they also say who comes when it is over.
            keys = {pk: key for pk, key in keys.items() if key not in {one.key for one in wanted[pk]}}
            for pk, wait in zip(keys, limiter.held(list(keys.values())), strict=True):
                if wait > 0:
                    later[pk] = Postponed(wait, "its provider asked us to wait", "rate_limited")
        wanted = {pk: limits for pk, limits in wanted.items() if pk not in later}
        if any(wanted.values()):
            for pk, wait in zip(wanted, limiter.reserve(list(wanted.values())), strict=True):
                if wait > 0:
                    later[pk] = Postponed(wait, "its provider's rate limit", "rate_limited")
        if channel.has_breaker:
            going = [pk for pk in parcels if pk not in later]
            for parcel in parcels.values():
                out = parcel.outgoing
                parcel.breakers = destinations.of_channel(self.channel, out.account, out.options)
            # Each asks for itself: where one may go as the probe, the others must not go along with it.
            calls = [breaker.Call(parcels[pk].breakers, parcels[pk].is_retry) for pk in going]
            for pk, answer in zip(going, breaker.admit(calls), strict=True):
                if answer.seconds > 0:
                    later[pk] = Postponed(answer.seconds, _WHY[answer.code], answer.code)
        return later

    async def call(self, item: Parcel) -> dict[str, str]:
        channel = channels.get(self.channel)
        item.began = began = time.monotonic()
        ok, failed, sent = 0, 0, None  # neither: cut off, or a bug; a probe gives its place back
        try:
            sent = await channel.send(item.outgoing)
        except Postpone as error:
            ok = 1  # a refusal is an answer
            in_background(limiter.hold, channel.hold_key(item.outgoing.account), error.seconds)
            raise
        except PermanentError:
            ok = 1
            raise
        except (TransientError, OutcomeUnknown, TimeoutError):
            failed = 1
            raise
        except asyncio.CancelledError:
            failed = int(time.monotonic() - began > self.time_limit * 0.9)  # not the worker's stop: it hung
            raise
        finally:
            if (
                channel.has_breaker and sent is None
            ):  # what was sent is counted after the commit, for all at once
                took = time.monotonic() - began
                in_background(breaker.record, breaker.Outcome(item.breakers, ok, failed, took))
        return {"provider_message_id": sent.provider_message_id, "moved_to": sent.moved_to}

    def write(self, done: list[Done]) -> None:
        mark_sent({one.job.data.message: one.result["provider_message_id"] for one in done})
        log_usage(
            [
                UsageRecord(customer_id=one.job.customer_id, reference=one.item.reference, sends=1)
                for one in done
                if one.job.customer_id is not None
            ]
        )
        for one in done:
            if to := one.result.get("moved_to"):
                move_contact(account_id=one.item.account, external_id=one.item.outgoing.recipient, to=to)
        if channels.get(self.channel).has_breaker:
            transaction.on_commit(partial(_record, [one.item for one in done]), robust=True)
        self._announce_after_commit(one.item.outgoing.conversation_id for one in done)

    def dead(self, jobs: list[ClaimedJob], reason: str) -> None:
        why = Job.objects.in_bulk([job.id for job in jobs])  # this transaction has just written it there
        mark_failed(
            [
                Failure(job.data.message, why[job.id].error_code or reason, why[job.id].error or reason)
                for job in jobs
            ]
        )
        codes = {job.data.message: why[job.id].error_code for job in jobs}
        contacts = Message.objects.filter(pk__in=list(codes)).values_list(
            "pk", "conversation__contact_id", "conversation__public_id"
        )
        if reason == Job.Reason.UNKNOWN:
            self._close_reported(list(codes))
        closing = channels.get(self.channel).closing_codes
        close_contacts({contact: codes[pk] for pk, contact, _ in contacts if codes[pk] in closing})
        self._announce_after_commit(str(public_id) for *_, public_id in contacts)

    def _close_reported(self, messages: list[int]) -> None:
        """Their provider has said already that they arrived: nobody has to look."""
        there = Message.objects.filter(pk__in=messages, status__in=ARRIVED).values_list("pk", flat=True)
        if known := list(there):
            desk.close_arrived(task=self.name, by=PROVIDER, why=REPORTED, message__in=known)

    def arrived(self, payloads: list[SendPayload]) -> None:
        mark_sent({payload.message: "" for payload in payloads})
        contacts = Message.objects.filter(pk__in=[payload.message for payload in payloads])
        ids = contacts.values_list("conversation__public_id", flat=True)
        self._announce_after_commit(str(public_id) for public_id in ids)

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


def _parcel(row: Sequence[Any], account: facts.AccountFacts | None, is_retry: bool) -> Parcel | Ending:
    _, public_id, status, text, conversation, account_pk, recipient, closed_reason = row
    if status not in UNSENT:
        return Complete()  # it got there after all, before this job's turn came
    if account is None:
        return Fail("its channel account is gone", "account_gone")
    if not account.is_active:
        return Fail("its channel account is switched off; switch it on and try again", "account_inactive")
    if closed_reason:
        return Fail(
            f"the contact can't be written to ({closed_reason}); it opens again when they write",
            "contact_closed",
        )
    return Parcel(
        Outgoing(
            message_id=str(as_uuid(public_id)),
            conversation_id=str(as_uuid(conversation)),
            recipient=recipient,
            text=text,
            credentials=account.credentials,
            account=account.public_id,
            options=account.options,
        ),
        account=account_pk,
        reference=f"message:{as_uuid(public_id)}",
        is_retry=is_retry,
    )


def _record(sent: Sequence[Parcel]) -> None:
    """Tell the breakers of what was sent: by account the number, and how long ago the last of them began."""
    began: dict[tuple[str, ...], list[float]] = defaultdict(list)
    for parcel in sent:
        if parcel.began is not None:
            began[parcel.breakers].append(parcel.began)
    now = time.monotonic()
    breaker.record(
        *(breaker.Outcome(names, ok=len(times), took=now - max(times)) for names, times in began.items())
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
