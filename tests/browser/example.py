"""A believable installation, for pictures and for tests that look at full pages: three customers, a day of talk.

    python -m tests.browser.example        (in the environment of an installation; its database must be migrated)

Prints JSON: the name and password of somebody who may do everything, and the keys of what the pages show. Most of it
lies in the past, so the rows are written as they would stand there; no service is asked.
"""

import json
import math
import os
import random
import sys
from datetime import datetime, timedelta
from typing import Any

PASSWORD = "an-example-only-4711"
RANDOM = random.Random(7)  # noqa: S311 - the same pictures each time

TALK = [
    (
        "Hi! Do you have a table for two tonight?",
        "Good afternoon! Yes, we have a table for two at 18:30 and at 20:15. Which one suits you?",
    ),
    (
        "20:15 please. Is the terrace open?",
        "I have noted 20:15. The terrace is open until 22:00, as long as it stays dry.",
    ),
    (
        "And can I bring my dog?",
        "Dogs are welcome on the terrace and in the front room. There is always a bowl of water by the door.",
    ),
    (
        "Great. What is the dish of the day?",
        "Today it is pike perch with fennel and new potatoes for 18.50. The vegetarian dish is a risotto for 14.00.",
    ),
]
QUESTIONS = [
    "When do you open on Sunday?", "Can I return the bicycle in another town?", "Is my repair ready?",
    "How long may I keep a book?", "What does a day ticket cost?", "Do you ship to Norway?",
    "I lost my card, what now?", "Is the reading room open on holidays?",
]  # fmt: skip
ANSWERS = [
    "We are open from 10:00 to 17:00 on Sunday.", "Yes, at any of our stations; it costs 5.00 more.",
    "Not yet: the spare part arrives on Thursday.", "Four weeks, and you can extend it twice.",
]  # fmt: skip
STEPS = [  # task, and its mean wait and run in milliseconds
    ("pipeline.receive_message", 4, 8),
    ("pipeline.generate_reply", 6, 1900),
    ("delivery.send_widget", 5, 45),
]
NAMES = [
    "Ada Berg",
    "Jonas Keller",
    "Mei Tan",
    "Lucía Romero",
    "Tom Ashford",
    "Nora Lind",
    "Sam Okafor",
    "Ines Duarte",
]


def fill() -> dict[str, Any]:
    """Everything; safe to run once in an empty database."""
    from apps.accounts.models import Customer, Plan, User
    from apps.accounts.services import create_api_key
    from apps.conversations.models import AiAccount, ChannelAccount, Chatbot, ChatbotAi
    from apps.knowledge.models import KnowledgeItem

    User.objects.create_superuser("olga", "", PASSWORD, first_name="Olga", last_name="Marsh")
    plans = {
        name: Plan.objects.create(name=name, monthly_price=price)
        for name, price in (("Small", 19), ("Team", 59), ("House", 149))
    }
    customers = {
        name: Customer.objects.create(name=name, plan=plans[plan])
        for name, plan in (("Harbour Café", "Team"), ("Blue Bicycles", "House"), ("City Library", "Small"))
    }
    accounts = {}
    for name, customer in customers.items():
        create_api_key(customer=customer, name="website", scopes=["messages:write", "messages:read"])
        chatbot = Chatbot.objects.create(
            customer=customer,
            name=f"{name} assistant",
            greeting=f"Hello! This is {name}. How can I help?",
            system_prompt=f"You answer guests of {name}. Be brief and friendly.",
            allowed_origins=["https://www.example.com"],
        )
        ordered = [
            AiAccount.objects.create(
                customer=customer,
                name=title,
                provider=provider,
                model=model,
                credentials={"api_key": "planted"},
            )
            for title, provider, model in (
                ("OpenAI", "openai", "gpt-5-mini"),
                ("Anthropic", "anthropic", "claude-haiku"),
            )
        ]
        for position, account in enumerate(ordered, start=1):
            ChatbotAi.objects.create(chatbot=chatbot, account=account, position=position)
        accounts[name] = ChannelAccount.objects.create(chatbot=chatbot, channel="widget", name="Website")
        KnowledgeItem.objects.create(
            chatbot=chatbot, title="Opening hours", text="From 10:00 to 17:00, Sundays too."
        )
    chat = _website_chat(customers["Blue Bicycles"])
    shown = _conversations(accounts)
    _counters(list(customers.values()))
    letter = _dead_letters(list(customers.values()), shown)
    return {"user": "olga", "password": PASSWORD, "conversation": shown, "letter": letter, "chat": chat}


