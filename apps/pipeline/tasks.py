"""The story of a message, in one file:

1. `pipeline.receive_message`  (the sender's lane) contact, conversation, message; asks for a turn
   `pipeline.contact_changed`  (the same lane) blocked us, let us in again, has a new id
2. `pipeline.generate_reply`   (the conversation's lane) the last messages and what is known, the AI, the reply;
                               or, when the AI is away for longer than people wait, the fallback message
3. `pipeline.route_reply`      (joined with 2) to the queue of the channel, in the conversation's send lane
4. `delivery.send_<channel>`   (apps/delivery) to the person
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from apps.accounts.models import UsageRecord
from apps.accounts.services import log_usage
from apps.ai.prices import cost
from apps.channels import registry as channels
from apps.channels.base import ContactChange, IncomingMessage
from apps.conversations.models import Message
from apps.conversations.services import (
    Added,
    NewMessage,
    OpenConversation,
    Sender,
    add_messages,
    close_contacts,
    contacts_by_id,
    move_contact,
    open_conversations,
    reopen_contacts,
)
from apps.jobs.claimed import ClaimedJob
from apps.jobs.endings import Complete, Ending
from apps.jobs.enqueueing import NewJob, enqueue_many
from apps.jobs.task import Done, JobTask
from apps.pipeline.asking import ask
from apps.pipeline.greeting import greet, greets
from apps.pipeline.replies import reply_parts
from apps.pipeline.routing import Route, delivery_jobs, routes_of
from apps.pipeline.turns import TurnItem, TurnPayload, read_turns
from apps.pipeline.watching import watched

SPARE = 0.2
"""Seconds of a person's patience in which a turn that nobody answered is written down."""


class ReceiveMessage(JobTask):
    """Store what a person said and ask for a turn. No call outside."""

    name = "pipeline.receive_message"
    queue = "incoming-messages"
    payload = IncomingMessage
    batch = 100

    def write(self, done: list[Done]) -> None:
        incoming: list[IncomingMessage] = [one.item for one in done]
        conversations = open_conversations(
            [Sender(message.account, message.sender, message.sender_name) for message in incoming]
        )
        stored = add_messages(
            [
                NewMessage(
                    conversation_id=conversation.pk,
                    direction=Message.Direction.IN,
                    text=message.text,
                    public_id=message.message_id,
                )
                for message, conversation in zip(incoming, conversations, strict=True)
            ]
        )
        _log_usage((one.job, message, {"messages": 1}) for one, message in zip(done, stored, strict=True))
        turns, opened = [], []
        for one, conversation, message in zip(done, conversations, stored, strict=True):
            if not conversation.is_answered:
                continue
            if greets(one.item, conversation):
                opened.append((one.job, conversation, message))
            else:
                turns.append(_turn(one.job, conversation, message))
        enqueue_many(turns)
        greet(opened)
        _announce_after_commit(conversations)


class ContactChanged(JobTask):
    """Follow what a provider says of a contact: in the sender's lane, so that it stays in order with what they say."""

    name = "pipeline.contact_changed"
    queue = "incoming-messages"
    payload = ContactChange
    batch = 20

    def write(self, done: list[Done]) -> None:
        for one in done:
            change: ContactChange = one.item
            if change.change == "moved":
                move_contact(account_id=change.account, external_id=change.sender, to=change.detail)
                continue
            contacts = contacts_by_id(account_id=change.account, external_id=change.sender)
            if change.change == "closed":
                close_contacts({pk: change.detail or "closed" for pk in contacts})
            else:
                reopen_contacts(contacts)


def _turn(job: ClaimedJob, conversation: OpenConversation, message: Added) -> NewJob:
    turn = NewJob(
        GenerateReply.name,
        TurnPayload(conversation.pk),
        lane=f"conversation:{conversation.pk}",
        priority=job.priority,
        customer=job.customer_id,
        correlation_id=job.correlation_id,
        expires_in=float(conversation.max_wait),
    )
    if conversation.answer_each_message:
        turn.payload = TurnPayload(conversation.pk, message.pk, message.position)
    else:
        turn.dedupe_key = f"turn:{conversation.pk}"
        turn.debounce = conversation.quiet_seconds
    return turn


