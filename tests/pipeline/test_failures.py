"""When the AI or the channel fails: the person is told, the failure is on record, and nothing secret is in the log."""

from datetime import timedelta

import pytest
from django.utils import timezone
from structlog.testing import capture_logs

from apps.conversations.models import Message
from apps.jobs import desk
from apps.jobs.drain import drain
from apps.jobs.models import Job
from apps.jobs.sweeper import Sweeper
from apps.pipeline.tasks import GenerateReply
from apps.reliability.errors import OutcomeUnknown, PermanentError, Postpone, TransientError

pytestmark = pytest.mark.django_db
SORRY = "Sorry, I can't answer right now. Please try again in a few minutes."
TELEGRAM_TOKEN = "123456789:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw0"


def job_of(task):
    return Job.objects.get(task=task)


def ended(task):
    return Job.objects.values_list("status", "failure_reason", "error_code").get(task=task)


def test_a_permanent_error_of_the_ai_brings_the_fallback_at_once(talk, ai):
    ai.errors = [PermanentError("no credit left", code="no_credit")]
    talk.say("Hi")
    drain()
    assert talk.lines() == [("in", "Hi", "received"), ("out", SORRY, "sent")]
    reply = Message.objects.get(direction="out")
    assert reply.is_fallback
    assert reply.in_reply_to.text == "Hi"
    assert reply.details == {"failed_job": job_of("pipeline.generate_reply").pk, "reason": "permanent"}
    assert ended("pipeline.generate_reply") == ("failed", "permanent", "no_credit")
    assert Job.objects.dead_letters().count() == 1


def test_an_empty_answer_is_none(talk, ai):
    ai.text = "  \n"
    talk.say("Hi")
    drain()
    assert talk.lines()[-1] == ("out", SORRY, "sent")
    assert ended("pipeline.generate_reply") == ("failed", "permanent", "empty_answer")


def test_an_unknown_provider_brings_the_fallback(talk, channel):
    talk.chatbot.provider = "gone"
    talk.chatbot.save()
    talk.say("Hi")
    drain()
    assert talk.lines()[-1] == ("out", SORRY, "sent")
    assert ended("pipeline.generate_reply") == ("failed", "permanent", "unknown_provider")


@pytest.mark.parametrize(
    "error", [TransientError("503"), Postpone(2), TimeoutError("slow"), ValueError("our bug")]
)
def test_the_ai_is_tried_again_until_the_person_has_waited_long_enough(talk, ai, error):
    ai.errors = [error] * 50
    talk.say("Hi")
    for _ in range(6):
        drain()
        Job.objects.filter(status="retry").update(run_at=timezone.now() - timedelta(seconds=1))
    assert job_of("pipeline.generate_reply").status == "retry"
    assert len(ai.turns) == 6
    Job.objects.filter(status="retry").update(expires_at=timezone.now() - timedelta(milliseconds=5))
    drain()
    assert ended("pipeline.generate_reply")[:2] == ("failed", "expired")
    assert talk.lines()[-1] == ("out", SORRY, "sent")
    assert len(ai.turns) == 6


def test_a_turn_that_waited_too_long_behind_others_gets_the_fallback_from_the_sweeper(talk, ai):
    class StubCrew:
        worker_id, stopping, lines = 0, False, {}

        def wake_promoted(self, tasks):
            """Nobody to wake."""

    ai.errors = [TransientError("away", retry_after=15)]
    talk.say("Hi")
    drain()
    Job.objects.filter(status="retry").update(expires_at=timezone.now() - timedelta(milliseconds=5))
    Sweeper(StubCrew())._bury_expired()
    drain()
    assert talk.lines()[-1] == ("out", SORRY, "sent")


def test_the_wait_is_told_to_the_ai(talk, ai):
    ai.errors = [TransientError("away")]
    talk.say("Hi")
    drain()
    Job.objects.filter(status="retry").update(
        run_at=timezone.now() - timedelta(seconds=1), expires_at=timezone.now() + timedelta(seconds=5)
    )
    drain()
    assert ai.turns[0].timeout_seconds > 15
    assert ai.turns[1].timeout_seconds <= 5


def test_after_the_fallback_the_conversation_goes_on(talk, ai):
    ai.errors = [PermanentError("away")]
    talk.say("one")
    drain()
    talk.say("two")
    drain()
    assert [text for _, text, _ in talk.lines()][:3] == ["one", SORRY, "two"]
    assert talk.lines()[-1] == ("out", "re: one\ntwo", "sent")  # what was not answered is answered now


def test_without_a_fallback_message_nobody_is_told_and_the_record_stays(talk, ai):
    talk.chatbot.fallback_message = ""
    talk.chatbot.save()
    ai.errors = [PermanentError("away")]
    talk.say("Hi")
    drain()
    assert [direction for direction, _, _ in talk.lines()] == ["in"]
    assert Job.objects.dead_letters().count() == 1


def test_a_cancelled_turn_tells_nobody(talk, ai):
    ai.errors = [TransientError("away", retry_after=5)]
    talk.say("Hi")
    drain()
    assert desk.cancel(job=job_of("pipeline.generate_reply"), by="ada", why="test")
    drain()
    assert [direction for direction, _, _ in talk.lines()] == ["in"]


