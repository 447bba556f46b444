"""The sides that are compared: each knows how to start itself and where its door is."""

from __future__ import annotations

from bench.sides.bullmq import BullMQ
from bench.sides.running import Running, Side
from bench.sides.switchboard import Switchboard

__all__ = ["BullMQ", "Running", "Side", "Switchboard"]
