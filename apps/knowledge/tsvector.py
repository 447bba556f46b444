"""Full-text search on PostgreSQL: a generated tsvector column and a GIN index.

The column holds one word per chatbot (weight D) beside the title (A) and the text (B), so that a search walks the
entries of this chatbot and not those of everybody. `ts_rank` knows nothing of rare and common words, so the
statement weighs each word by how few of the chatbot's items have it, as FTS5's bm25 does by itself.
"""

# ruff: noqa: S608 - the statements are built from names of ours, int() and placeholders

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from apps.knowledge.search import Query

TABLE = "knowledge_knowledgeitem"

# PostgreSQL's parser keeps "settings.py" or "a/b" together as a host or a path; people ask for the parts.
_PUNCTUATION = "._-/\\:@#&=?+*~%^|<>()[]{}"
_SPACES = " " * len(_PUNCTUATION)


def _vector(text: str, weight: str) -> str:
    return f"setweight(to_tsvector('english', translate({text}, '{_PUNCTUATION}', '{_SPACES}')), '{weight}')"


CREATE = (
    f"ALTER TABLE {TABLE} ADD COLUMN search tsvector GENERATED ALWAYS AS ("
    "setweight(to_tsvector('simple', 'scope' || chatbot_id::text), 'D') || "
    f"{_vector('title', 'A')} || {_vector('left(text, 100000)', 'B')}) STORED",
    # Read far more often than written: without the list of pending entries, which every search would read through.
    f"CREATE INDEX knowledge_search ON {TABLE} USING gin (search) WITH (fastupdate = off)",
)
REMOVE = (f"ALTER TABLE {TABLE} DROP COLUMN IF EXISTS search",)

# Weights of D, C, B, A for ts_rank(): scope, nothing, text, title.
WEIGHTS = "'{0, 0, 0.33, 1}'"
# Divide by 1 + log(length), so that long texts don't win by length.
BY_LENGTH = 1
# Ranking reads an item's whole vector, so only so many items of a query are ranked: those with the most and the
# rarest of its words, which the index alone tells.
CANDIDATES = 50


def statement(queries: "Sequence[Query]", top: int) -> tuple[str, list[Any]]:
    """SQL and parameters that return (number, title, text, score) of the best items of each query, best first."""
    hits: list[str] = []
    params: list[Any] = []
    for query in queries:
        chatbot = int(query.chatbot_id)
        for word in query.words:
            # One part for each word, and no join with a list of words: the planner must see each word to know how
            # few items it selects, else it reads the whole table.
            hits.append(
                f"SELECT {int(query.number)} AS number, {chatbot} AS chatbot, {int(query.enough)} AS enough, "  # nosec B608
                f"term, id AS item FROM {TABLE}, plainto_tsquery('english', %s) AS term "
                f"WHERE search @@ ('scope{chatbot}'::tsquery && term) "
                f"AND chatbot_id = {chatbot} AND numnode(term) > 0"
            )
            params.append(word)
    chatbots = ", ".join(str(int(chatbot)) for chatbot in sorted({query.chatbot_id for query in queries}))
    sql = f"""
        WITH hits AS MATERIALIZED ({" UNION ALL ".join(hits)}),
        sizes AS MATERIALIZED (
            SELECT chatbot_id, COUNT(*) AS items FROM {TABLE}
            WHERE chatbot_id IN ({chatbots}) GROUP BY chatbot_id
        ),
        counted AS (
            SELECT hits.*, COUNT(*) OVER (PARTITION BY number, term) AS found FROM hits
        ),
        weighed AS (
            SELECT number, enough, term, item,
                   LN(1 + (items - found + 0.5)::float8 / (found + 0.5)) AS weight
            FROM counted JOIN sizes ON sizes.chatbot_id = counted.chatbot
        ),
        candidates AS (
            SELECT number, item, ARRAY_AGG(term) AS terms, ARRAY_AGG(weight) AS weights,
                   ROW_NUMBER() OVER (PARTITION BY number ORDER BY SUM(weight) DESC, item) AS place
            FROM weighed
            GROUP BY number, item
            HAVING COUNT(*) >= MAX(enough)
        ),
        ranked AS (
            SELECT number, title, text, item.id, (
                       SELECT SUM(ts_rank({WEIGHTS}, search, term, {BY_LENGTH}) * weight)
                       FROM UNNEST(terms, weights) AS words(term, weight)
                   ) AS score
            FROM candidates JOIN {TABLE} item ON item.id = candidates.item
            WHERE place <= {CANDIDATES}
        ),
        places AS (
            SELECT ranked.*, ROW_NUMBER() OVER (PARTITION BY number ORDER BY score DESC, id) AS place FROM ranked
        )
        SELECT number, title, text, score FROM places WHERE place <= %s ORDER BY number, place
    """  # nosec B608
    return sql, [*params, top]
