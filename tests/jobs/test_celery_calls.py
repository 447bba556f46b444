"""What Celery offers and a job can't keep is refused with what to do instead; `delay`, `apply_async` make rows."""

from datetime import timedelta
from types import SimpleNamespace

import celery
import pytest
from django.utils import timezone
from structlog.testing import capture_logs

from apps.jobs import bell, crew
from apps.jobs.models import Job
from apps.jobs.task import JobTask, get_task, job_task
from project.celery import app
from tests.factories.jobs import seconds_until_due

pytestmark = pytest.mark.django_db


def test_delay_and_apply_async_make_a_row():
    task = get_task("test.script")
    first = task.delay(n=1)
    second = task.apply_async(kwargs={"n": 2}, priority=3, lane="a", queue="ignored: the task knows its own")
    assert list(Job.objects.order_by("pk").values_list("pk", "payload", "priority", "lane", "queue")) == [
        (first.id, {"n": 1}, 5, None, "maintenance"), (second.id, {"n": 2}, 3, "a", "maintenance")
    ]  # fmt: skip


def test_a_countdown_and_an_eta_become_the_rows_time():
    task = get_task("test.script")
    assert 59 < seconds_until_due(task.apply_async(countdown=60).id) <= 60
    assert 3599 < seconds_until_due(task.apply_async(eta=timezone.now() + timedelta(hours=1)).id) <= 3600


def test_celerys_own_way_of_calling_by_the_registry_makes_a_row_too():
    """As beat does."""
    app.tasks["test.script"].apply_async(
        kwargs={"n": 1}, dedupe_key="schedule:test.script", queue="maintenance"
    )
    app.tasks["test.script"].delay(n=1)
    assert Job.objects.count() == 2


@pytest.mark.parametrize("what", ["s", "si", "signature", "subtask", "chunks", "map", "starmap"])
def test_signatures_are_refused_with_what_to_do_instead(what):
    with pytest.raises(TypeError, match=r"test\.script: .*enqueue the next job by its name in write\(\)"):
        getattr(get_task("test.script"), what)(1)


def test_retry_is_refused_with_what_to_do_instead():
    with pytest.raises(TypeError, match="raise TransientError"):
        get_task("test.script").retry(countdown=5)


@pytest.mark.parametrize("canvas", [celery.group, celery.chain])
def test_no_canvas_of_jobs(canvas):
    with pytest.raises(TypeError, match="by its name in write"):
        canvas([get_task("test.script").s(n=1), get_task("test.script").s(n=2)])
    assert not Job.objects.exists()


def test_a_chord_is_refused_as_well():
    with pytest.raises(TypeError, match="by its name in write"):
        celery.chord([get_task("test.script").s(n=1)])(get_task("test.script").s(n=2))


@pytest.mark.parametrize(
    "option",
    [{"link": object()}, {"link_error": object()}, {"expires": 5}, {"shadow": "x"}, {"retry_policy": {}}],
)
def test_options_that_a_job_cannot_keep_are_refused_by_name(option):
    with pytest.raises(TypeError, match=next(iter(option))) as refusal:
        get_task("test.script").apply_async(**option)
    assert "enqueued by name in write()" in str(refusal.value)
    assert "expires_in" in str(refusal.value)
    assert not Job.objects.exists()


def test_positional_arguments_are_refused():
    with pytest.raises(TypeError, match="pass kwargs"):
        get_task("test.script").apply_async((1, 2))


# --- bells -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [((1,), {}), ((), {"n": 1})])
def test_a_bell_that_carries_something_is_refused_and_logged(monkeypatch, arguments):
    monkeypatch.setattr(crew, "answer", lambda task: pytest.fail("it was answered"))
    args, kwargs = arguments
    with capture_logs() as logs:
        app.tasks["test.script"].run(*args, **kwargs)
    [line] = logs
    assert (line["event"], line["log_level"], line["task"]) == ("bell_refused", "error", "test.script")
    assert not Job.objects.exists()


def test_a_plain_bell_is_answered(monkeypatch):
    answered = []
    monkeypatch.setattr(crew, "answer", answered.append)
    app.tasks["test.script"].run()
    assert answered == ["test.script"]


class Broker:
    def __init__(self, monkeypatch):
        self.sent, self.error = [], None
        monkeypatch.setattr(bell, "current_app", SimpleNamespace(send_task=self.send_task))

    def send_task(self, task, **options):
        if self.error:
            raise self.error
        self.sent.append((task, options["queue"]))


def test_at_most_one_unanswered_bell_a_task(monkeypatch):
    broker, ringer = Broker(monkeypatch), bell.Ringer()
    for _ in range(3):
        ringer._publish("test.script", "maintenance")
    assert broker.sent == [("test.script", "maintenance")]
    bell.silence("test.script")
    ringer._publish("test.script", "maintenance")
    assert len(broker.sent) == 2


def test_a_broker_that_is_away_costs_a_line_and_no_exception(monkeypatch):
    broker, ringer = Broker(monkeypatch), bell.Ringer()
    broker.error = OSError("connection refused")
    with capture_logs() as logs:
        ringer._publish("test.script", "maintenance")
    assert [line["event"] for line in logs] == ["bell_not_rung"]


def test_a_bell_that_was_not_sent_does_not_keep_the_next_from_ringing(monkeypatch):
    broker, ringer = Broker(monkeypatch), bell.Ringer()
    broker.error = OSError("connection refused")
    ringer._publish("test.script", "maintenance")
    broker.error = None
    ringer._publish("test.script", "maintenance")
    assert broker.sent == [("test.script", "maintenance")]


# --- declaring ---------------------------------------------------------------------------------------


def test_a_task_names_its_queue():
    with pytest.raises(TypeError, match="names its queue"):
        type("Nowhere", (JobTask,), {"name": "test.nowhere"})


def test_two_tasks_of_one_name_are_refused():
    with pytest.raises(TypeError, match=r"two tasks are called 'test\.script'"):
        type("Impostor", (JobTask,), {"name": "test.script", "queue": "maintenance"})


def test_a_small_task_is_a_decorated_function(script):
    from apps.jobs.drain import drain

    seen = []

    @job_task(name="test.small", queue="maintenance", max_retries=1)
    def small(item):
        """Note it."""
        seen.append(item)

    small.delay(n=1)
    drain()
    assert seen == [{"n": 1}]
    assert small.max_retries == 1
