"""The menu of the admin: every page in its group, for those who may open it."""

import re

import pytest
from django.contrib import admin
from django.urls import reverse
from unfold.admin import ModelAdmin

from apps.monitoring.sidebar import GROUPS
from tests.factories.jobs import JobFactory

pytestmark = pytest.mark.django_db
# Shown from another page, or part of one.
ELSEWHERE = {("conversations", "chatbotai"), ("django_celery_results", "groupresult")}


def links(client):
    """The addresses in the menu, in order."""
    page = client.get(reverse("admin:index")).content.decode()
    menu = page[page.index('id="nav-sidebar-apps"') : page.index('id="main"')]
    return re.findall(r'<a href="([^"]+)" class="flex h-', menu)


def test_every_page_of_the_admin_is_in_the_menu():
    listed = {(page.app, page.model) for _, pages in GROUPS for page in pages}
    registered = {(model._meta.app_label, model._meta.model_name) for model in admin.site._registry}
    assert listed | ELSEWHERE >= registered
    assert listed <= registered


def test_every_page_looks_the_same():
    assert [model for model, page in admin.site._registry.items() if not isinstance(page, ModelAdmin)] == []


def test_all_of_it_opens(staff):
    found = links(staff)
    assert len(found) == 1 + sum(len(pages) for _, pages in GROUPS)
    for link in found:
        assert staff.get(link).status_code == 200, link


def test_a_person_sees_what_they_may_open(who_may):
    client = who_may("view_job", "view_conversation")
    assert links(client) == [
        reverse("admin:index"),
        reverse("admin:conversations_conversation_changelist"),
        reverse("admin:jobs_job_changelist"),
    ]
    for link in links(client):
        assert client.get(link).status_code == 200


def test_dead_letters_have_a_badge(staff):
    def badge():
        page = " ".join(staff.get(reverse("admin:accounts_plan_changelist")).content.decode().split())
        found = re.search(
            r'Dead letters</span>\s*(?:<span class="[^"]*bg-red-500[^"]*"> (\S+) </span>)?', page
        )
        return found[1]

    assert badge() is None
    JobFactory.create_batch(3, status="failed")
    assert badge() == "3"
    JobFactory.create_batch(97, status="failed")
    assert badge() == "99+"


def test_the_login_page_leads_to_the_first_page(client, django_user_model):
    django_user_model.objects.create_superuser("olga", password="an-example-4711")
    answer = client.post(reverse("admin:login"), {"username": "olga", "password": "an-example-4711"})
    assert (answer.status_code, answer.url) == (302, reverse("admin:index"))
