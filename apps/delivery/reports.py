"""What providers report of our messages: sent, delivered, read, failed. The task belongs to `delivery.tasks`."""

from __future__ import annotations

from collections import defaultdict
from functools import partial
from typing import Any

from django.conf import settings
from django.db import transaction

from apps.channels import registry as channels
from apps.channels.base import StatusReport
from apps.conversations.models import Message
from apps.conversations.services import Reported, apply_reports, find_reported
from apps.jobs import desk
from apps.jobs.claimed import ClaimedJob
from apps.jobs.endings import Ending, from_exception
from apps.jobs.models import Job
from apps.jobs.task import Done, JobTask
from apps.reliability.errors import TransientError

PROVIDER = "provider"
REPORTED = "reported by the provider"
UNKNOWN_MESSAGE = "message_unknown"


class ApplyStatus(JobTask):
    """Move messages to where their provider says they are.

    A report may be quicker than our own commit of the provider's id: it is looked for again for three quarters of a
    minute. What nobody knows by then belongs to somebody who uses the same account beside us: the job fails with the
    code `message_unknown`, and is closed at once, because a person could do nothing about it.
    """

    name = "delivery.apply_status"
    queue = "incoming-messages"
    payload = StatusReport
    batch = 200
    max_retries = 6
    retry_backoff_max = 15

    def read(self, jobs: list[ClaimedJob]) -> dict[int, Any | Ending]:
        reports: list[StatusReport] = [job.data for job in jobs]
        found = find_reported([(one.account, one.message_id, one.provider_message_id) for one in reports])
        early = TransientError("no message of ours has this id (yet)", code=UNKNOWN_MESSAGE)
        return {
            job.id: from_exception(self, job, early) if pk is None else _reported(pk, report)
            for job, report, pk in zip(jobs, reports, found, strict=True)
        }

    def write(self, done: list[Done]) -> None:
        revived = apply_reports([one.item for one in done])
        if not revived:
            return
        by_channel: dict[str, dict[int, str]] = defaultdict(dict)
        places = ("conversation__account__channel", "pk", "conversation__public_id")
        for channel, pk, conversation in Message.objects.filter(pk__in=revived).values_list(*places):
            by_channel[channel][pk] = str(conversation)
        for channel, messages in by_channel.items():
            task = f"delivery.send_{channel}"
            desk.close_arrived(task=task, by=PROVIDER, why=REPORTED, message__in=list(messages))
            if channel in settings.CHANNELS:
                tell = partial(channels.get(channel).announce, sorted(set(messages.values())))
                transaction.on_commit(tell, robust=True)

    def dead(self, jobs: list[ClaimedJob], reason: str) -> None:
        if reason == Job.Reason.EXHAUSTED:
            desk.close_at_once(jobs, code=UNKNOWN_MESSAGE, why="no message of ours has this id")


def _reported(pk: int, report: StatusReport) -> Reported:
    return Reported(pk, report.status, report.provider_message_id, report.code, report.error)
