"""Fair shares: where more waits for a task than it has places, claims go round by customer.

1. A claim that came back full says that more waits. From then on, until a claim finds less than it has places for, each
   claim first lists the customers that wait at the best due priority: a skip from customer to customer in the index
   `job_share`, whatever each of them has waiting. With one customer alone there is nothing to share.
2. The places are dealt out by weight of plan (`deal`); what one customer has no use for goes to the others.
3. One statement claims each customer's oldest. Lanes, parking and fence are those of the plain claim.

With more customers than one list holds, the next list begins behind the last of this one. How many conversations a
customer opens buys it nothing: shares are by customer, order is by conversation.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Sequence
from dataclasses import dataclass

from apps.jobs import ledger
from apps.jobs.claimed import ClaimedJob
from apps.jobs.share_statements import share_statements

MOST_CUSTOMERS = 64
"""The most customers that one claim deals to."""


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

    def claim(self, task: str, *, places: int, worker: int) -> tuple[list[ClaimedJob], int]:
        """Claim like `ledger.claim`, but by shares. Returns the jobs, and how many rows were looked at; as many as
        places means that there may be more. Raises IntegrityError like it."""
        bound = 4 * places // self._customers + 1  # enough for what the others have no use for
        waiting = self._waiting(task, bound=bound)
        all_of_them = len(waiting) < MOST_CUSTOMERS
        shares = deal(waiting, places)
        if not shares or (all_of_them and len(waiting) == 1):
            return ledger.claim(task, places=places, worker=worker)
        self._after = next(reversed(shares)) if len(shares) < len(waiting) else waiting[0].customer
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

    def _waiting(self, task: str, *, bound: int) -> list[Waiting]:
        """The customers whose turn it is, the next one first, each with at most `bound` of its jobs counted."""
        found = ledger.ask(
            share_statements().waiting,
            {"task": task, "after": self._after, "customers": MOST_CUSTOMERS, "bound": bound},
        )
        self._customers = len(found) or 1
        return [Waiting(*row) for row in found]


def deal(waiting: Sequence[Waiting], places: int) -> dict[int, int]:
    """Deal `places` out by weight, to nobody more than it has due. Returns the share of each customer that gets one.

    With fewer places than customers, the first of the list come first.
    """
    shares: dict[int, int] = {}
    turns = [(1 / one.weight, place, one) for place, one in enumerate(waiting) if one.due]
    heapq.heapify(turns)
    while turns and places:
        _, place, one = turns[0]
        share = shares[one.customer] = shares.get(one.customer, 0) + 1
        places -= 1
        if share < one.due:
            heapq.heapreplace(turns, ((share + 1) / one.weight, place, one))
        else:
            heapq.heappop(turns)
    return shares
