"""What beat does: durable tasks at most once waiting, plain ones with a result."""

import pytest
from django.conf import settings

from apps.jobs.task import registry
from project.celery import app
from project.schedule import CELERY_BEAT


@pytest.fixture(autouse=True, scope="module")
def _tasks():
    app.loader.import_default_modules()


@pytest.mark.parametrize("name", CELERY_BEAT)
def test_each_entry_names_a_task_and_a_queue_that_exist(name):
    entry = CELERY_BEAT[name]
    assert entry["task"] in app.tasks
    assert entry["options"]["queue"] in settings.QUEUES
    assert entry["task"] in settings.QUEUES[entry["options"]["queue"]].tasks
    assert entry["schedule"] > 0


@pytest.mark.parametrize("name", CELERY_BEAT)
def test_two_beats_are_harmless(name):
    """A durable task carries a dedupe key, a plain one an expiry."""
    entry = CELERY_BEAT[name]
    if entry["task"] in registry():
        assert entry["options"]["dedupe_key"] == f"schedule:{name}"
    else:
        assert "dedupe_key" not in entry["options"]
        assert entry["options"]["expires"] <= entry["schedule"]


def test_plain_tasks_of_the_schedule_keep_their_result():
    for entry in CELERY_BEAT.values():
        if entry["task"] not in registry():
            assert app.tasks[entry["task"]].ignore_result is False
