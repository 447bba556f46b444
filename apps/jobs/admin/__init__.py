"""The ledger in the admin: to look at; a dead letter can be acted on, and a queue be limited."""

from apps.jobs.admin.counters import JobCounterAdmin
from apps.jobs.admin.dead_letters import DeadLetterAdmin
from apps.jobs.admin.jobs import JobAdmin
from apps.jobs.admin.queue_limits import QueueStateAdmin
from apps.jobs.admin.queues import QueueOverviewAdmin
from apps.jobs.admin.results import TaskResultAdmin
from apps.jobs.admin.workers import WorkerAdmin

__all__ = [
    "DeadLetterAdmin",
    "JobAdmin",
    "JobCounterAdmin",
    "QueueOverviewAdmin",
    "QueueStateAdmin",
    "TaskResultAdmin",
    "WorkerAdmin",
]
