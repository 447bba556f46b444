"""While the database keeps those who ask waiting, nobody asks it: 503 at once, on the loop and in Django."""

import asyncio

import pytest
from django.db import OperationalError
from django.test import Client

from apps.frontdoor import away, inbox
from apps.jobs.grouping import CommitUnknown, GroupCommit
from apps.reliability import database_outage
from apps.reliability.outage import Outage
from apps.reliability.patience import NoAnswer
from tests.frontdoor.conftest import assert_problem, make_caller


@pytest.fixture
def closed(monkeypatch):
    """Somebody has just waited in vain."""
    outage = Outage("database", "…", probe=lambda: 1 / 0)
    monkeypatch.setattr(database_outage, "outage", outage)
    outage.began(OperationalError("silence"))
    yield
    outage.ended()


def asgi(path, method="POST"):
    """What the guarded application sends for a request, or "passed"."""
    sent = []

    async def inner(scope, receive, send):
        sent.append("passed")

    async def send(message):
        sent.append(message)

    asyncio.run(away.guarded(inner)({"type": "http", "path": path, "method": method}, None, send))
    return sent


def test_every_path_that_would_ask_is_refused_without_a_query(closed, client: Client):
    for path in (
        "/api/v1/messages",
        "/api/v1/widget/messages",
        "/webhooks/telegram/x",
        "/healthz",
        "/admin/",
    ):
        start, body = asgi(path)
        head = dict(start["headers"])
        assert start["status"] == 503
        assert int(head[b"retry-after"]) > 0
        assert head[b"content-length"] == str(len(body["body"])).encode()
        assert (b"access-control-allow-origin" in head) == ("widget" in path)
        answer = client.post(
            path, {}, content_type="application/json"
        )  # no database fixture: a query would fail
        assert answer.status_code == 503
        assert answer.content == body["body"]
    assert_problem(client.post("/webhooks/telegram/x", {}), 503, "database", "Nothing was stored")


def test_what_needs_no_database_is_served(closed):
    for path in ("/widget.js", "/widget/abc/chat.js", "/static/admin/x.css"):
        assert asgi(path, "GET") == ["passed"]
    assert asgi("/api/v1/widget/messages", "OPTIONS") == ["passed"]


def test_nobody_is_refused_as_long_as_all_is_well():
    assert asgi("/api/v1/messages") == ["passed"]


@pytest.mark.django_db(transaction=True)
class TestTheGroup:
    @pytest.fixture(autouse=True)
    def _outage(self, monkeypatch, committed):
        self.outage = Outage("database", "…", probe=lambda: 1 / 0)
        monkeypatch.setattr(database_outage, "outage", self.outage)
        yield
        self.outage.ended()

    def group(self, handler):
        return GroupCommit(handler, name="test")

    def test_who_waits_behind_a_silent_database_hears_of_it_without_asking(self):
        asked = []

        def silent(items):
            asked.append(items)
            raise OperationalError("…") from NoAnswer("silence")

        group = self.group(silent)
        with pytest.raises(OperationalError):
            group.submit("a")
        with pytest.raises(database_outage.StillAway):
            group.submit("b")
        assert asked == [["a"]]  # not tried again either: it would take as long
        self.outage.ended()
        group._handler = lambda items: items
        assert group.submit("c") == "c"

    def test_a_commit_that_was_cut_off_is_not_called_undone(self, monkeypatch):
        from django.db.backends.base.base import BaseDatabaseWrapper

        def cut(self):
            raise OperationalError("…") from NoAnswer("silence")

        monkeypatch.setattr(BaseDatabaseWrapper, "commit", cut)
        with pytest.raises(CommitUnknown):
            self.group(lambda items: items).submit("a")

    def test_the_caller_is_told_that_it_may_be_stored(self, monkeypatch):
        def cut_off(arrivals):
            raise CommitUnknown("the database did not answer within 5 s")

        monkeypatch.setattr(inbox.group, "submit", cut_off)
        assert_problem(make_caller().post(), 503, "may be stored yet", "same request again")