class GenerateReply(JobTask):
    """One turn: tries until the person has waited long enough, not by count."""

    name = "pipeline.generate_reply"
    queue = "ai-processing"
    payload = TurnPayload
    batch = 100
    max_retries = None
    retry_backoff_max = 8
    time_limit = 300

    def read(self, jobs: list[ClaimedJob]) -> dict[int, Any | Ending]:
        items = read_turns([job.data for job in jobs])
        for job in jobs:
            if item := items[job.data]:
                _set_time(item, job.seconds_left, self.time_limit)
                item.is_retry = job.attempts > 0
        # Nothing to answer: an earlier turn has answered this message too.
        return {job.id: items[job.data] or Complete() for job in jobs}

    async def call(self, item: TurnItem) -> dict[str, Any]:
        started = time.monotonic()
        async with watched(item.channel, item.listener) as draft:
            answer, choice, passed_over = await ask(
                item.turn, item.choices, draft, ends_at=item.ends_at, is_retry=item.is_retry
            )
        price = cost(answer.model, answer.tokens_in, answer.tokens_out)
        # What was asked travels with the answer: it may be written later, when the person has gone on.
        return {
            **asdict(answer),
            "provider": choice.provider,
            "account": choice.name,
            "cost": None if price is None else float(price),
            "passed_over": list(passed_over),
            "seconds": round(time.monotonic() - started, 3),
            "in_reply_to": item.in_reply_to,
            "answered_up_to": item.answered_up_to,
        }

    def write(self, done: list[Done]) -> None:
        parts = [(one, part) for one in done for part in reply_parts(one)]
        replies = add_messages([part for _, part in parts])
        _log_usage(
            (one.job, reply, {name: one.result[name] for name in ("tokens_in", "tokens_out")})
            for (one, part), reply in zip(parts, replies, strict=True)
            if "tokens_in" in part.details
        )
        enqueue_many(
            delivery_jobs(
                [
                    Route(reply.pk, reply.conversation_id, one.item.channel, one.job)
                    for (one, _), reply in zip(parts, replies, strict=True)
                ]
            )
        )

    def dead(self, jobs: list[ClaimedJob], reason: str) -> None:
        """The person is told, in the place where the answer would have stood; the dead letter is the record."""
        if reason == "cancelled":
            return
        asked = _last_questions(jobs)
        told = [
            job
            for job in jobs
            if job.id in asked and asked[job.id].conversation.account.chatbot.fallback_message
        ]
        if not told:
            return
        replies = add_messages(
            [
                NewMessage(
                    conversation_id=asked[job.id].conversation_id,
                    direction=Message.Direction.OUT,
                    text=asked[job.id].conversation.account.chatbot.fallback_message,
                    in_reply_to_id=asked[job.id].pk,
                    is_fallback=True,
                    details={"failed_job": job.id, "reason": reason},
                )
                for job in told
            ]
        )
        enqueue_many(
            delivery_jobs(
                [
                    Route(reply.pk, reply.conversation_id, asked[job.id].conversation.account.channel, job)
                    for job, reply in zip(told, replies, strict=True)
                ]
            )
        )


def _set_time(item: TurnItem, left: float | None, limit: float) -> None:
    """Let the AI end before the ledger ends the call: only then is it known, and counted, who kept us waiting."""
    seconds = min(item.turn.timeout_seconds, limit, limit if left is None else left) - SPARE
    item.ends_at = time.monotonic() + seconds
    item.turn = replace(item.turn, timeout_seconds=max(0.1, seconds))


def _last_questions(jobs: list[ClaimedJob]) -> dict[int, Message]:
    """The message each turn was to answer, with its chatbot; none where it has been answered."""
    conversations = {job.data.conversation for job in jobs if job.data.message is None}
    unanswered: dict[int, Message] = {}
    # Without the credentials: a key that can't be decrypted must not keep the fallback back.
    for message in _with_chatbot(Message.objects.unanswered(conversations)):
        unanswered[message.conversation_id] = message  # the last one stays
    by_key = _with_chatbot(Message.objects.all()).in_bulk(
        [job.data.message for job in jobs if job.data.message]
    )
    found = {
        job.id: by_key.get(job.data.message) if job.data.message else unanswered.get(job.data.conversation)
        for job in jobs
    }
    return {job_id: message for job_id, message in found.items() if message}


def _with_chatbot(messages: QuerySet[Message]) -> QuerySet[Message]:
    return messages.select_related("conversation__account__chatbot").defer(
        "conversation__account__credentials"
    )


@dataclass(frozen=True, slots=True)
class RoutePayload:
    message: int


class RouteReply(JobTask):
    """Route a message that somebody else stored (a person's answer, a notice) to its channel."""

    name = "pipeline.route_reply"
    queue = "outgoing-messages"
    payload = RoutePayload
    batch = 100

    def write(self, done: list[Done]) -> None:
        enqueue_many(delivery_jobs(routes_of({one.item.message: one.job for one in done})))


def _log_usage(used: Iterable[tuple[ClaimedJob, Added, dict[str, int]]]) -> None:
    log_usage(
        [
            UsageRecord(customer_id=job.customer_id, reference=f"message:{message.public_id}", **amounts)
            for job, message, amounts in used
            if job.customer_id is not None
        ]
    )


def _announce_after_commit(conversations: list[OpenConversation]) -> None:
    by_channel: dict[str, set[str]] = defaultdict(set)
    for conversation in conversations:
        by_channel[conversation.channel].add(str(conversation.public_id))
    for name, ids in by_channel.items():
        transaction.on_commit(partial(channels.get(name).announce, sorted(ids)), robust=True)
