"""Its page of queues."""

from apps.jobs.queue import Queue

QUEUES = {
    queue.name: queue
    for queue in (
        Queue(
            name="survival-bad",
            why="what runs here kills its worker or never ends",
            tasks=("survival.exit_hard", "survival.never_ends"),
            line="survival",
            in_flight=10,
            longest_age=None,
        ),
        Queue(
            name="survival-good",
            why="the neighbours that must not suffer",
            tasks=("survival.neighbour", "survival.sits"),
            line="survival",
            in_flight=200,
            longest_age=None,
        ),
    )
}
