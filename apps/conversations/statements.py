"""The statements on the path of every message, as text, one for both databases.

Querysets ask for the rest. Here it pays to do without: compiling a query costs more than running it, lists travel as
one JSON parameter so that a statement is planned once (apps/jobs/planning.py), and rows come back as plain tuples.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from typing import Any
from uuid import UUID

from apps.jobs.dialect import Dialect, dialect
from apps.reliability.prepared import preparing_cursor

SENDERS = {"account": "bigint", "external_id": "text"}
KEYS = {"id": "bigint"}
TURNS = {"conversation": "bigint", "position": "integer"}
GROWTH = {"id": "bigint", "number": "integer", "answered": "integer"}
MESSAGES = {
    "public_id": "uuid",
    "conversation": "bigint",
    "position": "integer",
    "direction": "text",
    "text": "text",
    "status": "text",
    "in_reply_to": "bigint",
    "is_fallback": "boolean",
    "details": "jsonb",
    "created_at": "timestamptz",
}
SENT = {"id": "bigint", "provider_message_id": "text"}


class Statements:
    """The texts for one dialect."""

    def __init__(self, d: Dialect) -> None:
        postgres = d.vendor == "postgresql"
        keys = d.records("%(keys)s", KEYS, "k")
        in_order = "ORDER BY c.id FOR NO KEY UPDATE OF c" if postgres else ""
        lowest_first = "ORDER BY m.id FOR NO KEY UPDATE OF m" if postgres else ""

        # The open conversation of each sender, with what the way of a message needs of account and chatbot.
        self.open = f"""
            SELECT ct.account_id, ct.external_id, c.id, c.public_id, ct.id, ct.name, ct.closed_at IS NOT NULL,
                a.channel, a.debounce_seconds, a.is_active AND b.is_active AND cu.is_active, b.max_wait,
                b.answer_each_message, b.greeting
            FROM {d.records("%(senders)s", SENDERS, "s")}
            JOIN conversations_contact ct ON ct.account_id = s.account AND ct.external_id = s.external_id
            JOIN conversations_conversation c ON c.contact_id = ct.id AND c.state = 'open'
            JOIN conversations_channelaccount a ON a.id = ct.account_id
            JOIN conversations_chatbot b ON b.id = a.chatbot_id
            JOIN accounts_customer cu ON cu.id = b.customer_id"""

        # Make room for new messages: locks the conversations in the order of their keys, so that two groups can't
        # wait for each other, and returns the positions from which they count on.
        self.grow = f"""
            UPDATE conversations_conversation SET message_count = message_count + g.number,
                last_message_at = %(now)s, answered_position = {d.greatest}(answered_position, g.answered)
            FROM (SELECT c.id AS grown, n.number, n.answered FROM {d.records("%(growth)s", GROWTH, "n")}
                  JOIN conversations_conversation c ON c.id = n.id {in_order}) g
            WHERE id = g.grown RETURNING id, message_count"""

        self.insert = f"""
            INSERT INTO conversations_message (public_id, conversation_id, position, direction, text, status,
                in_reply_to_id, is_fallback, details, created_at, provider_message_id, error, error_code)
            SELECT n.public_id, n.conversation, n.position, n.direction, n.text, n.status, n.in_reply_to,
                n.is_fallback, n.details, n.created_at, '', '', ''
            FROM {d.records("%(messages)s", MESSAGES, "n")}
            RETURNING id, conversation_id, position"""

        # The last messages of each conversation, and of the conversation what a turn needs. With a position: those
        # before it, and as many behind it, wherever it lies. The upper bound tells PostgreSQL that the range is narrow.
        self.context = f"""
            SELECT t.position, c.id, c.public_id, c.account_id, c.answered_position, ct.external_id,
                m.id, m.position, m.direction, m.status, m.text
            FROM {d.records("%(turns)s", TURNS, "t")} JOIN conversations_conversation c ON c.id = t.conversation
            JOIN conversations_contact ct ON ct.id = c.contact_id
            JOIN conversations_message m ON m.conversation_id = c.id
                AND m.position > COALESCE(t.position, c.message_count) - %(last)s
                AND m.position <= COALESCE(t.position + %(last)s, c.message_count)"""

        self.to_send = f"""
            SELECT m.id, m.public_id, m.status, m.text, c.public_id, c.account_id, ct.external_id, ct.closed_reason
            FROM {keys} JOIN conversations_message m ON m.id = k.id
            JOIN conversations_conversation c ON c.id = m.conversation_id
            JOIN conversations_contact ct ON ct.id = c.contact_id"""

        self.sent = f"""
            UPDATE conversations_message SET status = 'sent', sent_at = COALESCE(sent_at, %(now)s),
                provider_message_id = CASE WHEN s.given = '' THEN provider_message_id ELSE s.given END
            FROM (SELECT m.id AS moved, v.provider_message_id AS given FROM {d.records("%(sent)s", SENT, "v")}
                  JOIN conversations_message m ON m.id = v.id WHERE m.status = 'pending' {lowest_first}) s
            WHERE id = s.moved RETURNING id"""


def records(values: Sequence[dict[str, Any]]) -> str:
    """A list of records as the JSON parameter of one of these statements."""
    return json.dumps(values, ensure_ascii=False, separators=(",", ":"))


def rows(text: str, **parameters: Any) -> list[tuple[Any, ...]]:
    """Run one of these statements and return its rows."""
    with preparing_cursor() as cursor:
        cursor.execute(text, parameters)
        found: list[tuple[Any, ...]] = cursor.fetchall()
    return found


def as_uuid(value: UUID | str) -> UUID:
    """A UUID as it comes out of one of these statements: SQLite has it as text without dashes."""
    return value if isinstance(value, UUID) else UUID(value)


@cache
def _texts(d: Dialect) -> Statements:
    return Statements(d)


def statements() -> Statements:
    """The texts for the default database."""
    return _texts(dialect())
