"""The admin's sidebar: every room's pages in the order in which people look for them.

A person sees the pages that they may open, and no others (django-unfold asks `navigation` at each page).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from django.urls import reverse

from apps.jobs.admin.dead_letters import how_many_open


@dataclass(frozen=True, slots=True)
class Page:
    """A list in the admin. `icon`: its name among the Material Symbols, which come with django-unfold."""

    title: str
    app: str
    model: str
    icon: str

    def is_open_to(self, user: Any) -> bool:
        """Whether this person may open it."""
        return any(user.has_perm(f"{self.app}.{verb}_{self.model}") for verb in ("view", "change"))

    @property
    def link(self) -> str:
        return reverse(f"admin:{self.app}_{self.model}_changelist")


DEAD_LETTERS = Page("Dead letters", "jobs", "deadletter", "report")
GROUPS: tuple[tuple[str, tuple[Page, ...]], ...] = (
    (
        "Conversations",
        (
            Page("Conversations", "conversations", "conversation", "forum"),
            Page("Contacts", "conversations", "contact", "person"),
            Page("Messages", "conversations", "message", "chat"),
        ),
    ),
    (
        "Chatbots",
        (
            Page("Chatbots", "conversations", "chatbot", "smart_toy"),
            Page("Channel accounts", "conversations", "channelaccount", "cell_tower"),
            Page("AI accounts", "conversations", "aiaccount", "psychology"),
            Page("Knowledge", "knowledge", "knowledgeitem", "menu_book"),
        ),
    ),
    (
        "Work",
        (
            DEAD_LETTERS,
            Page("Jobs", "jobs", "job", "list_alt"),
            Page("Queues", "jobs", "queueoverview", "stacks"),
            Page("Queue limits", "jobs", "queuestate", "speed"),
            Page("Counters", "jobs", "jobcounter", "bar_chart"),
            Page("Workers", "jobs", "worker", "memory"),
            Page("Breakers", "monitoring", "breaker", "electrical_services"),
            Page("Task results", "django_celery_results", "taskresult", "task_alt"),
            Page("Inbox events", "frontdoor", "inboundevent", "inbox"),
        ),
    ),
    (
        "Customers",
        (
            Page("Customers", "accounts", "customer", "apartment"),
            Page("Plans", "accounts", "plan", "sell"),
            Page("API keys", "accounts", "apikey", "key"),
            Page("Usage", "accounts", "usagerecord", "data_usage"),
        ),
    ),
    (
        "Access",
        (
            Page("Users", "accounts", "user", "badge"),
            Page("Groups", "auth", "group", "group"),
        ),
    ),
)


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """The groups for this person, in the words of django-unfold. One query, for the number of dead letters."""
    overview = {"title": "Overview", "icon": "monitoring", "link": reverse("admin:index")}
    groups: list[dict[str, Any]] = [{"items": [overview]}]
    for title, pages in GROUPS:
        items = [_item(page) for page in pages if page.is_open_to(request.user)]
        if items:
            groups.append({"title": title, "separator": True, "items": items})
    return groups


def _item(page: Page) -> dict[str, Any]:
    item: dict[str, Any] = {"title": page.title, "icon": page.icon, "link": page.link}
    if page is DEAD_LETTERS and (waiting := how_many_open()):
        item |= {"badge": str(waiting), "badge_variant": "danger", "badge_style": "solid"}
    return item
