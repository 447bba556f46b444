"""Find or begin the conversation a message belongs to."""

import secrets
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from django.db.models import Q

from apps.conversations.models import Contact, Conversation
from apps.conversations.models.conversations import token_hash
from apps.conversations.text import storable


class Sender(NamedTuple):
    """Who wrote: the ChannelAccount's key, the channel's id of the person, their name where it is known."""

    account_id: int
    external_id: str
    name: str = ""


Key = tuple[int, str]


def open_conversations(senders: Sequence[Sender]) -> list[Conversation]:
    """The open conversation of each sender, in the order given; begun where there is none.

    Each comes with contact, account and chatbot. The same sender twice gives the same object.

    One SELECT when all of them are known. Otherwise up to five statements however many there are: contacts
    inserted, read, conversations inserted, all read again. Safe when others do the same at the same time,
    with or without a transaction around it: who comes second finds what the first one made. One UPDATE more
    when somebody's name has changed.
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


def _find(keys: set[Key]) -> dict[Key, Conversation]:
    if not keys:
        return {}
    rows = Conversation.objects.open().with_chatbot().filter(_one_of(keys, "contact__"))
    return {(row.contact.account_id, row.contact.external_id): row for row in rows}


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


def _rename(senders: Sequence[Sender], found: dict[Key, Conversation]) -> None:
    renamed: dict[int, Contact] = {}
    for sender in senders:
        contact = found[sender.account_id, sender.external_id].contact
        if sender.name and sender.name != contact.name:
            contact.name = sender.name
            renamed[contact.pk] = contact
    if renamed:
        Contact.objects.bulk_update([renamed[pk] for pk in sorted(renamed)], ["name"])
