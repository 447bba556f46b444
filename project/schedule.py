"""What runs when: the static table of Celery's own beat.

A durable task's entry carries a dedupe key, so that two beats, or one that catches up, leave one job waiting.
Plain Celery tasks (operations.beat_tick) have none: a tick that got lost is replaced by the next.
"""

from typing import Any


def durable(task: str, seconds: float) -> dict[str, Any]:
    """A JobTask every `seconds`, at most one of it waiting."""
    return {
        "task": task,
        "schedule": seconds,
        "options": {"queue": "maintenance", "dedupe_key": f"schedule:{task}"},
    }


CELERY_BEAT: dict[str, dict[str, Any]] = {
    "jobs.prune": durable("jobs.prune", 60.0),
    "frontdoor.prune_inbox": durable("frontdoor.prune_inbox", 3600.0),
    "operations.beat_tick": {
        "task": "operations.beat_tick",
        "schedule": 30.0,
        # A tick nobody took within its interval is worthless.
        "options": {"queue": "maintenance", "expires": 30.0},
    },
}
