"""The two statements of a claim by fair shares (apps/jobs/sharing.py): who waits, and each one's oldest."""

from __future__ import annotations

from functools import cache

from apps.jobs.dialect import Dialect, dialect
from apps.jobs.statements import HEAD, PRIORITIES, WAITING, claiming, first_due


def _customer(table: str) -> str:
    """As the index `job_share` has it: jobs that are nobody's share as if they were one customer's."""
    return f"COALESCE({table}.customer_id, 0)"


def _waiting(d: Dialect, table: str) -> str:
    """What is in the index; parked jobs are not: what is behind in a lane makes nobody's turn longer."""
    return f"""{table}.task = %(task)s AND {table}.priority = {{priority}} AND {table}.status IN {WAITING}
        AND {table}.run_at < {d.parked}"""


def _due(d: Dialect, table: str) -> str:
    return f"{_waiting(d, table)} AND {table}.crashes < 2 AND {table}.run_at <= {d.now}"


class ShareStatements:
    """The texts for one dialect. Parameters are named, as in `Statements`."""

    def __init__(self, d: Dialect) -> None:
        at_best = "(SELECT n FROM best)"
        of_b = _customer("b")

        def next_customer(after: str) -> str:
            return f"""(SELECT {of_b} FROM jobs_job b WHERE {_waiting(d, "b").format(priority=at_best)}
                AND {of_b} > {after} ORDER BY {of_b}, b.run_at, b.id LIMIT 1)"""

        # From one customer to the next, a probe each: `ahead` from where the last list ended, then `behind` from the
        # beginning to there.
        self.waiting = f"""
            WITH RECURSIVE best AS MATERIALIZED (
                SELECT p.column1 AS n FROM (VALUES {PRIORITIES}) p
                WHERE {first_due("%(task)s", d)} IS NOT NULL ORDER BY p.column1 LIMIT 1),
            ahead(customer, place) AS (
                SELECT {next_customer("%(after)s")}, 1
                UNION ALL
                SELECT {next_customer("a.customer")}, a.place + 1 FROM ahead a
                WHERE a.customer IS NOT NULL AND a.place < %(customers)s),
            behind(customer, place) AS (
                SELECT {next_customer("-1")}, 1
                UNION ALL
                SELECT {next_customer("a.customer")}, a.place + 1 FROM behind a
                WHERE a.customer < %(after)s AND a.place < %(customers)s),
            turn AS (
                SELECT 0 AS lap, customer FROM ahead WHERE customer IS NOT NULL
                UNION ALL
                SELECT 1, customer FROM behind WHERE customer <= %(after)s
                ORDER BY 1, 2 LIMIT %(customers)s)
            SELECT turn.customer, COALESCE(plan.weight, 1),
                (SELECT count(*) FROM (SELECT b.id FROM jobs_job b
                    WHERE {_due(d, "b").format(priority=at_best)} AND {of_b} = turn.customer
                    ORDER BY b.run_at, b.id LIMIT %(bound)s) counted),
                {at_best}
            FROM turn LEFT JOIN accounts_customer c ON c.id = turn.customer
                LEFT JOIN accounts_plan plan ON plan.id = c.plan_id
            ORDER BY turn.lap, turn.customer"""

        if d.vendor == "postgresql":
            oldest = self._oldest(d, "j", f"j.id AS cid, {HEAD} AS ok")
            c = f"""share AS MATERIALIZED (
                    SELECT (v->>0)::bigint AS customer, (v->>1)::int AS n
                    FROM jsonb_array_elements(%(shares)s::jsonb) v),
                c AS MATERIALIZED (
                    SELECT o.* FROM share CROSS JOIN LATERAL ({oldest} LIMIT share.n {d.skip_locked}) o)"""
        else:  # no LATERAL, and LIMIT takes no column: as many of each as the largest share, then the first of them
            oldest = self._oldest(d, "b", "b.id")
            c = f"""share AS MATERIALIZED (
                    SELECT json_extract(value, '$[0]') AS customer, json_extract(value, '$[1]') AS n
                    FROM json_each(%(shares)s)),
                picked AS MATERIALIZED (
                    SELECT j.id, share.n,
                        row_number() OVER (PARTITION BY share.customer ORDER BY j.run_at, j.id) AS place
                    FROM share JOIN jobs_job j ON j.id IN ({oldest} LIMIT %(most)s)),
                c AS MATERIALIZED (
                    SELECT j.id AS cid, {HEAD} AS ok FROM picked JOIN jobs_job j ON j.id = picked.id
                    WHERE picked.place <= picked.n)"""
        self.claim = f"WITH {c} {claiming(d)}"

    @staticmethod
    def _oldest(d: Dialect, table: str, columns: str) -> str:
        """SQL for what a customer (share.customer) has due, oldest first."""
        due = _due(d, table).format(priority="%(priority)s")
        return f"""SELECT {columns} FROM jobs_job {table} WHERE {due} AND {_customer(table)} = share.customer
            ORDER BY {table}.run_at, {table}.id"""


@cache
def _for(d: Dialect) -> ShareStatements:
    return ShareStatements(d)


def share_statements() -> ShareStatements:
    """Return the texts for the default database."""
    return _for(dialect())
