"""Find what a chatbot knows about a question: one function, whatever the database.

Both databases do the same: each word of the question is looked up in the full-text index, rare words weigh more
than common ones, a word in the title weighs more than one in the text, and the sums decide. A text needs one of
the words (two, when the question has many), not all of them: people ask in sentences. Words meet by their
English stem ("delivered" finds "delivery"); in other languages by their exact form.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from django.db import connections, router

from apps.ai.base import Passage
from apps.knowledge import fts5, tsvector
from apps.knowledge.models import KnowledgeItem
from apps.knowledge.words import enough, words

# SQLite takes 500 parts in a compound SELECT, and each word is one.
WORDS_PER_STATEMENT = 400


class Query(NamedTuple):
    """One question as the databases get it; `number` says whose it is."""

    number: int
    chatbot_id: int
    words: list[str]
    enough: int


def search(chatbot_id: int, query: str, top: int = 5) -> list[Passage]:
    """What this chatbot knows about `query` (any text), best first, at most `top`. One statement, or none when
    the query has no word worth searching for. Never raises for what somebody typed."""
    return search_many([(chatbot_id, query)], top=top)[0]


def search_many(queries: Sequence[tuple[int, str]], top: int = 5) -> list[list[Passage]]:
    """The answers to several (chatbot key, question) in their order, best first, at most `top` each.

    One statement for every 400 words, which is one for any usual group of questions.
    """
    found: list[list[Passage]] = [[] for _ in queries]
    connection = connections[router.db_for_read(KnowledgeItem)]
    dialect = tsvector if connection.vendor == "postgresql" else fts5
    for group in _groups(_prepared(queries)):
        sql, params = dialect.statement(group, top)
        with connection.cursor() as cursor:
            cursor.execute(sql, params)
            for number, title, text, score in cursor.fetchall():
                found[number].append(Passage(title=title, text=text, score=float(score)))
    return found


def has_items(chatbot_ids: Iterable[int]) -> set[int]:
    """Which of these chatbots know anything at all. One statement."""
    items = KnowledgeItem.objects.filter(chatbot_id__in=set(chatbot_ids))
    return set(items.order_by().values_list("chatbot_id", flat=True).distinct())


def _prepared(queries: Sequence[tuple[int, str]]) -> Iterator[Query]:
    for number, (chatbot_id, question) in enumerate(queries):
        wanted = words(question)
        if wanted:
            yield Query(number, int(chatbot_id), wanted, enough(len(wanted)))


def _groups(queries: Iterable[Query]) -> Iterator[list[Query]]:
    group: list[Query] = []
    size = 0
    for query in queries:
        if group and size + len(query.words) > WORDS_PER_STATEMENT:
            yield group
            group, size = [], 0
        group.append(query)
        size += len(query.words)
    if group:
        yield group
