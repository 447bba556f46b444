"""The customer that the survival tests are. Prints JSON: the API key and the accounts' public ids.

    python -m tests.servers.seed

Two recording accounts differ in what happens after an unknown outcome (send again, ask a person). Two widget chatbots:
the library, with the builtin provider and one knowledge item, and the typist, whose answer comes word by word.
"""

import json
import os
import sys

PLANTED = "planted-4f1b7c02-credential"
"""A secret in an account's credentials; it must turn up nowhere in clear."""


def seed() -> dict[str, str]:
    from apps.accounts.models import Customer, Plan
    from apps.accounts.services import create_api_key
    from apps.conversations.models import ChannelAccount, Chatbot
    from apps.knowledge.models import KnowledgeItem

    plan = Plan.objects.create(name="Survival", monthly_price=100)
    customer = Customer.objects.create(name="Survival", plan=plan)
    _, secret = create_api_key(customer=customer, name="tests", scopes=["messages:write", "messages:read"])
    recorder = Chatbot.objects.create(
        customer=customer,
        name="Recorder",
        provider="recording",
        answer_each_message=True,
        max_wait=300,  # a broker or database that is away must not turn answers into fallbacks here
        fallback_message="fallback",
    )
    impatient = Chatbot.objects.create(
        customer=customer,
        name="Impatient",
        provider="recording",
        max_wait=2,
        fallback_message="nobody is there",
    )
    typist = Chatbot.objects.create(customer=customer, name="Typist", provider="words", max_wait=60)
    library = Chatbot.objects.create(customer=customer, name="Library", provider="builtin", greeting="Hello")
    KnowledgeItem.objects.create(
        chatbot=library, title="Opening hours", text="The library is open from nine to five on weekdays."
    )

    def account(chatbot: Chatbot, channel: str, name: str, **more: object) -> str:
        made = ChannelAccount.objects.create(chatbot=chatbot, channel=channel, name=name, **more)
        return str(made.public_id)

    return {
        "api_key": secret,
        "send_again": account(
            recorder, "recording", "again", credentials={"token": PLANTED}, on_unknown="send_again"
        ),
        "ask_person": account(
            recorder, "recording", "ask", credentials={"token": PLANTED}, on_unknown="ask_person"
        ),
        "reporting": account(
            recorder, "reporting", "reporting", credentials={"token": PLANTED}, on_unknown="ask_person"
        ),
        "impatient": account(impatient, "recording", "impatient"),
        "widget": account(library, "widget", "widget"),
        "library": str(library.public_id),
        "typing": account(typist, "widget", "typing"),
        "typist": str(typist.public_id),
    }


if __name__ == "__main__":
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    django.setup()
    json.dump(seed(), sys.stdout)
