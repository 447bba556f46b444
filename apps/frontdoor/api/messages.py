"""Messages of programs: post what a person wrote, ask for the answer."""

import uuid
from typing import Annotated

from django.http import HttpRequest
from ninja import Header, Router
from ninja.responses import Status

from apps.accounts import scopes
from apps.accounts.models import ApiKey
from apps.frontdoor import inbox, lookups, reading
from apps.frontdoor.auth import api_key, key_of
from apps.frontdoor.claims import Claim
from apps.frontdoor.problems import Problem
from apps.frontdoor.schemas import Accepted, MessageIn, MessageOut, answers

router = Router()
LONGEST_KEY = 255

KeyHeader = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        description="Any text of at most 255 printable characters. The same key with the same body gives the same "
        "answer for 24 hours and stores nothing twice.",
        examples=["order-1138"],
    ),
]


@router.post(
    "/messages",
    auth=api_key(scopes.MESSAGES_WRITE),
    response=answers(400, 401, 403, 404, 409, 411, 413, 415, 422, 503, accepted=Accepted),
    operation_id="post_message",
    summary="Post a message that a person wrote",
)
def post_message(
    request: HttpRequest, payload: MessageIn, idempotency_key: KeyHeader = None
) -> Status[Accepted]:
    """Takes the message in and answers as soon as it is safe. It is handled a moment later; ask for the reply
    with `GET /api/v1/messages/{id}`. Messages of one contact are handled in the order they were accepted.

    **409**: the account is switched off. **422** also when an Idempotency-Key was used for another body.
    **503**: nothing was stored; send the same request again after `Retry-After` seconds.
    """
    account = lookups.account_by_public_id(payload.account)
    (receipt,) = inbox.accept([arrival_of(key_of(request), payload, account, idempotency_key)])
    if receipt.conflict:
        raise conflict()
    return Status(202, Accepted(id=receipt.public_id))


def arrival_of(
    key: ApiKey, payload: MessageIn, account: lookups.Account | None, idempotency_key: str | None
) -> inbox.Arrival:
    """What is stored of a message that came with `key` for the account it names (None: there is none).

    Raises Problem for an account that is not the key's to write to.
    """
    if account is None or account.customer != key.customer_id:
        raise Problem(404, "account: there is no account with this id.")
    if not account.is_open:
        raise Problem(409, "account: it is switched off; switch on the account and its chatbot first.")
    return inbox.Arrival(
        account=account,
        event_id=f"api:{uuid.uuid4()}",
        sender=payload.contact.id,
        sender_name=payload.contact.name,
        text=payload.text,
        claim=_claim(key, idempotency_key, payload),
    )


def conflict() -> Problem:
    """Why a known Idempotency-Key with another body is refused."""
    return Problem(422, "Idempotency-Key: it was used for another body in the last 24 hours. Use a new one.")


@router.get(
    "/messages/{uuid:message_id}",
    auth=api_key(scopes.MESSAGES_READ),
    response=answers(401, 403, 404, 503, ok=MessageOut),
    operation_id="get_message",
    summary="What became of a message",
)
def get_message(request: HttpRequest, message_id: uuid.UUID) -> MessageOut:
    """The message and, when there is one, the reply to it."""
    found = reading.message(message_id, customer=key_of(request).customer_id)
    if found is None:
        raise Problem(404, "There is no message with this id.")
    return found


def _claim(key: ApiKey, idempotency_key: str | None, payload: MessageIn) -> Claim | None:
    if idempotency_key is None:
        return None
    if not 0 < len(idempotency_key) <= LONGEST_KEY or not (
        idempotency_key.isascii() and idempotency_key.isprintable()
    ):
        raise Problem(400, "Idempotency-Key: send 1 to 255 printable ASCII characters.")
    contact = payload.contact
    digest = inbox.body_hash(str(payload.account), contact.id, contact.name, payload.text)
    return Claim(key.customer_id, idempotency_key, digest)