def _website_chat(customer: Any) -> str:
    """A chatbot that answers from its knowledge base, on any page; its public id."""
    from apps.conversations.models import ChannelAccount, Chatbot
    from apps.knowledge.models import KnowledgeItem

    chatbot = Chatbot.objects.create(
        customer=customer, name="Blue Bicycles", greeting="Hello! Ask me about our bicycles."
    )
    ChannelAccount.objects.create(chatbot=chatbot, channel="widget", name="Blog")
    KnowledgeItem.objects.create(
        chatbot=chatbot,
        title="Returning a bicycle",
        text="You can return a bicycle at **any of our stations**, day and night, also in another town:\n\n"
        "- lock it to a free stand,\n- wait for the green light.\n\nReturning it in another town costs 5.00 more.",
    )
    return str(chatbot.public_id)


def _conversations(accounts: dict[str, Any]) -> int:
    """Some tens of short talks of the last day, and one to look at; its key."""
    now, names = _now(), list(accounts)
    for number in range(40):
        name = f"{NAMES[number % len(NAMES)].split()[0]} {chr(65 + number % 26)}."
        talk = _talk(accounts[names[number % 3]], f"visitor-{number:04}", name)
        at = now - timedelta(minutes=30 * number + RANDOM.randrange(25))
        _exchange(talk, QUESTIONS[number % len(QUESTIONS)], ANSWERS[number % len(ANSWERS)], at)
    talk = _talk(accounts["Harbour Café"], "visitor-ada", "Ada Berg")
    for place, (question, answer) in enumerate(TALK):
        at = now - timedelta(minutes=24 - 4 * place)
        _exchange(talk, question, answer, at, status="read" if place < 2 else "delivered", jobs=True)
    _unanswered(talk, now - timedelta(minutes=3))
    return int(talk.pk)


def _talk(account: Any, external_id: str, name: str) -> Any:
    from apps.conversations.models import Contact, Conversation

    contact = Contact.objects.create(account=account, external_id=external_id, name=name)
    return Conversation.objects.create(account=account, contact=contact)


def _say(talk: Any, direction: str, text: str, at: datetime, **more: Any) -> Any:
    """A message of the past: `services.add_messages` would give it the time of now."""
    from apps.conversations.models import Message

    talk.message_count += 1
    talk.last_message_at = at
    more.setdefault("status", "received")
    return Message.objects.create(
        conversation=talk, position=talk.message_count, direction=direction, text=text, created_at=at, **more
    )


def _exchange(
    talk: Any, question: str, answer: str, at: datetime, *, status: str = "delivered", jobs: bool = False
) -> None:
    seconds = RANDOM.lognormvariate(0.5, 0.5)
    tokens = RANDOM.randrange(300, 900), RANDOM.randrange(20, 80)
    asked = _say(talk, "in", question, at)
    details = {
        "provider": "openai",
        "model": "gpt-5-mini",
        "tokens_in": tokens[0],
        "tokens_out": tokens[1],
        "seconds": round(seconds, 3),
        "cost": round((tokens[0] * 0.25 + tokens[1] * 2) / 1e6, 6),
    }
    end = at + timedelta(seconds=seconds)
    sent = end + timedelta(seconds=0.2)
    reply = _say(talk, "out", answer, end, in_reply_to=asked, details=details, status=status, sent_at=sent)
    talk.answered_position = asked.position
    talk.save()
    if jobs:
        _done(asked, reply, at, seconds)


def _unanswered(talk: Any, at: datetime) -> None:
    """A question that the AI did not answer in time."""
    asked = _say(talk, "in", "One more thing: do you have parking?", at)
    failed = _job(
        "pipeline.generate_reply", "ai-processing", at, correlation_id=str(asked.public_id), status="failed",
        failure_reason="expired", error="the AI server answered 529: overloaded", error_code="overloaded", attempts=4,
        payload={"conversation": talk.pk, "message": None, "position": None}, finished_at=at + timedelta(seconds=20),
    )  # fmt: skip
    end = at + timedelta(seconds=20)
    _say(
        talk, "out", "Sorry, I can't answer right now. Please try again in a few minutes.", end, in_reply_to=asked,
        is_fallback=True, details={"failed_job": failed.pk, "reason": "expired"}, status="sent", sent_at=end,
    )  # fmt: skip
    talk.save()