def test_a_turn_that_is_tried_again_by_a_person_answers_after_all(talk, ai):
    ai.errors = [PermanentError("no credit left")]
    talk.say("Hi")
    drain()
    desk.retry(job=job_of("pipeline.generate_reply"), by="ada", why="paid the bill")
    drain()
    assert [text for _, text, _ in talk.lines()] == ["Hi", SORRY, "re: Hi"]


def test_a_send_that_dies_fails_its_message_in_the_same_transaction(talk, channel, monkeypatch):
    channel.errors = [PermanentError("blocked by the person", code="blocked")]
    talk.say("Hi")
    drain()
    reply = Message.objects.get(direction="out")
    assert (reply.status, reply.error_code, reply.error) == ("failed", "blocked", "blocked by the person")
    assert ended("delivery.send_widget") == ("failed", "permanent", "blocked")


def test_neither_without_the_other(talk, channel, monkeypatch):
    """When the message can't be failed, the job's death says so; there is no failed message of a living job."""
    from apps.delivery import tasks

    def broken(failures):
        raise LookupError("no such message")

    monkeypatch.setattr(tasks, "mark_failed", broken)
    channel.errors = [PermanentError("blocked", code="blocked")]
    talk.say("Hi")
    drain()
    assert Message.objects.get(direction="out").status == "pending"
    assert "dead() failed" in job_of("delivery.send_widget").error


def test_a_send_is_tried_three_times(talk, channel):
    channel.errors = [TransientError("502", code="502")] * 3
    talk.say("Hi")
    drain(until=timezone.now() + timedelta(minutes=5))
    assert ended("delivery.send_widget") == ("failed", "exhausted", "502")
    assert Message.objects.get(direction="out").status == "failed"


def test_a_status_never_goes_backwards(talk, channel):
    """The provider's *delivered* came before our own *sent*."""

    class Early(PermanentError):
        pass

    talk.say("Hi")
    drain()
    reply = Message.objects.get(direction="out")
    Message.objects.filter(pk=reply.pk).update(status="read")
    from apps.jobs.enqueueing import enqueue

    channel.errors = [Early("never called")]
    again = enqueue("delivery.send_widget", {"message": reply.pk})
    drain()
    assert Job.objects.get(pk=again.id).status == "completed"
    assert Message.objects.get(pk=reply.pk).status == "read"
    assert channel.errors  # it was not sent again


@pytest.mark.parametrize(
    ("error", "lines"),
    [
        (PermanentError("no credit", code="no_credit"), [("job_failed", 1, "no credit")]),
        # A question may be asked twice: an AI call that was cut off is simply made again.
        (OutcomeUnknown("cut off", code="cut"), [("job_retries", 1, "cut off")]),
    ],
)
def test_each_failure_is_one_line_that_says_what_a_person_needs(talk, ai, error, lines):
    ai.errors = [error]
    talk.say(f"my token is {TELEGRAM_TOKEN}")
    with capture_logs() as logs:
        drain()
    found = [line for line in logs if line["event"] in ("job_failed", "job_retries")]
    assert [(line["event"], line["attempt"], line["error"]) for line in found] == lines
    [line] = found
    assert line["job"] == job_of("pipeline.generate_reply").pk
    assert line["task"] == "pipeline.generate_reply"
    assert line["correlation_id"] == "c-1"
    assert line["payload"]["conversation"]
    assert line["log_level"] in ("error", "warning")


def test_no_line_shows_what_looks_like_a_secret(talk, monkeypatch):
    from apps.pipeline import tasks

    def broken(messages):
        raise PermanentError(f"https://api.telegram.org/bot{TELEGRAM_TOKEN}/sendMessage said no")

    monkeypatch.setattr(tasks, "add_messages", broken)
    talk.say(f"my token is {TELEGRAM_TOKEN}")
    with capture_logs() as logs:
        drain()
    [line] = [line for line in logs if line["event"] == "job_failed"]
    assert line["payload"]["sender"] == "person-1"
    assert TELEGRAM_TOKEN not in str(logs)
    row = job_of("pipeline.receive_message")
    assert TELEGRAM_TOKEN not in row.error
    assert TELEGRAM_TOKEN not in str(row.failed_attempts.values())


def test_a_retry_is_one_line_and_a_postponement_none(talk, ai):
    ai.errors = [TransientError("503", code="503"), Postpone(1, "limit")]
    talk.say("Hi")
    with capture_logs() as logs:
        drain(until=timezone.now() + timedelta(seconds=15))
    assert [line["event"] for line in logs if line["event"].startswith("job_")] == ["job_retries"]


def test_a_reply_written_late_answers_only_what_the_ai_was_asked(talk, ai, monkeypatch):
    """Its write failed once, and meanwhile the person went on: the turn behind it answers that."""
    talk.say("one")
    write, left = GenerateReply.write, [RuntimeError("once")]

    def fail_once(self, done):
        if left:
            raise left.pop()
        write(self, done)

    monkeypatch.setattr(GenerateReply, "write", fail_once)
    drain()
    talk.say("two")
    drain(until=timezone.now() + timedelta(seconds=5))
    assert [turn.question for turn in ai.turns] == ["one", "two"]
    assert [text for direction, text, _ in talk.lines() if direction == "out"] == ["re: one", "re: two"]
    first = Message.objects.get(text="re: one")
    assert first.in_reply_to.text == "one"
