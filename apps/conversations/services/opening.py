"""Find or begin the conversation a message belongs to."""

import secrets
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from apps.channels import registry as channels
from apps.conversations.lookups import TextByKey
from apps.conversations.models import Contact, Conversation
from apps.conversations.models.conversations import token_hash
from apps.conversations.statements import as_uuid, records, rows, statements
from apps.conversations.text import storable


class Sender(NamedTuple):
    """Who wrote: the ChannelAccount's key, the channel's id of the person, their name where it is known."""

    account_id: int
    external_id: str
    name: str = ""


class OpenConversation(NamedTuple):
    """An open conversation, with what the way of a message needs of its contact, account and chatbot.

    `is_answered`: account, chatbot and customer are switched on. `max_wait` in seconds.
    """

    pk: int
    public_id: UUID
    contact: int
    name: str
    contact_closed: bool
    channel: str
    debounce_seconds: float | None
    is_answered: bool
    max_wait: int
    answer_each_message: bool
    greeting: str

    @property
    def quiet_seconds(self) -> float:
        """How long a turn waits for a next message. Raises UnknownChannel where the settings don't know it."""
        if self.debounce_seconds is not None:
            return self.debounce_seconds
        return channels.get(self.channel).debounce_seconds


Key = tuple[int, str]


def open_conversations(senders: Sequence[Sender]) -> list[OpenConversation]:
    """The open conversation of each sender, in the order given; begun where there is none.

    One SELECT when all of them are known. Otherwise up to five statements however many there are: contacts
    inserted, read, conversations inserted, all read again. Safe when others do the same at the same time,
    with or without a transaction around it: who comes second finds what the first one made. One UPDATE more
    when somebody's name has changed, and when somebody writes who could not be written to.
    """
    senders = [
        Sender(sender.account_id, _short(sender.external_id), _short(sender.name)) for sender in senders
    ]
    wanted = {(sender.account_id, sender.external_id) for sender in senders}
    found = _find(wanted)
    # Someone else may close a conversation between our insert and our look: then it is begun once more.
    for _ in range(3):
        missing = [sender for sender in senders if (sender.account_id, sender.external_id) not in found]
        if not missing:
            break
        _begin(missing)
        found |= _find({(sender.account_id, sender.external_id) for sender in missing})
    _rename(senders, found)
    return [found[sender.account_id, sender.external_id] for sender in senders]


def start_conversation(*, account_id: int, name: str = "") -> tuple[Conversation, str]:
    """Begin a conversation with somebody nobody knows yet (a visitor of a web page).

    Returns it and its access token, which is shown this once: only its hash is kept. Two statements.
    """
    token = secrets.token_urlsafe(32)
    contact = Contact.objects.create(
        account_id=account_id, external_id=f"visitor-{secrets.token_hex(12)}", name=_short(name)
    )
    conversation = Conversation.objects.create(
        account_id=account_id, contact=contact, access_token_hash=token_hash(token)
    )
    return conversation, token


def _short(text: str) -> str:
    return storable(text)[:255]


def _one_of(keys: Iterable[Key], prefix: str = "") -> Q:
    ids_by_account: dict[int, list[str]] = {}
    for account_id, external_id in sorted(keys):
        ids_by_account.setdefault(account_id, []).append(external_id)
    either = Q(pk__in=[])
    for account_id, external_ids in ids_by_account.items():
        either |= Q(**{f"{prefix}account_id": account_id, f"{prefix}external_id__in": external_ids})
    return either


def _find(keys: set[Key]) -> dict[Key, OpenConversation]:
    if not keys:
        return {}
    wanted = [{"account": account, "external_id": external_id} for account, external_id in sorted(keys)]
    found = rows(statements().open, senders=records(wanted))
    return {(account, external_id): _open(row) for account, external_id, *row in found}


def _open(row: list[Any]) -> OpenConversation:
    pk, public_id, contact, name, closed, channel, debounce, answered, max_wait, each, greeting = row
    # SQLite has numbers for booleans.
    closed, answered, each = bool(closed), bool(answered), bool(each)
    return OpenConversation(
        pk, as_uuid(public_id), contact, name, closed, channel, debounce, answered, max_wait, each, greeting
    )


def _begin(missing: Sequence[Sender]) -> None:
    """Insert what isn't there. In the order of the keys, so that two groups can't wait for each other."""
    names = {(sender.account_id, sender.external_id): sender.name for sender in missing}
    Contact.objects.bulk_create(
        [Contact(account_id=key[0], external_id=key[1], name=name) for key, name in sorted(names.items())],
        ignore_conflicts=True,
    )
    contacts = Contact.objects.filter(_one_of(names)).order_by("pk")
    Conversation.objects.bulk_create(
        [Conversation(account_id=contact.account_id, contact_id=contact.pk) for contact in contacts],
        ignore_conflicts=True,
    )


def _rename(senders: Sequence[Sender], found: dict[Key, OpenConversation]) -> None:
    named, closed = {}, set()
    for sender in senders:
        conversation = found[sender.account_id, sender.external_id]
        if sender.name and sender.name != conversation.name:
            named[conversation.contact] = sender.name
        if conversation.contact_closed:
            closed.add(conversation.contact)
    if named:
        _lowest_first(Contact.objects.filter(pk__in=named)).update(name=TextByKey(named))
    if closed:
        reopen_contacts(closed)


def contacts_by_id(*, account_id: int, external_id: str) -> list[int]:
    """The keys of the contacts that the channel calls so: one or none."""
    return list(
        Contact.objects.filter(account_id=account_id, external_id=external_id).values_list("pk", flat=True)
    )


def close_contacts(reasons: Mapping[int, str]) -> None:
    """These contacts (keys) can't be written to any more: key -> a short code. Until they write again."""
    if reasons:
        codes = {pk: storable(code)[:100] or "closed" for pk, code in reasons.items()}
        _lowest_first(Contact.objects.filter(pk__in=list(reasons), closed_at=None)).update(
            closed_at=timezone.now(), closed_reason=TextByKey(codes)
        )


def reopen_contacts(pks: Iterable[int]) -> None:
    """These contacts (keys) can be written to again."""
    _lowest_first(Contact.objects.filter(pk__in=sorted(set(pks)))).update(closed_at=None, closed_reason="")


def _lowest_first(contacts: QuerySet[Contact]) -> QuerySet[Contact]:
    """The same rows, locked in the order of their keys: two updates of overlapping rows can't deadlock."""
    return contacts.filter(pk__in=contacts.order_by("pk").select_for_update(no_key=True).values("pk"))


def move_contact(*, account_id: int, external_id: str, to: str) -> None:
    """The channel has a new id for a contact. If there is a contact by the new id already, it stays, and what is
    written to the old one ends as a failure that says so."""
    to = _short(to)
    if to == external_id:
        return
    with transaction.atomic():
        contact = Contact.objects.filter(account_id=account_id, external_id=external_id).first()
        if contact is None:
            return
        if Contact.objects.filter(account_id=account_id, external_id=to).exists():
            close_contacts({contact.pk: "moved"})
            return
        contact.external_id = to
        contact.save(update_fields=["external_id"])
