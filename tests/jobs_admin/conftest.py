"""What the tests of the ledger's pages share: a browser, and dead letters that really failed."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apps.jobs.drain import drain
from apps.jobs.enqueueing import enqueue
from apps.jobs.models import Job
from tests.factories.accounts import StaffFactory, UserFactory
from tests.jobs_admin.tasks import FailingLetter


@pytest.fixture
def staff(client: Client, db: None) -> Client:
    """Somebody who may do everything."""
    client.force_login(StaffFactory.create(username="olga"))
    return client


@pytest.fixture
def viewer(db: None) -> Client:
    """Somebody who may look at jobs and dead letters, and no more."""
    user = UserFactory.create(is_staff=True)
    user.user_permissions.add(*Permission.objects.filter(codename__in=["view_job", "view_deadletter"]))
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def fail(db: None) -> Callable[..., Job]:
    """Make a job of the failing task and run it until it is dead: fail("permanent", customer=…)."""

    def make(how: str, *, payload: dict[str, Any] | None = None, **options: Any) -> Job:
        job_id = enqueue(FailingLetter.name, {"how": how, **(payload or {})}, **options).id
        drain(until=timezone.now() + timedelta(minutes=1))
        job = Job.objects.get(pk=job_id)
        assert job.status == "failed"
        return job

    return make


def page(client: Client, name: str, *args: object, **query: str) -> str:
    """The HTML of a page of the jobs admin, as it is sent (not unescaped), with white space run together."""
    response = client.get(reverse(f"admin:jobs_{name}", args=args), query)
    assert response.status_code == 200
    return " ".join(response.content.decode().split())
