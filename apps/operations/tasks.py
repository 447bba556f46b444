"""Plain Celery tasks: what may get lost, because the next one replaces it. Their results are in the admin."""

from datetime import UTC, datetime

from celery import shared_task


@shared_task(name="operations.beat_tick", ignore_result=False)
def beat_tick() -> str:
    """Every half minute: beat, broker and a worker are there. Returns the moment it ran (ISO 8601, UTC)."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
