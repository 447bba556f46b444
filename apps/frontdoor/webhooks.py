"""Where providers call: POST /webhooks/<channel>/<account id>.

1. The account's channel verifies the call on its raw bytes: 401 for whoever can't prove to be the provider.
2. It reads the events from it; what we don't know is kept all the same.
3. They are taken in together (inbox.py), and the answer is 200 after the commit. A repeat changes nothing.

Providers repeat what is not answered with 2xx, so everything that is ours (the database is away) is a 503, and
everything that a repeat would not mend is not.
"""

import hashlib
import json
import uuid
from collections.abc import Sequence
from typing import Any

import structlog
from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse, JsonResponse, UnreadablePostError
from django.views.decorators.csrf import csrf_exempt

from apps.channels import registry as channels
from apps.channels.base import ContactChange, Malformed, StatusReport, Unverified, WebhookRequest
from apps.channels.events import (
    ContactClosed,
    ContactMoved,
    ContactReopened,
    ProviderEvent,
    StatusReported,
    TextReceived,
    Unknown,
)
from apps.conversations.text import storable
from apps.frontdoor import inbox, lookups, problems
from apps.frontdoor.lookups import Account, Receiver
from apps.jobs.storable import as_json

LONGEST_ID = 255
STATUSES = ("sent", "delivered", "read", "failed")

log = structlog.get_logger(__name__)


@csrf_exempt  # a program calls, with a proof of its own
def receive(request: HttpRequest, channel: str, account: uuid.UUID) -> HttpResponse:
    """Take in what a provider says."""
    if request.method != "POST":
        return problems.response(405, "Providers POST here.", {"Allow": "POST"})
    try:
        receiver = lookups.receiver_by_public_id(account)
        if receiver is None or receiver.channel != channel or not channels.get(channel).has_webhook:
            return problems.response(404, "There is no account that takes webhooks at this address.")
        events = _events(request, receiver)
        inbox.accept([_arrival(receiver.account, event) for event in events])
    except RequestDataTooBig:
        largest = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        return problems.response(413, f"The body is larger than {largest} bytes (MAX_BODY_BYTES).")
    except UnreadablePostError:
        return problems.response(400, "The body did not arrive.")  # nobody hears it: the caller has left
    except Unverified as error:
        log.warning("webhook_unverified", channel=channel, account=str(account), reason=str(error))
        return problems.response(401, f"{error}.")
    except Malformed as error:
        log.warning("webhook_malformed", channel=channel, account=str(account), reason=str(error))
        return problems.response(400, f"{error}.")
    except Exception as error:
        problem = problems.of(error, method="POST", path=request.path)
        return problems.response(problem.status, problem.detail, problem.headers)
    return JsonResponse({"accepted": len(events)})


def _events(request: HttpRequest, receiver: Receiver) -> Sequence[ProviderEvent]:
    adapter = channels.get(receiver.channel)
    headers = {name.lower(): value for name, value in request.headers.items()}
    call = WebhookRequest(headers, request.body)
    adapter.verify(call, receiver.credentials)
    return adapter.parse(call.body)


def _arrival(account: Account, event: ProviderEvent) -> inbox.Arrival:
    change, report, text, name = None, None, "", ""
    match event:
        case TextReceived():
            text, name = storable(event.text), storable(event.sender_name)[:255]
        case ContactClosed():
            change = ("closed", event.reason)
        case ContactReopened():
            change = ("reopened", "")
        case ContactMoved():
            change = ("moved", event.to)
        case StatusReported():
            report = _report(account, event)
    sender = storable(event.sender)[:LONGEST_ID]
    raw: dict[str, Any] = json.loads(as_json(event.raw))
    return inbox.Arrival(
        account=account,
        event_id=_event_id(event),
        sender=sender,
        text=text,
        sender_name=name,
        opens=isinstance(event, TextReceived) and event.opens,
        change=ContactChange(account=account.pk, sender=sender, change=change[0], detail=change[1])
        if change
        else None,
        report=report,
        is_known=not isinstance(event, Unknown)
        and (report is not None or not isinstance(event, StatusReported)),
        raw=raw,
    )


def _report(account: Account, event: StatusReported) -> StatusReport | None:
    """None where nothing follows: a status that is none of ours, or no message named."""
    ours = event.message_id
    try:
        ours = str(uuid.UUID(ours)) if ours else ""
    except ValueError:
        ours = ""  # what somebody else, with the same account, told the provider to echo
    theirs = storable(event.provider_message_id)[:LONGEST_ID]
    if event.status not in STATUSES or not (ours or theirs):
        return None
    return StatusReport(
        account=account.pk,
        status=event.status,
        provider_message_id=theirs,
        message_id=ours,
        code=storable(event.code)[:100],
        error=storable(event.error),
    )


def _event_id(event: ProviderEvent) -> str:
    """The provider's id, as it fits; cut off, two events might become one."""
    event_id = storable(event.event_id)
    if event_id == event.event_id and len(event_id) <= LONGEST_ID:
        return event_id
    return "sha256:" + hashlib.sha256(event.event_id.encode("utf-8", "surrogatepass")).hexdigest()
