"""The first page reads at most every two seconds and remembers hours that are over; each test begins without both."""

from collections.abc import Callable, Iterator

import pytest
from django.contrib.auth.models import Permission
from django.test import Client

from apps.monitoring.dashboard import figures, traffic
from tests.factories.accounts import StaffFactory, UserFactory


@pytest.fixture(autouse=True)
def _nothing_remembered() -> Iterator[None]:
    figures.latest.forget()
    traffic.forget()
    yield
    figures.latest.forget()
    traffic.forget()


@pytest.fixture
def staff(db: None) -> Client:
    client = Client()
    client.force_login(StaffFactory.create())
    return client


@pytest.fixture
def who_may(db: None) -> Callable[..., Client]:
    """A browser of somebody with these permissions and no others: who_may("view_job")."""

    def make(*names: str) -> Client:
        user = UserFactory.create(is_staff=True)
        user.user_permissions.add(*Permission.objects.filter(codename__in=names))
        client = Client()
        client.force_login(user)
        return client

    return make