def _done(asked: Any, reply: Any, at: datetime, seconds: float) -> None:
    """The three jobs of an answered message, as they stand for an hour after it."""
    end = at + timedelta(seconds=seconds)
    for task, queue, message, start, stop in (
        ("pipeline.receive_message", "incoming-messages", None, at, at + timedelta(milliseconds=9)),
        ("pipeline.generate_reply", "ai-processing", None, at + timedelta(milliseconds=12), end),
        ("delivery.send_widget", "widget-send", reply.pk, end, end + timedelta(milliseconds=40)),
    ):
        _job(
            task, queue, start, correlation_id=str(asked.public_id), status="completed", attempts=1,
            started_at=start + timedelta(milliseconds=3), finished_at=stop,
            payload={"message": message} if message else {"conversation": asked.conversation_id},
        )  # fmt: skip


def _job(task: str, queue: str, at: datetime, **more: Any) -> Any:
    from apps.jobs.models import Job

    more.setdefault("max_retries", 2)
    return Job.objects.create(task=task, queue=queue, created_at=at, due_at=at, run_at=at, fence=1, **more)


def _counters(customers: list[Any]) -> None:
    """A day of work: quiet at night, busy at noon and in the evening, a bad quarter of an hour."""
    from apps.jobs.models import JobCounter

    minute, rows = _now().replace(second=0, microsecond=0), []
    for ago in range(0, 24 * 60, 5):
        at = minute - timedelta(minutes=ago)
        hour = at.hour + at.minute / 60
        rate = 3 + 22 * math.exp(-((hour - 12.5) ** 2) / 10) + 30 * math.exp(-((hour - 19.5) ** 2) / 6)
        failed = RANDOM.randrange(3, 9) if 300 <= ago < 320 else int(RANDOM.random() < 0.03)
        for customer in customers:
            came = max(0, round(RANDOM.gauss(rate, 2) / 3))
            for task, wait, run in STEPS:
                bad = failed if task == "pipeline.generate_reply" and customer is customers[0] else 0
                rows.append(
                    JobCounter(
                        minute=at, worker=1, task=task, customer=customer.pk, completed=came, failed=bad,
                        retried=4 * bad, run_ms=came * run, run_ms_max=run * 3, wait_ms=came * wait,
                        wait_ms_max=wait * 9,
                    )
                )  # fmt: skip
    JobCounter.objects.bulk_create(rows, batch_size=200)


def _dead_letters(customers: list[Any], conversation: int) -> int:
    """Two more dead letters besides the turn that was too late; the key of the one with the longest story."""
    from apps.conversations.models import Message
    from apps.jobs.models import JobAttempt

    message = Message.objects.filter(conversation=conversation, direction="out").order_by("pk")[0]
    at = _now() - timedelta(hours=2, minutes=11)
    letter = _job(
        "delivery.send_widget", "widget-send", at, status="failed", failure_reason="exhausted", attempts=3,
        error="503 from the provider: upstream connect error", error_code="http_503", customer=customers[1],
        started_at=at + timedelta(seconds=3.2), finished_at=at + timedelta(seconds=3.4),
        payload={"message": message.pk},
        lane=f"send:{conversation}", correlation_id="6b1f5a52-51a4-4c0c-9d0c-6f1d4f0d2a77",
    )  # fmt: skip
    for number, seconds in enumerate((0.2, 1.4, 3.4), start=1):
        JobAttempt.objects.create(
            job=letter, number=number, ending="retry" if number < 3 else "failed", error_code="http_503",
            error="503 from the provider: upstream connect error", ended_at=at + timedelta(seconds=seconds),
        )  # fmt: skip
    _job(
        "delivery.send_widget", "widget-send", at, status="failed", failure_reason="unknown", attempts=1,
        error="the connection was cut after the request went out", error_code="cut_off", customer=customers[0],
        started_at=at, finished_at=at + timedelta(seconds=10), payload={"message": message.pk},
    )  # fmt: skip
    return int(letter.pk)


def _now() -> datetime:
    from django.utils import timezone

    return timezone.now()


if __name__ == "__main__":
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    django.setup()
    json.dump(fill(), sys.stdout)
