"""Fill a knowledge base."""

from collections.abc import Iterable
from typing import NamedTuple

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from apps.conversations.models import Chatbot
from apps.conversations.text import storable
from apps.knowledge.markdown import SEPARATOR, sections
from apps.knowledge.models import KnowledgeItem


class Imported(NamedTuple):
    """How many items an import made, changed, removed and left as they were."""

    created: int
    updated: int
    deleted: int
    unchanged: int


def import_texts(chatbot: Chatbot, texts: Iterable[tuple[str, str]]) -> Imported:
    """Put (title, text) pairs into the chatbot's knowledge base; a long Markdown text becomes one item for each
    section, titled `title › heading`.

    A title stands for its text: importing it again replaces what it brought before, and sections that are gone
    from the text go from the knowledge base. Other titles are left alone. All or nothing.
    """
    wanted: dict[str, str] = {}
    ours = Q(pk__in=[])
    for title, text in texts:
        name = " ".join(storable(title).split())
        wanted |= sections(name, storable(text))
        ours |= (
            Q(title=name[:255]) | Q(title__startswith=f"{name}{SEPARATOR}") | Q(title__startswith=f"{name} (")
        )
    with transaction.atomic():
        # Two imports into the same knowledge base, one after the other.
        Chatbot.objects.select_for_update(no_key=True).get(pk=chatbot.pk)
        existing = {item.title: item for item in KnowledgeItem.objects.filter(ours, chatbot=chatbot)}
        new = [
            KnowledgeItem(chatbot=chatbot, title=title, text=text)
            for title, text in wanted.items()
            if title not in existing
        ]
        changed = [existing[title] for title in wanted.keys() & existing.keys()]
        changed = [item for item in changed if item.text != wanted[item.title]]
        for item in changed:
            item.text = wanted[item.title]
            item.updated_at = timezone.now()
        gone = [item.pk for title, item in existing.items() if title not in wanted]
        KnowledgeItem.objects.bulk_create(new)
        KnowledgeItem.objects.bulk_update(changed, ["text", "updated_at"], batch_size=100)
        KnowledgeItem.objects.filter(pk__in=gone).delete()
    return Imported(len(new), len(changed), len(gone), len(existing) - len(changed) - len(gone))
