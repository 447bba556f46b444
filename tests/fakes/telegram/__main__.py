"""Serve the fake in a process of its own until it is ended:

python -m tests.fakes.telegram [--port 8081] [--token 123:… --username my_bot] [--webhook http://…/… --secret …]
"""

import argparse
import signal
import sys
import threading

from tests.fakes.telegram import FakeTelegram
from tests.fakes.telegram.world import Webhook


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8081)
    parser.add_argument("--token", default="")
    parser.add_argument("--username", default="test_bot")
    parser.add_argument("--webhook", default="", help="where updates go; setWebhook sets it as well")
    parser.add_argument("--secret", default="", help="the webhook's secret token")
    options = parser.parse_args()
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    telegram = FakeTelegram(port=options.port)
    telegram.keep_answers = False
    telegram.world.insecure_webhooks = True
    with telegram:
        bot = telegram.bot(options.username, options.token)
        if options.webhook:
            bot.webhook = Webhook(options.webhook, options.secret)
        sys.stdout.write(f"{telegram.url} serves the bot {bot.username} with the token {bot.token}\n")
        sys.stdout.flush()
        ended.wait()


if __name__ == "__main__":
    main()
