"""All checks, in the order in which they are shown. Adding one means one entry here."""

from __future__ import annotations

from apps.operations.doctor import (
    ai,
    broker,
    chatbots,
    clock,
    configuration,
    database,
    keys,
    redis_server,
    telegram,
    web,
    workers,
)
from apps.operations.doctor.finding import Check

CHECKS: tuple[Check, ...] = (
    Check("settings", configuration.check),
    Check("database", database.check),
    Check("redis", redis_server.check),
    Check("broker", broker.check),
    Check("workers", workers.check, needs=("database",)),
    Check("keys", keys.check, needs=("database",)),
    Check("chatbots", chatbots.check, needs=("database",)),
    Check("web", web.check, needs=("database",)),
    Check("telegram", telegram.check, needs=("database",)),
    Check("ai", ai.check, needs=("database",)),
    Check("clock", clock.check, last=True),
)
