"""Circuit breakers, as programs see them: a customer's own accounts, and the providers that those use."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

import redis
import structlog
from django.http import HttpRequest
from ninja import Path, Router
from pydantic import BaseModel, Field

from apps.accounts import scopes
from apps.accounts.models import ApiKey
from apps.conversations import destinations
from apps.frontdoor.auth import api_key, key_of
from apps.frontdoor.problems import TRY_AGAIN_SECONDS, Problem
from apps.frontdoor.schemas import Reason, Taken, answers
from apps.reliability import breaker
from apps.reliability.breaker import Standing, State
from apps.reliability.policies import kind_of

router = Router()
log = structlog.get_logger(__name__)

Name = Annotated[
    str,
    Path(
        max_length=600,
        description="As in the list.",
        examples=["channel:0b9dc6b4-8f3e-4a57-9d0c-6f0a54d2b6f1"],
    ),
]


class BreakerReset(Taken):
    reason: Reason = Field(
        "", description="For whoever looks at the log later.", examples=["new token entered"]
    )


class BreakerOut(BaseModel):
    """A circuit breaker. `service`: a provider as a whole, shared by all who use it; `account`: one account."""

    name: str
    scope: Literal["service", "account"]
    kind: str = Field(description="chat, ai, rpc or ipfs")
    state: State
    since: datetime | None = Field(None, description="Since when it is not closed.")
    seconds: float = Field(description="Until it is worth asking again; 0: a call would go now.")
    failures: int = Field(description="Calls that failed within the window; 0 where it is not closed.")
    calls: int = Field(description="All calls within the window.")


class BreakersOut(BaseModel):
    breakers: list[BreakerOut]


@router.get(
    "/breakers",
    auth=api_key(scopes.BREAKERS_READ),
    response=answers(401, 403, 503, ok=BreakersOut),
    operation_id="get_breakers",
    summary="Which accounts and providers are failing",
)
def get_breakers(request: HttpRequest) -> BreakersOut:
    """The breakers of your accounts, and of the providers that they use, that are not closed or have seen a failure
    within their window. What is not listed is closed.

    **503**: the store of breakers can't be reached; until it can, calls go through.
    """
    key = key_of(request)
    found = breaker.states()
    if breaker.is_away():
        raise _unavailable()
    owners = destinations.owners(one.key for one in found)
    services = destinations.services_of(key.customer_id) if len(owners) < len(found) else set()
    return BreakersOut(
        breakers=[
            _shown(one)
            for one in found
            if (
                one.key in services
                if one.key not in owners
                else owners[one.key].customer_id == key.customer_id
            )
        ]
    )


@router.post(
    "/breakers/{name}/reset",
    auth=api_key(scopes.BREAKERS_WRITE),
    response=answers(400, 401, 403, 404, 411, 413, 415, 422, 503, ok=BreakerOut),
    operation_id="reset_breaker",
    summary="Close a breaker of one of your accounts",
)
def reset_breaker(request: HttpRequest, name: Name, payload: BreakerReset) -> BreakerOut:
    """Closes it with an empty window, so that calls go again at once. Do it when you have mended what was wrong; it
    would find out by itself as well, a little later.

    **403**: a provider's breaker is shared by all who use it; only the operator resets it.
    """
    key = key_of(request)
    owner = destinations.owners([name]).get(name) if name.startswith(destinations.ACCOUNTS) else None
    if owner is None or owner.customer_id != key.customer_id:
        if name in destinations.services_of(key.customer_id):
            raise Problem(403, "name: this breaker is shared by all who use the provider. Ask the operator.")
        raise Problem(404, "name: none of your accounts has a breaker of this name.")
    try:
        breaker.reset(name)
    except (redis.RedisError, OSError) as error:
        raise _unavailable() from error
    _note(key, name, payload.reason)
    return _shown(breaker.state(name))


def _note(key: ApiKey, name: str, reason: str) -> None:
    by = f"API key {key}"
    log.warning("breaker_reset", breaker=name, by=by, customer=key.customer_id, reason=reason)


def _shown(one: Standing) -> BreakerOut:
    return BreakerOut(
        name=one.key,
        scope="service" if one.key.startswith("service:") else "account",
        kind=kind_of(one.key),
        state=one.state,
        since=None if one.age is None else datetime.now(UTC) - timedelta(seconds=one.age),
        seconds=round(one.seconds, 3),
        failures=one.failed,
        calls=one.ok + one.failed,
    )


def _unavailable() -> Problem:
    detail = "The store of circuit breakers can't be reached right now; until it can, calls go through."
    return Problem(503, detail, {"Retry-After": str(TRY_AGAIN_SECONDS)})
