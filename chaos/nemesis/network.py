"""Faults on the way outside: refused connections, half-open ones, a bot that answers 500 to everything."""

import time

from chaos.nemesis.victims import Victims


def proxied(mode: str, of: str, victims: Victims, seconds: float) -> None:
    try:
        victims.steer("proxy", of=of, mode=mode)
        time.sleep(seconds)
    finally:
        victims.steer("proxy", of=of, mode="pass")


def refuse_telegram(victims: Victims, target: str, seconds: float) -> None:
    proxied("refuse", "telegram", victims, seconds)


def refuse_ai(victims: Victims, target: str, seconds: float) -> None:
    proxied("refuse", "ai", victims, seconds)


def swallow_telegram(victims: Victims, target: str, seconds: float) -> None:
    proxied("swallow", "telegram", victims, seconds)


def swallow_ai(victims: Victims, target: str, seconds: float) -> None:
    proxied("swallow", "ai", victims, seconds)


def bot_down(victims: Victims, target: str, seconds: float) -> None:
    """Slowly: so that two probes at once would be seen side by side."""
    try:
        victims.steer("down", bot=target, status=500, delay=0.8)
        time.sleep(seconds)
    finally:
        victims.steer("down", bot=target)
