"""Amazon SQS in Celery's words: the address of each queue, and how it is polled (apps/jobs/sqs_transport.py).

Every queue is named to the transport with its address (kombu's `predefined_queues`), so that it neither lists nor
makes any: workers need no right to. `manage.py create_queues` makes them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

# What kombu makes of a queue's name before it looks for its address: dots become dashes, other punctuation _.
_AS_KOMBU = str.maketrans({".": "-"} | {mark: "_" for mark in "!\"#$%&'()*+,/:;<=>?@[\\]^`{|}~"})

WAIT_SECONDS = 15
"""How long one call waits for a bell. SQS allows 20, but kombu's HTTP client ends every call after 20 seconds."""


def is_sqs(url: str) -> bool:
    """Whether the broker at `url` is SQS."""
    return urlsplit(url).scheme == "sqs"


def kombu_name(name: str) -> str:
    """The name under which kombu looks for the queue called `name`."""
    return name.translate(_AS_KOMBU)


def queue_names(names: Iterable[str], prefix: str) -> dict[str, str]:
    """What each queue is called on SQS."""
    return {name: prefix + kombu_name(name) for name in names}


def broker(url: str, endpoint: str) -> str:
    """`url` as Celery writes it: with the host of `endpoint`, where that is not AWS's own."""
    user, at, _ = urlsplit(url).netloc.rpartition("@")
    return f"sqs://{user}{at}{urlsplit(endpoint).netloc}"


def options(*, region: str, endpoint: str, base: str, names: Mapping[str, str]) -> dict[str, Any]:
    """Celery's `broker_transport_options`. `base`: the queues' address without their name; `names`: see queue_names."""
    return {
        "region": region,
        "is_secure": urlsplit(endpoint).scheme != "http",
        "predefined_queues": {
            kombu_name(name): {"url": f"{base.rstrip('/')}/{theirs}"} for name, theirs in names.items()
        },
        "wait_time_seconds": WAIT_SECONDS,
        # Between two polls. Not 0: a worker without a free slot would ask itself in a circle.
        "polling_interval": 0.1,
    }
