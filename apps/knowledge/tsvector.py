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
    f"CREATE INDEX knowledge_search ON {TABLE} USING gin (search)",
)
REMOVE = (f"ALTER TABLE {TABLE} DROP COLUMN IF EXISTS search",)

# Weights of D, C, B, A for ts_rank(): scope, nothing, text, title.
WEIGHTS = "'{0, 0, 0.33, 1}'"
# Divide by 1 + log(length), so that long texts don't win by length.
BY_LENGTH = 1


def statement(queries: "Sequence[Query]", top: int) -> tuple[str, list[Any]]:
    """SQL and parameters that return (number, title, text, score) of the best items of each query, best first."""
    rows: list[str] = []
    params: list[Any] = []
    for query in queries:
        for word in query.words:
            rows.append(f"({int(query.number)}, {int(query.chatbot_id)}, {int(query.enough)}, %s)")
            params.append(word)
    sql = f"""
        WITH asked(number, chatbot, enough, word) AS (VALUES {", ".join(rows)}),
        terms AS MATERIALIZED (
            SELECT number, chatbot, enough, word, plainto_tsquery('english', word) AS term,
                   ('scope' || chatbot)::tsquery AS scope
            FROM asked
            WHERE numnode(plainto_tsquery('english', word)) > 0
        ),
        hits AS MATERIALIZED (
            SELECT terms.number, terms.enough, terms.word, item.id AS item,
                   ts_rank({WEIGHTS}, item.search, terms.term, {BY_LENGTH}) AS rank
            FROM terms
            JOIN {TABLE} item ON item.search @@ (terms.scope && terms.term) AND item.chatbot_id = terms.chatbot
        ),
        sizes AS (
            SELECT chatbot_id, COUNT(*) AS items FROM {TABLE}
            WHERE chatbot_id IN (SELECT chatbot FROM asked) GROUP BY chatbot_id
        ),
        rarity AS (
            SELECT hits.number, hits.word,
                   LN(1 + (MAX(sizes.items) - COUNT(*) + 0.5) / (COUNT(*) + 0.5)) AS weight
            FROM hits
            JOIN terms ON terms.number = hits.number AND terms.word = hits.word
            JOIN sizes ON sizes.chatbot_id = terms.chatbot
            GROUP BY hits.number, hits.word
        ),
        sums AS (
            SELECT hits.number, hits.item, SUM(hits.rank * rarity.weight) AS score
            FROM hits
            JOIN rarity ON rarity.number = hits.number AND rarity.word = hits.word
            GROUP BY hits.number, hits.item
            HAVING COUNT(*) >= MAX(hits.enough)
        ),
        places AS (
            SELECT number, item, score,
                   ROW_NUMBER() OVER (PARTITION BY number ORDER BY score DESC, item) AS place
            FROM sums
        )
        SELECT places.number, item.title, item.text, places.score
        FROM places JOIN {TABLE} item ON item.id = places.item
        WHERE places.place <= %s
        ORDER BY places.number, places.place
    """
    return sql, [*params, top]
