"""How anything gets in: one transaction, shared by all who knock at the same moment.

1. A view has checked an event and wraps it as an `Arrival`.
2. `accept` hands the arrivals of one request to the group. Requests that come together share a commit; each
   waits for it and gets its own answer.
3. In the transaction: idempotency keys, inbox rows (`ON CONFLICT DO NOTHING`), and one job per new row. Three
   INSERTs however many arrive, and nothing is read unless something came twice.
4. A repeat (same account and event id, or same key and body) gets the answer of the first.

If the database is away or the commit fails, nothing of it is stored and every request of the group is told so.
"""

import hashlib
import json
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any

from django.db.models import Q
from django.utils import timezone

from apps.channels.base import ContactChange, IncomingMessage, StatusReport
from apps.frontdoor.claims import Answered, Claim, stake
from apps.frontdoor.inserting import insert_new
from apps.frontdoor.lookups import Account
from apps.frontdoor.models import InboundEvent
from apps.jobs.enqueueing import NewJob, enqueue_many
from apps.jobs.grouping import GroupCommit

RECEIVE = "pipeline.receive_message"
CHANGE = "pipeline.contact_changed"
REPORT = "delivery.apply_status"
LAST = 9
"""What became of a message is nobody's next answer: it waits behind all that people write."""
LONGEST_LANE = 200

Place = tuple[int, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """One event, checked, that wants in. `event_id` is the sender's id of it, unique per account.

    `change`: it is no message but something about the contact; `report`: about a message of ours. `is_known`: False
    where nothing follows from it. `raw`: the shape in which a provider told it, kept beside it.
    """

    account: Account
    event_id: str
    sender: str
    text: str = ""
    sender_name: str = ""
    opens: bool = False
    change: ContactChange | None = None
    report: StatusReport | None = None
    is_known: bool = True
    raw: dict[str, Any] | None = None
    claim: Claim | None = None
    public_id: uuid.UUID = field(default_factory=uuid.uuid4)
    received_at: datetime = field(default_factory=timezone.now)

    @property
    def place(self) -> Place:
        return self.account.pk, self.event_id


@dataclass(frozen=True, slots=True)
class Receipt:
    """The answer to an arrival: the public id of its message.

    `conflict`: its Idempotency-Key was used for another body; nothing was stored for it.
    """

    public_id: uuid.UUID
    conflict: bool = False


def accept(arrivals: Sequence[Arrival]) -> list[Receipt]:
    """Take these events in and return their receipts, in order. Returns after the commit.

    Raises what the database raises when it can't be reached; then nothing was stored.
    """
    return group.submit(arrivals)


def body_hash(*parts: str) -> str:
    """What makes two bodies the same: their values, however the JSON was spelled."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def lane_of(arrival: Arrival) -> str:
    """What one person writes at one account is handled in the order it came, and so is what is said of one message."""
    kind, name = "sender", arrival.sender
    if arrival.report is not None:
        kind, name = "status", arrival.report.provider_message_id or arrival.report.message_id
    lane = f"{kind}:{arrival.account.pk}:{name}"
    if len(lane) <= LONGEST_LANE:
        return lane
    return f"{kind}:{arrival.account.pk}:sha256:{hashlib.sha256(name.encode()).hexdigest()}"


def take(requests: Sequence[Sequence[Arrival]]) -> list[list[Receipt]]:
    """The handler of the group: runs in its transaction, gets the arrivals of each request."""
    arrivals = [arrival for request in requests for arrival in request]
    leaders = _first_of_each_key(arrivals)
    answered = stake({place: (claim, arrival.public_id) for place, (claim, arrival) in leaders.items()})
    for place, (claim, arrival) in leaders.items():
        answered.setdefault(place, Answered(arrival.public_id, claim.body_hash))
    mine = [arrival for arrival in arrivals if _speaks_for_itself(arrival, answered)]
    stored = _store(mine)
    return [[_receipt(arrival, answered, stored) for arrival in request] for request in requests]


def _first_of_each_key(arrivals: Sequence[Arrival]) -> dict[Place, tuple[Claim, Arrival]]:
    first: dict[Place, tuple[Claim, Arrival]] = {}
    for arrival in arrivals:
        if arrival.claim:
            first.setdefault(arrival.claim.place, (arrival.claim, arrival))
    return first


def _speaks_for_itself(arrival: Arrival, answered: dict[Place, Answered]) -> bool:
    return arrival.claim is None or answered[arrival.claim.place].public_id == arrival.public_id


def _receipt(arrival: Arrival, answered: dict[Place, Answered], stored: dict[Place, uuid.UUID]) -> Receipt:
    if arrival.claim is None:
        return Receipt(stored[arrival.place])
    first = answered[arrival.claim.place]
    return Receipt(first.public_id, conflict=first.body_hash != arrival.claim.body_hash)


def _store(arrivals: Sequence[Arrival]) -> dict[Place, uuid.UUID]:
    """Inbox rows, and a job for each that is new. Returns the public id at each place, new or not."""
    by_place: dict[Place, Arrival] = {}
    for arrival in arrivals:
        by_place.setdefault(arrival.place, arrival)
    rows = [_row(by_place[place]) for place in sorted(by_place)]
    won = insert_new(InboundEvent, rows, ("account", "event_id"))
    # In the order of arrival: the order of the jobs is the order of the lanes.
    enqueue_many([_job(arrival) for place, arrival in by_place.items() if place in won and arrival.is_known])
    ids = {place: arrival.public_id for place, arrival in by_place.items() if place in won}
    return ids | _ids_at([place for place in by_place if place not in won])


def _ids_at(places: Sequence[Place]) -> dict[Place, uuid.UUID]:
    if not places:
        return {}
    either = Q()
    for account, event_id in places:
        either |= Q(account=account, event_id=event_id)
    rows = InboundEvent.objects.filter(either).values_list("account_id", "event_id", "public_id")
    return {(account, event_id): public_id for account, event_id, public_id in rows}


def _row(arrival: Arrival) -> dict[str, Any]:
    return {
        "account": arrival.account.pk,
        "event_id": arrival.event_id,
        "public_id": arrival.public_id,
        "sender": arrival.sender,
        "payload": {"text": arrival.text, "name": arrival.sender_name}
        | ({} if arrival.raw is None else {"raw": arrival.raw}),
        "received_at": arrival.received_at,
    }


def _job(arrival: Arrival) -> NewJob:
    # Each with its payload, so that a test can compare them with their tasks.
    if arrival.report is not None:
        job = NewJob(REPORT, asdict(arrival.report))
    elif arrival.change is not None:
        job = NewJob(CHANGE, asdict(arrival.change))
    else:
        job = NewJob(RECEIVE, asdict(_message(arrival)))
    return replace(
        job,
        lane=lane_of(arrival),
        priority=arrival.account.priority if arrival.report is None else LAST,
        customer=arrival.account.customer,
        correlation_id=str(arrival.public_id),
    )


def _message(arrival: Arrival) -> IncomingMessage:
    return IncomingMessage(
        account=arrival.account.pk,
        message_id=str(arrival.public_id),
        sender=arrival.sender,
        text=arrival.text,
        sender_name=arrival.sender_name,
        received_at=arrival.received_at.isoformat(),
        opens=arrival.opens,
    )


group: GroupCommit[Sequence[Arrival], list[Receipt]] = GroupCommit(take)
