"""Fair shares: where more waits for a task than it has places, claims go round by customer.

1. A claim that came back full says that more waits. From then on, until a claim finds less than it has places for, each
   claim first lists the customers that wait at the best due priority: a skip from customer to customer in the index
   `job_share`, whatever each of them has waiting. With one customer alone there is nothing to share.
2. The places are dealt out by weight of plan (`deal`); what one customer has no use for goes to the others. What each
   got is remembered: else the heaviest would get every place of each claim that has only a few.
3. One statement claims each customer's oldest. Lanes, parking and fence are those of the plain claim.

With more customers than one list holds, the next list begins where the places of this one ended. How many conversations
a customer opens buys it nothing: shares are by customer, order is by conversation.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from apps.jobs import ledger
from apps.jobs.claimed import ClaimedJob
from apps.jobs.share_statements import share_statements

MOST_CUSTOMERS = 64
"""The most customers that one claim deals to."""
MOST_LISTS = 4
"""So many lists in a row may hold nobody with something due (they wait for later) before a claim is a plain one."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A customer that waits (0: jobs that are nobody's): how much it has due, counted up to a bound, and its weight."""

    customer: int
    weight: int
    due: int
    priority: int


class Ring:
    """The customers that wait for one task, gone round by one worker's line."""

    def __init__(self) -> None:
        self._after = -1
        self._customers = 1
        self._turns = Turns()

    def claim(self, task: str, *, places: int, worker: int) -> tuple[list[ClaimedJob], int]:
        """Claim like `ledger.claim`, but by shares. Returns the jobs, and how many rows were looked at; as many as
        places means that there may be more. Raises IntegrityError like it."""
        bound = 4 * places // self._customers + 1  # enough for what the others have no use for
        waiting, all_of_them = self._next_list(task, bound)
        self._customers = len(waiting) or 1
        shares = {} if all_of_them and len(waiting) == 1 else self._turns.deal(waiting, places)
        if not shares:
            return ledger.claim(task, places=places, worker=worker)
        self._after = self._behind_whom(waiting, shares)
        found = {
            "task": task,
            "priority": waiting[0].priority,
            "worker": worker,
            "shares": json.dumps(list(shares.items())),
            "most": max(shares.values()),
        }
        jobs, seen = ledger.claimed_by(share_statements().claim, found)
        more = not all_of_them or any(
            one.due == bound or one.due > shares.get(one.customer, 0) for one in waiting
        )
        return jobs, places if more and seen else seen

    def _next_list(self, task: str, bound: int) -> tuple[list[Waiting], bool]:
        """The next customers, and whether they are all; lists of those who only wait for later are passed over."""
        for _ in range(MOST_LISTS):
            waiting = self._waiting(task, bound=bound)
            if len(waiting) < MOST_CUSTOMERS:
                return waiting, True
            if any(one.due for one in waiting):
                break
            self._after = waiting[-1].customer
        return waiting, False

    def _behind_whom(self, waiting: Sequence[Waiting], shares: Mapping[int, int]) -> int:
        """The next list begins with the first who has something due and got nothing, else behind the last."""
        before = self._after
        for one in waiting:
            if one.due and one.customer not in shares:
                break
            before = one.customer
        return before

    def _waiting(self, task: str, *, bound: int) -> list[Waiting]:
        """The customers whose turn it is, the next one first, each with at most `bound` of its jobs counted."""
        found = ledger.ask(
            share_statements().waiting,
            {"task": task, "after": self._after, "customers": MOST_CUSTOMERS, "bound": bound},
        )
        return [Waiting(*row) for row in found]


class Turns:
    """Start-time fair queueing (Goyal, Vin, Cheng 1996): a customer's next turn comes 1/weight after its last one, and
    the earliest turn goes first. Who comes anew begins at the turn that was served last."""

    def __init__(self) -> None:
        self._now = 0.0
        self._next: dict[int, float] = {}
        """The next turn of those who are ahead of `_now`."""

    def deal(self, waiting: Sequence[Waiting], places: int) -> dict[int, int]:
        """Deal `places` out by weight, to nobody more than it has due. Returns the share of each that gets one.

        Where turns are equal, the first of the list come first.
        """
        shares: dict[int, int] = {}
        begun = self._now
        turns = [
            (max(self._next.get(one.customer, 0.0), begun), place, one)
            for place, one in enumerate(waiting)
            if one.due
        ]
        heapq.heapify(turns)
        while turns and places:
            turn, place, one = turns[0]
            share = shares[one.customer] = shares.get(one.customer, 0) + 1
            places -= 1
            self._now = turn
            self._next[one.customer] = turn + 1 / one.weight
            if share < one.due:
                heapq.heapreplace(turns, (self._next[one.customer], place, one))
            else:
                heapq.heappop(turns)
        if self._now > begun:
            self._next = {customer: turn for customer, turn in self._next.items() if turn > self._now}
        return shares
