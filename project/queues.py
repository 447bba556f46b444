"""THE page of the queues: what runs where, why it is alone, who serves it, how much at once, how old it may get.

Rooms read it as `settings.QUEUES`; `tests/project/test_queues.py` compares it with the tasks that exist, and the
Procfile's worker lines with the `line` of each queue. Adding a queue means one entry here.

What a provider allows is a limit of the account (its channel says so); a queue's own `rate` and `concurrency` are for
what the house itself should not do faster, and stay None until one is needed.
"""

from collections.abc import Mapping

from apps.jobs.queue import Queue

HOUR = 3600
DAY = 24 * HOUR

# What a queue of sends is alone for, by channel; a channel that is not named here (EXTRA_CHANNELS) gets the last.
SEND_REASONS = {
    "widget": "the visitor's page reads from our own database; nothing outside can slow it down",
    "telegram": "Telegram's flood limits, for a bot and for each chat, and its bad days are its own",
}
OTHER_CHANNEL = "each channel has its own limits, its own breaker and its own bad days"


def send_queue(channel: str) -> str:
    """The queue that delivers on `channel`: `whatsapp_cloud` sends on `whatsapp-cloud-send`."""
    return f"{channel.replace('_', '-')}-send"


def pages(channels: Mapping[str, str]) -> dict[str, Queue]:
    """Every queue by name; `channels` are the channels' registry keys, each gets a queue of its own."""
    queues = [
        Queue(
            name="incoming-messages",
            why="storing a message must be quick, and goes in bulk",
            tasks=("pipeline.receive_message", "pipeline.contact_changed", "delivery.apply_status"),
            line="chat",
            in_flight=500,
            longest_age=None,  # a message that was accepted is stored, however late
        ),
        Queue(
            name="ai-processing",
            why="slow, hundreds at once, costs money",
            tasks=("pipeline.generate_reply",),
            line="ai",
            in_flight=1000,
            # The chatbot's max_wait ends a turn with its fallback (expires_in of the job); this is the last net.
            longest_age=HOUR,
        ),
        Queue(
            name="outgoing-messages",
            why="a person waits for the reply; in bulk",
            tasks=("pipeline.route_reply",),
            line="chat",
            in_flight=500,
            longest_age=HOUR,
        ),
        Queue(
            name="maintenance",
            why="pruning, roll-ups and ticks are never in anyone's way",
            tasks=("jobs.prune", "frontdoor.prune_inbox", "operations.beat_tick"),
            line="maintenance",
            in_flight=4,
            longest_age=DAY,
        ),
    ]
    queues += [
        Queue(
            name=send_queue(channel),
            why=SEND_REASONS.get(channel, OTHER_CHANNEL),
            tasks=(f"delivery.send_{channel}",),
            line="send",
            in_flight=200,
            longest_age=HOUR,  # a chat answer that comes an hour late is worse than a failure on record
        )
        for channel in channels
    ]
    return {queue.name: queue for queue in queues}
