"""The story of one job: what it was, what happened to it and when, what it means, what hangs together with it."""

from __future__ import annotations

import inspect
import json
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Any
from urllib.parse import urlencode

from django.core.serializers.json import DjangoJSONEncoder
from django.urls import NoReverseMatch, reverse

from apps.accounts.models import Customer
from apps.jobs.admin import words
from apps.jobs.admin.advice import Advice, advice_for
from apps.jobs.models import Job, JobAttempt, Worker
from apps.jobs.queue import page
from apps.jobs.task import JobTask, registry
from apps.reliability.redaction import redact, redact_text

LONGEST_CHAIN = 20
MOST_RELATED = 20
BELONGS_TO = {  # a payload's field with a primary key -> the admin page it names; rooms above us, so by name
    "message": "conversations_message",
    "conversation": "conversations_conversation",
    "account": "conversations_channelaccount",
}
ENDINGS = {
    "retry": "failed, to be tried again",
    "failed": "failed for good",
    "crash": "crashed, or overran its time limit",
    "unknown": "cut off after it may have happened",
}


@dataclass(slots=True)
class Moment:
    """One line of the story."""

    at: datetime
    what: str
    detail: str = ""
    code: str = ""
    traceback: str = ""
    link: str = ""
    bad: bool = False

    later: str = ""
    """How long after the moment before it."""

    @property
    def when(self) -> str:
        return words.exact(self.at)


@dataclass(slots=True)
class Link:
    text: str
    url: str
    note: str = ""


@dataclass(slots=True)
class Story:
    """What the page of one job shows; every text in it has been redacted."""

    state: str
    error: str
    advice: Advice | None
    facts: list[tuple[str, str, str]]
    """(name, value, address it leads to or "")."""
    payload: str
    moments: list[Moment]
    belongs: list[Link] = field(default_factory=list)
    chain: list[Link] = field(default_factory=list)
    children: list[Link] = field(default_factory=list)
    result: str = ""
    metadata: str = ""

    @classmethod
    def of(cls, job: Job, *, viewer: Any) -> Story:
        """Read it: a handful of queries, each over an index but the one for the job that took its place."""
        successors = _successors(job)
        return cls(
            state=words.state(job),
            error=redact_text(job.error),
            advice=advice_for(job) if job.status == Job.Status.FAILED else None,
            facts=_facts(job),
            payload=_pretty(shown_payload(job)),
            moments=_moments(job, successors),
            belongs=_belongs(job, viewer),
            chain=_chain(job, successors),
            children=[_job_link(child) for child in job.children.order_by("pk")[:MOST_RELATED]],
            result=_pretty(job.result) if job.result is not None else "",
            metadata=_pretty(job.metadata) if job.metadata else "",
        )


def shown_payload(job: Job) -> Any:
    """The payload as people may see it: fields marked sensitive and whatever looks like a secret are masked."""
    task = registry().get(job.task)
    payload = job.payload
    if task is not None and isinstance(payload, dict):
        payload = task.payload_type.masked(payload)
    return redact(payload)


def _pretty(value: Any) -> str:
    return json.dumps(redact(value), indent=2, ensure_ascii=False, cls=DjangoJSONEncoder)


def _facts(job: Job) -> list[tuple[str, str, str]]:
    task = registry().get(job.task)
    allowed = "until it expires" if job.max_retries is None else f"of {job.max_retries + 1}"
    here = reverse("admin:jobs_job_changelist")
    facts = [
        ("Task", job.task, ""),
        ("What it does", _purpose(task), ""),
        ("Queue", job.queue, reverse("admin:jobs_queueoverview_changelist")),
        ("Why that queue", _why(job.queue), ""),
        ("Customer", *_customer(job)),
        ("Attempts", f"{job.attempts} {allowed}", ""),
        ("Crashes", str(job.crashes) if job.crashes else "", ""),
        ("Waited", words.waited(job), ""),
        ("Ran", words.ran(job), ""),
        ("Priority", f"{job.priority} (0 is first, 9 last)", ""),
        ("Lane", redact_text(job.lane or ""), f"{here}?{urlencode({'q': job.lane or ''})}"),
        (
            "Correlation id",
            redact_text(job.correlation_id),
            f"{here}?{urlencode({'q': job.correlation_id})}",
        ),
        ("Public id", str(job.public_id or ""), ""),
        ("Expires", words.exact(job.expires_at) if job.expires_at else "", ""),
        ("Error code", redact_text(job.error_code), ""),
    ]
    return [fact for fact in facts if fact[1] and fact[1] != words.NOTHING]


