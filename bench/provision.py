"""A customer, a key and two chatbots (a prompt AI and a slow one) for the yardstick; prints them as JSON."""

from __future__ import annotations

import argparse
import json
import os
import sys
from typing import Any

import django

BOT_TOKENS = tuple(
    f"{number}:{'AAYardstick-token_0123456789abcdefgh'[:35]}" for number in (7_000_000_001, 7_000_000_002)
)
SECRET = "yardstick-webhook-secret"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slow", type=float, required=True, help="seconds the slow AI takes")
    parser.add_argument("--channel", choices=["bench", "telegram"], default="bench")
    parser.add_argument("--ai", choices=["standin", "openai"], default="standin")
    parser.add_argument("--url", default="", help="the stand-in's, for --ai openai")
    options = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    django.setup()

    from apps.accounts import services
    from apps.accounts.models import Customer
    from apps.conversations.models import AiAccount, ChannelAccount, Chatbot, ChatbotAi

    def provision(name: str, tokens: tuple[str, ...]) -> dict[str, Any]:
        customer = Customer.objects.create(name=name)
        _, key = services.create_api_key(
            customer=customer, name="bench", scopes=["messages:write", "messages:read"]
        )
        ids = {}
        for number, (kind, delay) in enumerate((("account", 0.0), ("slow_account", options.slow))):
            chatbot = Chatbot.objects.create(
                customer=customer,
                name=kind,
                provider="standin",
                provider_options={"delay": delay},
                max_wait=300,
                answer_each_message=True,
            )
            if options.ai == "openai":
                ai = AiAccount.objects.create(
                    customer=customer,
                    name=kind,
                    provider="openai",
                    base_url=f"{options.url}/v1",
                    model="stand-in",
                    credentials={"api_key": "sk-yardstick"},
                    options={"delay": delay},
                    timeout_seconds=300,
                )
                ChatbotAi.objects.create(chatbot=chatbot, account=ai, position=1)
            credentials: dict[str, Any] = {}
            if options.channel == "telegram":
                credentials = {"bot_token": tokens[number], "secret_token": SECRET}
            account = ChannelAccount.objects.create(
                chatbot=chatbot, channel=options.channel, name=kind, credentials=credentials
            )
            ids[kind] = str(account.public_id)
        return {"key": key, **ids}

    ours = provision("Yardstick", BOT_TOKENS[:2])
    neighbour = provision("Neighbour", BOT_TOKENS[2:]) if options.channel == "bench" else {}
    json.dump({**ours, "neighbour": neighbour, "secret": SECRET}, sys.stdout)


if __name__ == "__main__":
    main()
