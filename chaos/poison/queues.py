"""Its page of queues; and a shorter longest age for sends, so that a run reaches it and drains within it."""

from apps.jobs.queue import Queue

LONGEST_AGE = 90
"""Seconds that a send may wait; an hour in production."""

QUEUES = {
    queue.name: queue
    for queue in (
        Queue(
            name="chaos-poison",
            why="what runs here kills its worker or never ends",
            tasks=("chaos.exit_hard", "chaos.grows", "chaos.never_ends"),
            line="spare",
            in_flight=10,
            longest_age=None,
        ),
        Queue(
            name="telegram-send",
            why="the same as in production, but for its age",
            tasks=("delivery.send_telegram",),
            line="send",
            in_flight=200,
            longest_age=LONGEST_AGE,
        ),
    )
}
