"""Full-text search on SQLite: an FTS5 index beside the table, kept by triggers.

The index keeps no text of its own (`content=''`), only where which word stands. A first column `scope` holds
one word per chatbot, so that a search walks the entries of this chatbot and not those of everybody.
"""

# ruff: noqa: S608 - the statements are built from names of ours, int() and placeholders

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from apps.knowledge.search import Query

INDEX = "knowledge_index"
TABLE = "knowledge_knowledgeitem"

# Weights of scope, title, text for bm25().
WEIGHTS = "0.0, 3.0, 1.0"

_OLD = "'scope' || old.chatbot_id, old.title, old.text"
_NEW = "'scope' || new.chatbot_id, new.title, new.text"
_FORGET = f"INSERT INTO {INDEX} ({INDEX}, rowid, scope, title, text) VALUES ('delete', old.id, {_OLD});"  # nosec B608
_LEARN = f"INSERT INTO {INDEX} (rowid, scope, title, text) VALUES (new.id, {_NEW});"  # nosec B608

# A migration that makes SQLite rebuild the table (most AlterFields do) drops the triggers with the old table: run
# REMOVE before it and CREATE after it.
CREATE = (
    f"CREATE VIRTUAL TABLE {INDEX} USING fts5(scope, title, text, content='', tokenize='porter unicode61')",
    f"CREATE TRIGGER knowledge_learn AFTER INSERT ON {TABLE} BEGIN {_LEARN} END",
    f"CREATE TRIGGER knowledge_forget AFTER DELETE ON {TABLE} BEGIN {_FORGET} END",
    f"CREATE TRIGGER knowledge_relearn AFTER UPDATE OF id, chatbot_id, title, text ON {TABLE} "
    f"BEGIN {_FORGET} {_LEARN} END",
    f"INSERT INTO {INDEX} (rowid, scope, title, text) "  # nosec B608
    f"SELECT id, 'scope' || chatbot_id, title, text FROM {TABLE}",
)
REMOVE = (
    "DROP TRIGGER IF EXISTS knowledge_learn",
    "DROP TRIGGER IF EXISTS knowledge_forget",
    "DROP TRIGGER IF EXISTS knowledge_relearn",
    f"DROP TABLE IF EXISTS {INDEX}",
)


def statement(queries: "Sequence[Query]", top: int) -> tuple[str, list[Any]]:
    """SQL and parameters that return (number, title, text, score) of the best items of each query, best first."""
    hits: list[str] = []
    needed: list[str] = []
    params: list[Any] = []
    for query in queries:
        needed.append(f"({int(query.number)}, {int(query.enough)}, {int(query.chatbot_id)})")
        for word in query.words:
            hits.append(
                f"SELECT {int(query.number)} AS number, rowid AS item, -bm25({INDEX}, {WEIGHTS}) AS score "  # nosec B608
                f"FROM {INDEX} WHERE {INDEX} MATCH %s"
            )
            # A word is letters and digits only, and quoted: it can't be taken for an operator.
            params.append(f'scope : "scope{int(query.chatbot_id)}" AND {{title text}} : "{word}"')
    sql = f"""
        WITH needed(number, enough, chatbot) AS (VALUES {", ".join(needed)}),
        hits AS MATERIALIZED ({" UNION ALL ".join(hits)}),
        sums AS (SELECT number, item, SUM(score) AS score, COUNT(*) AS words FROM hits GROUP BY number, item),
        places AS (
            SELECT sums.number, item.title, item.text, sums.score,
                   ROW_NUMBER() OVER (PARTITION BY sums.number ORDER BY sums.score DESC, item.id) AS place
            FROM sums
            JOIN needed ON needed.number = sums.number AND sums.words >= needed.enough
            JOIN {TABLE} item ON item.id = sums.item AND item.chatbot_id = needed.chatbot
        )
        SELECT number, title, text, score FROM places WHERE place <= %s ORDER BY number, place
    """  # nosec B608
    return sql, [*params, top]
