"""The doctor's look at our own tables: workers, queues, keys, chatbots."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from django_celery_results.models import TaskResult

from apps.accounts.services import revoke_api_key
from apps.conversations.models import AiAccount, ChatbotAi
from apps.jobs.models import Worker
from apps.operations.doctor import chatbots, keys, workers
from apps.operations.doctor.finding import Finding, Level, Settings
from tests.factories.accounts import CustomerFactory, make_api_key
from tests.factories.conversations import ChannelAccountFactory, ChatbotFactory
from tests.factories.jobs import JobFactory, WorkerFactory
from tests.factories.knowledge import KnowledgeItemFactory
from tests.operations.provisioning import registries

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("registries")]
__all__ = ["registries"]


def by_name(findings: Iterator[Finding]) -> dict[str, Finding]:
    return {one.name: one for one in findings}


def tick(*, ago: float) -> None:
    done = TaskResult.objects.create(task_id=f"tick-{ago}", task_name=workers.TICK)
    TaskResult.objects.filter(pk=done.pk).update(date_done=timezone.now() - timedelta(seconds=ago))


class TestWorkers:
    @pytest.fixture(autouse=True)
    def quick(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(workers, "PING_SECONDS", 0.05)

    def test_one_for_everything(self, settings: Any):
        WorkerFactory.create(queues=sorted(settings.QUEUES))
        tick(ago=20)
        found = by_name(workers.check(Settings()))
        lines = {queue.line for queue in settings.QUEUES.values()}
        assert {one.level for name, one in found.items() if name.startswith("line ")} == {Level.OK}
        assert {name for name in found if name.startswith("line ")} == {f"line {line}" for line in lines}
        assert found["ping"].level is Level.WARN  # nobody is at the other end of this test's broker
        assert found["beat"].level is found["waiting"].level is found["dead letters"].level is Level.OK

    def test_a_queue_that_nobody_serves(self, settings: Any):
        WorkerFactory.create(queues=sorted(set(settings.QUEUES) - {"ai-processing"}))
        found = by_name(workers.check(Settings()))
        assert found["line ai"].level is Level.FAIL
        assert "ai-processing" in found["line ai"].found
        assert "-Q ai-processing -P threads" in found["line ai"].command
        assert found["line chat"].level is Level.OK

    def test_those_whose_lease_is_over_or_who_ended_dont_count(self, settings: Any):
        gone = timezone.now() - timedelta(minutes=1)
        WorkerFactory.create(queues=sorted(settings.QUEUES), lease_until=gone)
        WorkerFactory.create(queues=sorted(settings.QUEUES), ended_at=gone, ended_how="dead")
        found = by_name(workers.check(Settings()))
        assert found["lines"].level is Level.FAIL
        assert "runner Procfile" in found["lines"].command
        assert found["deaths"].level is Level.WARN

    def test_beat_is_silent(self, settings: Any):
        worker = WorkerFactory.create(queues=sorted(settings.QUEUES))
        found = by_name(workers.check(Settings()))["beat"]
        assert (found.level, found.found) == (Level.NOTE, "no tick yet; the workers have just started")
        Worker.objects.filter(pk=worker.pk).update(started_at=timezone.now() - timedelta(minutes=5))
        assert "no tick yet" in by_name(workers.check(Settings()))["beat"].found
        tick(ago=600)
        found = by_name(workers.check(Settings()))["beat"]
        assert (found.level, found.found) == (Level.FAIL, "last tick 10 min ago")
        assert found.command == "celery -A project beat"

    @pytest.mark.parametrize(("seconds", "level"), [(60, Level.WARN), (3_000, Level.FAIL)])
    def test_work_that_waits(self, seconds: int, level: Level):
        due = timezone.now() - timedelta(seconds=seconds)
        JobFactory.create_batch(2, queue="ai-processing", run_at=due, due_at=due)
        JobFactory.create(queue="widget-send")
        found = by_name(workers.check(Settings()))
        assert found["queue ai-processing"].level is level
        assert found["queue ai-processing"].found.startswith("2 jobs are due, the oldest for ")
        assert "queue widget-send" not in found

    def test_dead_letters_that_nobody_read(self):
        failed = {"status": "failed", "failure_reason": "permanent"}
        JobFactory.create_batch(2, **failed)
        JobFactory.create(closed_at=timezone.now(), **failed)
        found = by_name(workers.check(Settings()))["dead letters"]
        assert (found.level, found.found) == (Level.WARN, "2 test.script (permanent)")


class TestKeys:
    def test_secrets_that_open(self, settings: Any):
        ChannelAccountFactory.create(credentials={"token": "planted"})
        found = by_name(keys.check(Settings()))
        assert found["stored secrets"].level is Level.OK
        assert "old keys" not in found
        settings.ENCRYPTION_KEYS = ["a-new-key-0123456789-0123456789-abcdef", *settings.ENCRYPTION_KEYS]
        found = by_name(keys.check(Settings()))
        assert found["stored secrets"].level is Level.OK
        assert found["old keys"].command == "python manage.py rotate_encryption_keys"

    def test_secrets_that_no_key_opens(self, settings: Any):
        account = ChannelAccountFactory.create(credentials={"token": "planted"})
        settings.ENCRYPTION_KEYS = ["a-new-key-0123456789-0123456789-abcdef"]
        found = by_name(keys.check(Settings()))["stored secrets"]
        assert found.level is Level.FAIL
        assert f"channel account {account.pk}" in found.found
        settings.ENCRYPTION_KEYS = []
        assert by_name(keys.check(Settings()))["ENCRYPTION_KEYS"].level is Level.FAIL

    def test_one_secret_for_both(self, settings: Any):
        settings.SECRET_KEY = settings.ENCRYPTION_KEYS[0]
        found = by_name(keys.check(Settings()))["SECRET_KEY"]
        assert found.level is Level.WARN
        assert settings.SECRET_KEY not in str(found)

    def test_api_keys(self):
        key, _ = make_api_key()
        found = list(keys.check(Settings()))
        assert [one.level for one in found if one.name == "API keys"] == [Level.OK]
        key.expires_at = timezone.now() + timedelta(days=2)
        key.save()
        soon = [one for one in keys.check(Settings()) if "expires on" in one.found]
        assert [one.level for one in soon] == [Level.WARN]
        assert soon[0].command.endswith("--api-key 'test key' --rotate-key")
        revoke_api_key(key=key)
        found = [one for one in keys.check(Settings()) if one.name == "API keys"]
        assert [one.level for one in found] == [Level.WARN]
        assert "revoked or expired" in found[0].found

    def test_a_customer_without_a_key_is_only_noted(self):
        CustomerFactory.create(name="O'Neill & Sons")
        found = by_name(keys.check(Settings()))["API keys"]
        assert found.level is Level.NOTE
        assert "--customer 'O'\"'\"'Neill & Sons'" in found.command


class TestChatbots:
    def test_none(self):
        (found,) = chatbots.check(Settings())
        assert found.level is Level.NOTE

    def test_one_that_can_answer(self):
        account = ChannelAccountFactory.create()
        KnowledgeItemFactory.create(chatbot=account.chatbot)
        assert [one.level for one in chatbots.check(Settings())] == [Level.OK]

    def test_nothing_known_and_no_account(self):
        bot = ChatbotFactory.create(name="Helpdesk")
        found = [one for one in chatbots.check(Settings()) if one.name == "chatbot Helpdesk"]
        assert [(one.level, one.found) for one in found] == [
            (Level.WARN, "knows nothing"),
            (Level.NOTE, "has no active account on any channel"),
        ]
        assert f"--customer '{bot.customer.name}' --chatbot Helpdesk --knowledge" in found[0].command

    @pytest.mark.parametrize(
        ("provider", "says"),
        [("oracle", "needs an AI account, and has none"), ("gone", "no AI provider here")],
    )
    def test_nobody_to_ask(self, provider: str, says: str):
        ChannelAccountFactory.create(chatbot__provider=provider)
        (found,) = chatbots.check(Settings())
        assert found.level is Level.FAIL
        assert says in found.found

    def test_all_ai_accounts_are_off(self):
        bot = ChannelAccountFactory.create().chatbot
        off = AiAccount.objects.create(customer=bot.customer, name="main", provider="oracle", is_active=False)
        ChatbotAi.objects.create(chatbot=bot, account=off)
        (found,) = chatbots.check(Settings())
        assert (found.level, found.found) == (Level.FAIL, "all of its AI accounts are inactive")

    def test_accounts_without_what_they_need(self):
        bot = KnowledgeItemFactory.create().chatbot
        ChannelAccountFactory.create(chatbot=bot, channel="pager", name="", credentials={})
        ChannelAccountFactory.create(chatbot=bot, channel="fax", name="")
        found = [one for one in chatbots.check(Settings()) if one.level is Level.FAIL]
        assert sorted(one.found for one in found) == [
            "bot_token is missing: get one from the pager company",
            "fax is no channel here",
            "secret_token is missing: Secret",
        ]
