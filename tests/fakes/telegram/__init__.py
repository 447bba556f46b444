"""A Bot API server of our own that tests talk to over HTTP: it keeps state and refuses what the real one refuses.

    with FakeTelegram() as telegram:
        bot = telegram.bot()
        ada = telegram.person("Ada")
        ada.starts(bot)                      # a webhook, if one is set, is called
        ada.writes("hi", bot)
        assert ada.received(bot) == ["Hello!"]

`python -m tests.fakes.telegram` serves the same in a process of its own. What it knows was made from the documented
facts of the Bot API; `shapes.py` says which types, and a test compares every answer with them.
"""

from tests.fakes.telegram.faults import Fault
from tests.fakes.telegram.server import FakeTelegram
from tests.fakes.telegram.world import Bot, Group, Person, Sent, World

__all__ = ["Bot", "FakeTelegram", "Fault", "Group", "Person", "Sent", "World"]
