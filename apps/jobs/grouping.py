"""Group commit: calls that arrive together share one transaction, and each waits for it.

Under load a commit costs more than what it commits. While one group is being committed the next gathers; alone, a
call goes at once. One thread per process and handler, with the only connection that it needs.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Generic, TypeVar

import structlog
from django.db import connection, transaction

from apps.jobs.connections import drop_if_broken, is_away
from apps.reliability import database_outage

log = structlog.get_logger(__name__)

Item = TypeVar("Item")
Result = TypeVar("Result")

LARGEST_GROUP = 200
LINGER = 0.005
"""Seconds in which the next group gathers, where the last one had more than one call."""


class CommitUnknown(TimeoutError):
    """The database went away in the middle of the commit: it may have been made."""


class GroupCommit(Generic[Item, Result]):
    """Runs `handler(items) -> results` inside one transaction for everything submitted meanwhile.

    When a group fails, each of its items is tried alone, so that only the bad one hears of it; when the database
    is away, all of them do, and as long as it keeps those who ask waiting, the next ones hear of it at once.
    """

    def __init__(
        self, handler: Callable[[list[Item]], Sequence[Result]], *, name: str = "group-commit"
    ) -> None:
        self._handler, self._name = handler, name
        self._waiting: list[tuple[Item, Future[Result]]] = []
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._pid = 0
        self._last = 0

    def submit(self, item: Item, *, timeout: float = 30.0) -> Result:
        """Return the handler's result for `item`, after its commit.

        Raises what the handler raised for it, django.db errors when the database did not take it, TimeoutError
        after `timeout` seconds (it may still be committed), CommitUnknown.
        """
        return self.put(item).result(timeout)

    def put(self, item: Item) -> Future[Result]:
        """Hand `item` in and return at once; the future gets what `submit` returns or raises."""
        answer: Future[Result] = Future()
        with self._changed:
            if self._pid != os.getpid():
                self._waiting.clear()  # of the process that forked us, which commits them itself
            self._waiting.append((item, answer))
            if self._pid != os.getpid() or self._thread is None or not self._thread.is_alive():
                self._pid = os.getpid()
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()
            self._changed.notify()
        return answer

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._waiting:
                    self._changed.wait()
                if self._last > 1:
                    self._changed.wait_for(lambda: len(self._waiting) >= LARGEST_GROUP, LINGER)
                group, self._waiting = self._waiting[:LARGEST_GROUP], self._waiting[LARGEST_GROUP:]
                self._last = len(group)
            try:
                drop_if_broken()
                self._commit(group)
            except BaseException as error:
                connection.close()
                log.exception("group_commit_broken", group=self._name)
                for _, answer in group:
                    if not answer.done():
                        answer.set_exception(error)

    def _results(self, items: list[Item]) -> Sequence[Result]:
        database_outage.refuse()
        cut_off = False
        try:
            return self._once(items)
        except Exception as error:
            cut_off = isinstance(error, CommitUnknown)
            if (not cut_off and not is_away(error)) or database_outage.noticed(error):
                raise
            connection.close()  # a stale connection, or a deadlock: once more on a fresh one, as one group
        try:
            return self._once(items)
        except Exception as error:
            if cut_off and is_away(error):
                raise CommitUnknown(str(error)) from error
            raise

    def _once(self, items: list[Item]) -> Sequence[Result]:
        results = None
        try:
            with transaction.atomic():
                results = self._handler(items)
        except Exception as error:
            if results is None or not is_away(error):
                raise
            raise CommitUnknown(str(error)) from error.__cause__
        return results

    def _commit(self, group: list[tuple[Item, Future[Result]]]) -> None:
        try:
            results = self._results([item for item, _ in group])
        except Exception as error:
            if is_away(error) or isinstance(error, CommitUnknown):
                connection.close()
                database_outage.noticed(error)
                log.warning("group_commit_refused", group=self._name, size=len(group), error=str(error))
            elif len(group) > 1:
                for one in group:
                    self._commit([one])
                return
            for _, answer in group:
                if not answer.done():  # who waited on an event loop may have given up
                    answer.set_exception(error)
            return
        for (_, answer), result in zip(group, results, strict=True):
            if not answer.done():
                answer.set_result(result)
