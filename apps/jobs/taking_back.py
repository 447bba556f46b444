"""What happens to jobs whose worker is gone, or that overran their time limit.

1. Its call was marked as begun and can't be repeated: the outcome is unknown; the owner's choice decides.
2. Otherwise it is run again, at once. If its process is known to have died with it, or it overran, the crash is
   counted, apart from attempts: after two it runs alone (apps/jobs/quarantine.py); the third, alone, is poison.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from django.db import transaction

from apps.jobs import failures, ledger
from apps.jobs.claimed import ClaimedJob
from apps.jobs.connections import is_away
from apps.jobs.endings import Ending, Fail, Unknown
from apps.jobs.models import Worker
from apps.jobs.tally import Tally
from apps.jobs.task import get_task, registry

log = structlog.get_logger(__name__)

WHY: dict[str, str] = {
    Worker.Ending.DEAD: "its worker died",
    Worker.Ending.LEASE: "its worker was silent for longer than its lease",
    Worker.Ending.STOPPED: "its worker stopped",
}
SUSPECT = 2
POISON = 3


@dataclass(slots=True)
class Abandoned:
    """A job that nobody runs any more."""

    job: ClaimedJob
    sending: bool
    crashed: bool
    """Whether this counts as a crash of the job's."""
    why: str


def take_back_abandoned(*, me: int, overdue: bool = True) -> tuple[int, set[str]]:
    """Take back up to 500 jobs of workers that are gone, and with `overdue` those past their own lease.

    Returns how many, and the lanes to promote.
    """
    with transaction.atomic():
        found = [
            Abandoned(
                job,
                sending,
                # A suspect runs in a child whose parent judges it: here only the parent is known to be gone.
                crashed=how in (Worker.Ending.DEAD, "") and job.crashes < SUSPECT,
                why=WHY.get(how, "it ran beyond its time limit"),
            )
            for job, sending, how in ledger.abandoned(overdue=overdue)
        ]
        lanes = _take_back(found, me)
    if found:
        log.warning("jobs_taken_back", jobs=len(found), by=me, first=found[0].job.id)
    return len(found), lanes


def blame(jobs: Sequence[ClaimedJob], why: str, *, worker: int, sending: bool | None = None) -> None:
    """Count a crash against `jobs` and let them wait, or bury them when it was the third."""
    with transaction.atomic():
        lanes = _take_back(
            [Abandoned(job, _is_sending(job) if sending is None else sending, True, why) for job in jobs],
            worker,
        )
    ledger.promote(lanes)


def _is_sending(job: ClaimedJob) -> bool:
    from apps.jobs.models import Job

    return Job.objects.filter(pk=job.id, fence=job.fence, sending_at__isnull=False).exists()


def _take_back(found: list[Abandoned], worker: int) -> set[str]:
    by_task: dict[str, list[Abandoned]] = defaultdict(list)
    for one in found:
        by_task[one.job.task].append(one)
    lanes: set[str] = set()
    for name, mine in by_task.items():
        lanes |= _take_back_of_task(name, mine, worker)
    return lanes


def _may_repeat(name: str, sending: list[ClaimedJob]) -> set[int]:
    """What the owners of these want. A `may_repeat` that raises asks a person, and holds up nobody else."""
    try:
        with transaction.atomic():
            return get_task(name).may_repeat(sending)
    except Exception as error:
        if is_away(error):
            raise
        log.exception("may_repeat_broken", task=name, jobs=[job.id for job in sending])
        return set()


def _take_back_of_task(name: str, found: list[Abandoned], worker: int) -> set[str]:
    sending = [one.job for one in found if one.sending]
    again = _may_repeat(name, sending) if sending and name in registry() else set()
    story: list[tuple[ClaimedJob, str, Ending]] = []
    dead: list[tuple[ClaimedJob, Fail]] = []
    for one in found:
        job, crashed = one.job, int(one.crashed)
        ending: Ending = Fail(f"{one.why}, as often as a job may", "poison", reason="poison")
        if job.crashes + crashed < POISON:
            ending = Unknown(one.why)
            if one.sending:
                ending = failures.decide_unknown(job, Unknown(one.why, "cut_off"), may_repeat=job.id in again)
        if isinstance(ending, Fail):
            spent = int(one.sending)
            ours = ledger.fail(
                job, reason=ending.reason, spent=spent, crashed=crashed, error=ending.error, code=ending.code
            )
            if ours:
                dead.append((job, ending))
        else:
            ours = ledger.put_back(
                job,
                delay=0.0,
                spent=int(one.sending),
                crashed=crashed,
                error=one.why,
                code="cut_off",
                result=job.result,
            )
        if ours and (one.sending or one.crashed):
            story.append((job, "unknown" if one.sending else "crash", ending))
    tally = Tally(worker, name)
    for job, _ in dead:
        tally.add(job, "failed")
    tally.write()
    if name in registry():
        failures.bury_each(get_task(name), dead)
    failures.record_attempts(story, worker=worker)
    for job, ending in dead:
        failures.log_failure(job, ending)
    return {job.lane for job, _ in dead if job.lane}
