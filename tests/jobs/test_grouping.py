"""Calls that arrive together share one commit, each waits for it, and a bad one hears of it alone."""

import threading
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from django.db import OperationalError, connection, transaction

from apps.jobs.grouping import GroupCommit
from apps.jobs.models import Seat

pytestmark = pytest.mark.django_db(transaction=True)


class Handler:
    """Writes a row for each item and remembers the groups."""

    def __init__(self):
        self.groups = []
        self.first, self.go_on = threading.Event(), threading.Event()

    def __call__(self, items):
        assert connection.in_atomic_block
        self.groups.append(list(items))
        if not self.first.is_set():
            self.first.set()
            assert self.go_on.wait(20)
        for item in items:
            if item == "bad":
                raise ValueError("bad item")
            Seat.objects.create(name=item)
        return [item.upper() for item in items]


class Refusing(Handler):
    """The first group meets a deadlock; "odd" is what SQLite calls operational, and is nobody's outage."""

    def __call__(self, items):
        if items == ["first"] or not self.first.is_set():
            return super().__call__(items)
        self.groups.append(list(items))
        cause = Exception()
        if self.groups.count(list(items)) == 1 and len(items) > 1:
            cause.sqlstate = "40P01"
        elif "odd" in items:
            cause.sqlite_errorcode = 1
        else:
            return [item.upper() for item in items]
        raise OperationalError("no") from cause


@pytest.fixture
def handler():
    return Handler()


@pytest.fixture
def together(handler):
    """Submit these while the first item is being committed, so that they gather."""
    group = GroupCommit(handler, name="test")

    def submit(*items):
        with ThreadPoolExecutor(len(items) + 1) as pool:
            first = pool.submit(group.submit, "first")
            assert handler.first.wait(20)
            answers = [pool.submit(group.submit, item) for item in items]
            while True:
                with group._changed:
                    if len(group._waiting) == len(items):
                        break
            handler.go_on.set()
            return [answer.exception(20) or answer.result() for answer in [first, *answers]]

    yield submit
    done = threading.Event()
    group._handler = lambda items: (connection.close(), done.set(), items)[-1]
    group.submit("bye")  # its thread's connection must not outlive the test's database
    assert done.wait(10)


def test_what_arrives_together_is_committed_together(handler, together):
    names = [f"n{n}" for n in range(20)]
    assert together(*names) == ["FIRST", *(name.upper() for name in names)]
    assert [len(group) for group in handler.groups] == [1, 20]
    assert Seat.objects.count() == 21


def test_one_bad_item_hears_of_it_alone(handler, together):
    answers = together("a", "bad", "b")
    assert answers[:2] == ["FIRST", "A"]
    assert isinstance(answers[2], ValueError)
    assert answers[3] == "B"
    assert set(Seat.objects.values_list("name", flat=True)) == {"first", "a", "b"}


def test_an_answer_comes_after_the_commit(handler):
    handler.first.set()
    group = GroupCommit(handler, name="test")
    assert group.submit("seen") == "SEEN"
    assert Seat.objects.filter(name="seen").exists()  # from another connection
    group._handler = lambda items: (connection.close(), items)[-1]
    group.submit("bye")


def test_a_stale_connection_is_tried_once_more(handler):
    handler.first.set()
    failures = [OperationalError("server closed the connection unexpectedly")]

    def once_stale(items):
        if failures:
            raise failures.pop()
        return handler(items)

    group = GroupCommit(once_stale, name="test")
    assert group.submit("x") == "X"
    assert handler.groups == [["x"]]
    group._handler = lambda items: (connection.close(), items)[-1]
    group.submit("bye")


def test_a_database_that_is_away_is_told_to_all_and_the_next_are_served(handler):
    handler.first.set()
    away = [True]

    def handle(items):
        if away:
            raise OperationalError("connection refused")
        return handler(items)

    group = GroupCommit(handle, name="test")
    with pytest.raises(OperationalError):
        group.submit("a")
    away.clear()
    assert group.submit("b") == "B"
    group._handler = lambda items: (connection.close(), items)[-1]
    group.submit("bye")


def test_a_caller_waits_no_longer_than_it_wants(handler):
    group = GroupCommit(handler, name="test")
    with pytest.raises(TimeoutError):
        group.submit("slow", timeout=0.05)
    handler.go_on.set()
    group._handler = lambda items: (connection.close(), items)[-1]
    group.submit("bye")
    with transaction.atomic():
        assert Seat.objects.filter(name="slow").exists()  # it may still be committed, as the docstring says


@pytest.mark.parametrize("handler", [Refusing()])
def test_after_a_deadlock_a_bad_item_is_still_the_only_one_that_hears_of_it(together, handler):
    answers = together("a", "odd", "b")
    assert [str(answer) for answer in answers] == ["FIRST", "A", "no", "B"]
    assert handler.groups[1] == handler.groups[2] == ["a", "odd", "b"]


def test_a_forked_process_leaves_alone_what_waits_in_its_parent():
    """Both would commit it."""
    seen = []
    group = GroupCommit(lambda items: (connection.close(), seen.extend(items), items)[-1], name="fork")
    group._pid, group._waiting = -1, [("parents", Future())]
    assert group.submit("own") == "own"
    assert seen == ["own"]
