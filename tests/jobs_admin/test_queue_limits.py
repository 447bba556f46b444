"""An operator limits a queue while the system runs."""

import html

import pytest
from django.contrib.admin.models import LogEntry
from django.urls import reverse

from apps.jobs.models import QueueState

pytestmark = pytest.mark.django_db
ADD = reverse("admin:jobs_queuestate_add")


def shown(response):
    return html.unescape(response.content.decode())


def save(client, **fields):
    return client.post(ADD, {"queue": "ai-processing", "rate": "", "concurrency": "", **fields}, follow=True)


def test_a_limit_is_set_logged_and_shown_on_the_page_of_queues(staff):
    save(staff, rate="90 / m", concurrency="5")
    state = QueueState.objects.get()
    assert (state.queue, state.rate, state.concurrency) == ("ai-processing", "90/m", 5)
    assert LogEntry.objects.get().object_id == str(state.pk)
    overview = shown(staff.get(reverse("admin:jobs_queueoverview_changelist")))
    assert "at most 1.5 begun a second and 5 in flight, all workers together" in overview


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"rate": "many"}, "write jobs per second, minute or hour as 30/s, 600/m or 1000/h"),
        ({"rate": "0/s"}, "is not a rate"),
        ({"concurrency": "0"}, "greater than or equal to 1"),
        ({"queue": "nobodys-queue"}, "not one of the available choices"),
    ],
)
def test_nonsense_is_refused_with_what_to_write(staff, fields, says):
    assert says in shown(save(staff, **fields))
    assert not QueueState.objects.exists()


def test_a_queue_has_one_row_and_keeps_its_name(staff):
    save(staff, concurrency="5")
    assert "not one of the available choices" in shown(save(staff, concurrency="6"))
    state = QueueState.objects.get()
    change = reverse("admin:jobs_queuestate_change", args=[state.pk])
    staff.post(change, {"queue": "incoming-messages", "rate": "", "concurrency": "7"})
    state.refresh_from_db()
    assert (state.queue, state.concurrency) == ("ai-processing", 7)


def test_a_queue_that_left_the_page_says_so(staff):
    QueueState.objects.create(queue="gone-queue", rate="")
    assert "not on the page of queues any more" in shown(
        staff.get(reverse("admin:jobs_queuestate_changelist"))
    )


def test_who_may_only_look_sees_no_form(client, django_user_model):
    client.force_login(django_user_model.objects.create_user("guest", is_staff=True))
    assert client.get(ADD).status_code == 403
