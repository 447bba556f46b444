"""Telegram: tests/fakes/telegram, its calls written to the journal, its faults drawn by seed, bots that can be down."""

import time
from collections import defaultdict
from typing import Any

from chaos.journal import Journal
from chaos.upstream.drawing import Draw, Timing, telegram_fault
from tests.fakes.telegram import FakeTelegram, Fault
from tests.fakes.telegram.flood import Flood
from tests.fakes.telegram.record import Call

# Which bots there are, and the conversations of each: people's ids begin here.
BOTS = ("again", "ask", "hurry")
FIRST_PERSON = 5_000_000
PEOPLE = 1000
SEND = "sendmessage"


class Telegram(FakeTelegram):
    """All bots of BOTS, and PEOPLE people who have written to every one of them before."""

    def __init__(self, journal: Journal, draw: Draw, timing: Timing) -> None:
        super().__init__(flood=Flood())
        self.keep_answers = False
        self.journal, self.draw, self.timing = journal, draw, timing
        self.down: dict[str, dict[str, Any]] = {}  # by bot's name: {"status", "delay"}
        self._bots: defaultdict[str, str] = defaultdict(str)  # names by token
        for name in BOTS:
            bot = self.bot(f"{name}_bot")
            self._bots[bot.token] = name
        for number in range(PEOPLE):
            person = self.person(f"Person {number}", id=FIRST_PERSON + number)
            for bot in self.world.bots.values():
                person.started.add(bot.id)
                person.met.add(bot.id)
        self.record.told = self._told

    def tokens(self) -> dict[str, str]:
        return {name: token for token, name in self._bots.items()}

    def draw_fault(self, token: str, method: str, parameters: dict[str, Any]) -> Fault | None:
        """A bot that is down answers with its status, whatever was drawn."""
        if method.lower() != SEND:
            return None
        drawn = telegram_fault(self.draw(str(parameters.get("text") or "")), self.timing)
        manner = self.down.get(self._bots[token])
        if manner:
            return Fault(name="down", status=manner["status"], delay=manner.get("delay", 0.0))
        return drawn

    def hold(self, on: bool) -> None:
        """Sends are done and recorded, but answered only when let go."""
        self._loop.call_soon_threadsafe(lambda: self.record.behave(SEND, hold=on))

    def _told(self, moment: str, call: Call) -> None:
        line = {"at": time.time(), "api": "telegram", "moment": moment, "call": call.number}
        if moment == "begin":
            line |= {"method": call.method, "bot": self._bots.get(call.token, ""), "chat": call.chat_id}
            line |= {"text": call.text, "sender": call.sender, "fault": call.fault}
        else:
            line |= {"status": call.status, "cut": call.cut}
        self.journal.write(line)
