"""The page of the queues is complete: nothing runs that it doesn't name, and it names nothing that isn't there."""

import re

import pytest
from django.conf import settings

from apps.jobs.task import registry
from apps.operations.procfile import read_procfile
from project.celery import app
from project.queues import pages, send_queue


def job_tasks():
    """Our JobTasks; the tests define some of their own."""
    app.loader.import_default_modules()
    return {name: task for name, task in registry().items() if type(task).__module__.startswith("apps.")}


def plain_tasks():
    app.loader.import_default_modules()
    return {
        name
        for name, task in app.tasks.items()
        if name not in registry() and type(task).__module__.startswith(("apps.", "project."))
    }


def on_the_page():
    return {task: queue.name for queue in settings.QUEUES.values() for task in queue.tasks}


def test_every_task_is_on_the_page_under_its_queue():
    missing = {name: task.queue for name, task in job_tasks().items()}.items() - on_the_page().items()
    assert not missing, "project/queues.py lacks these"


def test_every_task_on_the_page_exists():
    app.loader.import_default_modules()
    assert set(on_the_page()) <= set(app.tasks), "project/queues.py names what is not there"


def test_every_plain_task_is_on_the_page():
    assert plain_tasks() <= set(on_the_page())


def test_a_task_is_named_once():
    names = [task for queue in settings.QUEUES.values() for task in queue.tasks]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("queue", settings.QUEUES.values(), ids=lambda queue: queue.name)
def test_each_queue_says_why_it_is_alone_and_has_sane_numbers(queue):
    assert len(queue.why) > 20
    assert queue.in_flight > 0
    assert queue.longest_age is None or queue.longest_age > 0
    assert queue.keep_completed > 0
    assert queue.keep_failed >= 86400


def test_a_channel_of_somebody_else_gets_a_queue():
    page = pages({"widget": "…", "carrier_pigeon": "pigeons.Channel"})
    assert page["carrier-pigeon-send"].tasks == ("delivery.send_carrier_pigeon",)
    assert send_queue("whatsapp_cloud") == "whatsapp-cloud-send"


def test_celery_knows_exactly_these_queues():
    assert {queue.name for queue in app.conf.task_queues} == set(settings.QUEUES)
    assert all(queue.durable for queue in app.conf.task_queues)


def test_a_worker_line_serves_each_queue():
    """`worker-<line>` of the Procfile lists exactly the queues that the page gives to the line."""
    served = {}
    for line in read_procfile(settings.BASE_DIR / "Procfile"):
        listed = re.search(r"\bworker\b.* -Q (\S+)", line.command)
        if listed:
            served[line.name.removeprefix("worker-")] = set(listed[1].split(","))
    wanted: dict[str, set[str]] = {}
    for queue in settings.QUEUES.values():
        wanted.setdefault(queue.line, set()).add(queue.name)
    assert served == wanted