def _purpose(task: JobTask | None) -> str:
    if task is None:
        return "No task of this name exists any more: it can't be retried."
    return (inspect.getdoc(type(task)) or "").partition("\n\n")[0].replace("\n", " ")


def _why(queue: str) -> str:
    try:
        return page(queue).why
    except LookupError:
        return "it is not on the page of queues any more"


def _customer(job: Job) -> tuple[str, str]:
    """Its name and its page. A job may outlive its customer: no constraint holds it."""
    if not job.customer_id:
        return "", ""
    customer = Customer.objects.filter(pk=job.customer_id).first()
    if customer is None:
        return f"customer {job.customer_id}, who is gone", ""
    return str(customer), reverse("admin:accounts_customer_change", args=[customer.pk])


def _moments(job: Job, successors: list[Job]) -> list[Moment]:
    attempts = list(JobAttempt.objects.filter(job=job).order_by("pk"))
    workers = Worker.objects.in_bulk({one.worker_id for one in attempts if one.worker_id})
    moments = [Moment(job.created_at, "made")]
    if (job.due_at - job.created_at).total_seconds() >= 1:
        moments.append(Moment(job.due_at, "due"))
    moments += [_failed_attempt(one, workers) for one in attempts]
    if job.started_at:
        moments.append(Moment(job.started_at, "last run begun"))
    if job.sending_at:
        moments.append(Moment(job.sending_at, "the call went out"))
    moments.sort(key=lambda moment: moment.at)
    if job.finished_at:  # written in the transaction of its last attempt, so perhaps a moment before it
        end = max(job.finished_at, moments[-1].at)
        bad = job.status == Job.Status.FAILED
        moments.append(Moment(end, f"failed: {words.why_failed(job)}" if bad else job.status, bad=bad))
    if job.closed_at:
        again = successors[0] if successors else None
        moments.append(
            Moment(
                job.closed_at,
                f"closed by {job.closed_by or 'nobody named'}",
                redact_text(job.closed_why),
                link=_story_of(again) if again else "",
                code=f"tried again as #{again.pk}" if again else "",
            )
        )
    for before, moment in pairwise(moments):
        passed = (moment.at - before.at).total_seconds()
        moment.later = f"{words.span(passed)} later" if passed >= 0.001 else ""
    return moments


def _failed_attempt(one: JobAttempt, workers: dict[int, Worker]) -> Moment:
    by = ""
    if one.worker_id:
        by = f", worker {workers.get(one.worker_id, one.worker_id)}"
    return Moment(
        one.ended_at,
        f"attempt {one.number} {ENDINGS.get(one.ending, one.ending)}{by}",
        redact_text(one.error),
        code=redact_text(one.error_code),
        traceback=redact_text(one.traceback),
        bad=True,
    )


def _belongs(job: Job, viewer: Any) -> list[Link]:
    """Where the payload names a row of a room above: its page, if there is one and the viewer may see it."""
    links = []
    for name, model in BELONGS_TO.items():
        key = job.payload.get(name) if isinstance(job.payload, dict) else None
        app, _, one = model.partition("_")
        if not isinstance(key, int) or isinstance(key, bool) or not viewer.has_perm(f"{app}.view_{one}"):
            continue
        try:
            links.append(Link(f"{name} {key}", reverse(f"admin:{model}_change", args=[key])))
        except NoReverseMatch:
            continue
    return links


def _successors(job: Job) -> list[Job]:
    """The jobs that took its place. There is no index: only a closed job is asked, and only what came after it."""
    if job.closed_at is None:
        return []
    later = Job.objects.filter(pk__gt=job.pk, redrive_of=job.pk).order_by("pk")
    return list(later.defer("payload", "result")[:MOST_RELATED])


def _chain(job: Job, successors: list[Job]) -> list[Link]:
    """From the first try to those that took this one's place."""
    before: list[Job] = []
    above = job.redrive_of_id
    while above and len(before) < LONGEST_CHAIN:
        found = Job.objects.filter(pk=above).first()
        if found is None:
            break
        before.append(found)
        above = found.redrive_of_id
    links = [_job_link(one) for one in reversed(before)]
    if before or successors:
        links.append(Link(f"#{job.pk}", "", "this one"))
    return links + [_job_link(one) for one in successors]


def _job_link(job: Job) -> Link:
    return Link(f"#{job.pk} {job.task}", _story_of(job), words.state(job))


def _story_of(job: Job) -> str:
    return reverse("admin:jobs_job_change", args=[job.pk])
