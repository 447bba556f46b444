"""A customer, a key and two chatbots (a prompt AI and a slow one) for the yardstick; prints them as JSON."""

from __future__ import annotations

import argparse
import json
import os
import sys

import django


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slow", type=float, required=True, help="seconds the slow AI takes")
    slow = parser.parse_args().slow
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    django.setup()

    from apps.accounts import services
    from apps.accounts.models import Customer
    from apps.conversations.models import ChannelAccount, Chatbot

    customer = Customer.objects.create(name="Yardstick")
    _, key = services.create_api_key(
        customer=customer, name="bench", scopes=["messages:write", "messages:read"]
    )
    ids = {}
    for name, delay in (("account", 0.0), ("slow_account", slow)):
        chatbot = Chatbot.objects.create(
            customer=customer,
            name=name,
            provider="standin",
            provider_options={"delay": delay},
            max_wait=300,
            answer_each_message=True,
        )
        account = ChannelAccount.objects.create(chatbot=chatbot, channel="bench", name=name)
        ids[name] = str(account.public_id)
    json.dump({"key": key, **ids}, sys.stdout)


if __name__ == "__main__":
    main()
