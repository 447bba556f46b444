"""From a stored reply to the queue of its channel.

Routing is a hop of its own (`pipeline.route_reply`, queue outgoing-messages) for whoever stores a message elsewhere.
The turn itself routes its reply in the transaction that stores it: a hop more gained nothing under measurement.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from apps.channels import registry as channels
from apps.conversations.models import Message
from apps.jobs.claimed import ClaimedJob
from apps.jobs.enqueueing import NewJob


@dataclass(frozen=True, slots=True)
class Route:
    """One stored outbound message, its channel, and the job it comes from."""

    message: int
    conversation: int
    channel: str
    job: ClaimedJob


def longest_text(channel: str) -> int | None:
    """What one message of this channel can carry, in UTF-16 units; None: any length."""
    try:
        return channels.get(channel).max_text_length
    except LookupError:
        return None  # the send will say what is wrong with it


def delivery_jobs(routes: Sequence[Route]) -> list[NewJob]:
    """Return the jobs that deliver these messages, in the conversations' send lanes."""
    return [
        NewJob(
            f"delivery.send_{route.channel}",
            {"message": route.message},
            lane=f"send:{route.conversation}",
            priority=route.job.priority,
            customer=route.job.customer_id,
            correlation_id=route.job.correlation_id,
        )
        for route in routes
    ]


def routes_of(jobs: dict[int, ClaimedJob]) -> list[Route]:
    """Return the routes of stored messages: message key -> the job that asks. One query."""
    rows = Message.objects.filter(pk__in=list(jobs), direction=Message.Direction.OUT).values_list(
        "pk", "conversation_id", "conversation__account__channel"
    )
    return [Route(pk, conversation, channel, jobs[pk]) for pk, conversation, channel in rows]
