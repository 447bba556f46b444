"""What must not keep a person waiting for ever: a hanging AI, keys that can't be read, a customer switched off."""

import asyncio
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from apps.accounts.models import Customer
from apps.conversations.models import AiAccount, ChatbotAi
from apps.jobs.drain import drain
from apps.jobs.models import Job
from apps.pipeline import asking
from apps.reliability import breaker
from tests.pipeline.test_failures import SORRY, ended

pytestmark = pytest.mark.django_db


def test_an_ai_that_hangs_is_found_out_before_the_ledger_ends_the_turn(talk, ai, monkeypatch):
    """Cut off by the ledger, nobody would know who kept the person waiting, and its breaker would never open."""
    account = AiAccount.objects.create(customer=talk.chatbot.customer, name="main", provider="fake")
    ChatbotAi.objects.create(chatbot=talk.chatbot, account=account)
    talk.chatbot.max_wait = 1
    talk.chatbot.save()

    async def hang(turn, on_text=None):
        await asyncio.Event().wait()

    monkeypatch.setattr(ai, "complete", hang)
    monkeypatch.setattr(asking, "FAIR_TRY", 0.3)
    talk.say("Hi")
    drain()
    assert ended("pipeline.generate_reply") == ("failed", "expired", "ai_timeout")
    assert talk.lines()[-1] == ("out", SORRY, "sent")
    assert breaker.state(f"ai:{account.public_id}").failed == 1


def test_the_fallback_needs_no_key_that_can_be_read(talk, ai):
    """Credentials under a key that is gone: the AI can't be asked for them, the person is told all the same."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE conversations_channelaccount SET credentials = 'gAAAAnonsense'")
    talk.chatbot.max_wait = 1
    talk.chatbot.save()
    talk.say("Hi")
    drain()
    Job.objects.filter(task="pipeline.generate_reply", status="retry").update(
        expires_at=timezone.now() - timedelta(milliseconds=5)
    )
    drain()
    assert ended("pipeline.generate_reply")[0] == "failed"
    assert talk.lines()[1][:2] == ("out", SORRY)


def test_a_customer_who_is_switched_off_gets_no_ai(talk, ai):
    Customer.objects.update(is_active=False)
    talk.say("Hi")
    drain()
    assert talk.lines() == [("in", "Hi", "received")]
    assert ai.turns == []
