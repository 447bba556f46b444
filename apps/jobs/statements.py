"""Every statement of the ledger, as text. `apps/jobs/ledger.py` runs them.

What holds them together (docs/architecture.md tells why, with the races that were provoked):

- HEAD: a job with a lane may be claimed only when nobody older of its lane is alive and nobody of it is running.
- What is not the head is parked (`run_at` = 9000-01-01), so that a claim reads each blocked job once, ever.
- Every write to a claimed job says `(id, fence)` and `status = 'processing'`: rows that don't match are somebody
  else's by now.
- The next of a lane is woken after the commit, by a statement with a snapshot of its own.
"""

from __future__ import annotations

from functools import cache

from apps.jobs.dialect import Dialect, dialect

WAITING = "('pending', 'retry')"
LIVE = "('pending', 'retry', 'processing')"
LARGEST_CLAIM = 500
"""Rows of one claim. Standing in the text it tells PostgreSQL's planner that they are few: its generic plan takes an
unknown LIMIT for a tenth of what waits, and would rather read a whole index than look up so many rows."""
PRIORITIES = ", ".join(f"({n})" for n in range(10))

HEAD = f"""(j.lane IS NULL OR (
    NOT EXISTS (SELECT 1 FROM jobs_job e WHERE e.lane = j.lane AND e.status IN {LIVE} AND e.id < j.id)
    AND NOT EXISTS (SELECT 1 FROM jobs_job r WHERE r.lane = j.lane AND r.status = 'processing')))"""

CLAIMED_COLUMNS = (
    "id, status, task, queue, fence, payload, payload_version, attempts, max_retries, crashes, lane, customer_id, "
    "priority, correlation_id, result, parent_id, public_id, time_limit"
)
NEW_JOB_COLUMNS = {
    "task": "text",
    "queue": "text",
    "payload": "jsonb",
    "priority": "smallint",
    "max_retries": "smallint",
    "lane": "text",
    "dedupe_key": "text",
    "time_limit": "float8",
    "customer": "bigint",
    "correlation_id": "text",
    "public_id": "uuid",
    "parent": "bigint",
    "redrive_of": "bigint",
    "metadata": "jsonb",
    "run_at": "timestamptz",
    "delay": "float8",
    "expires_in": "float8",
    "wanted": "boolean",
}
CLAIMED_OF_J = ", ".join(f"j.{column}" for column in CLAIMED_COLUMNS.split(", "))


def first_due(task: str, d: Dialect) -> str:
    """SQL for the oldest due job of `task` (SQL) and priority p: one probe of the index, whatever waits.

    A bare EXISTS would be a join to PostgreSQL, which then reads all that is due, or the whole table.
    """
    return f"""(SELECT b.id FROM jobs_job b WHERE b.task = {task} AND b.priority = p.column1
        AND b.status IN {WAITING} AND b.crashes < 2 AND b.run_at <= {d.now} ORDER BY b.run_at, b.id LIMIT 1)"""


def _times(d: Dialect) -> str:
    return f"""{d.seconds(d.now, "due_at")} AS waited, {d.seconds("expires_at", d.now)} AS time_left"""


def claiming(d: Dialect) -> str:
    """The end of a claim: of the rows in `c` (cid, ok), heads of their lanes begin, and the others are parked."""
    return f"""UPDATE jobs_job SET
                status = CASE WHEN c.ok THEN 'processing' ELSE status END,
                fence = fence + CASE WHEN c.ok THEN 1 ELSE 0 END,
                worker_id = CASE WHEN c.ok THEN %(worker)s ELSE worker_id END,
                started_at = CASE WHEN c.ok THEN {d.now} ELSE started_at END,
                lease_until = CASE WHEN c.ok THEN {d.plus(d.now, "time_limit + 15")} ELSE lease_until END,
                run_at = CASE WHEN c.ok THEN run_at ELSE {d.parked} END
            FROM (SELECT cid, ok FROM c LIMIT {LARGEST_CLAIM}) c WHERE jobs_job.id = c.cid
            RETURNING {CLAIMED_COLUMNS}, {_times(d)}"""


class Statements:
    """The texts for one dialect. Parameters are named; lists travel as JSON, so that a text is planned once."""

    def __init__(self, d: Dialect) -> None:
        taken = f"""status = 'processing', fence = fence + 1, worker_id = %(worker)s, started_at = {d.now},
            sending_at = NULL, lease_until = {d.plus(d.now, "time_limit + 15")}"""
        times = _times(d)

        # The best due priority first; within it the oldest. A priority each time: (priority, run_at) in one
        # index range could not be bounded by run_at.
        self.claim = f"""
            WITH best AS MATERIALIZED (
                SELECT p.column1 AS n FROM (VALUES {PRIORITIES}) p
                WHERE {first_due("%(task)s", d)} IS NOT NULL
                ORDER BY p.column1 LIMIT 1),
            c AS MATERIALIZED (
                SELECT j.id AS cid, {HEAD} AS ok FROM jobs_job j
                WHERE j.task = %(task)s AND j.priority = (SELECT n FROM best) AND j.status IN {WAITING}
                  AND j.crashes < 2 AND j.run_at <= {d.now}
                ORDER BY j.run_at, j.id LIMIT %(places)s {d.skip_locked})
            {claiming(d)}"""

        # One job by its id: quarantine, drain. The same conditions.
        self.claim_one = f"""
            UPDATE jobs_job AS j SET {taken.replace("fence + 1", "j.fence + 1").replace("time_limit", "j.time_limit")}
            WHERE j.id = %(id)s AND j.status IN {WAITING} AND j.run_at <= {d.now} AND {HEAD}
            RETURNING {CLAIMED_COLUMNS}, {times}"""

        self.claim_alone = "SELECT pg_try_advisory_xact_lock(hashtext('switchboard:' || %(queue)s))"
        self.in_flight = "SELECT count(*) FROM jobs_job WHERE status = 'processing' AND queue = %(queue)s"

        self.suspects = f"""
            SELECT j.id FROM jobs_job j WHERE j.task IN ({{tasks}}) AND j.status IN {WAITING} AND j.crashes >= 2
              AND j.run_at <= {d.now} AND {HEAD} ORDER BY j.run_at, j.id LIMIT 1"""

        # Which of these tasks have something due. A probe per task and priority.
        self.tasks_with_due = f"""
            SELECT t.column1 FROM (VALUES {{tasks}}) t WHERE EXISTS (
                SELECT 1 FROM (VALUES {PRIORITIES}) p WHERE {first_due("t.column1", d)} IS NOT NULL)"""

        self.due = f"""
            SELECT j.id FROM jobs_job j WHERE j.status IN {WAITING} AND j.run_at <= {{until}} AND {HEAD}
            ORDER BY j.priority, j.run_at, j.id LIMIT 1"""

        # The lease is asked again here: a process that was stopped for longer must not begin to send.
        self.mark_sending = f"""
            UPDATE jobs_job SET sending_at = {d.now}
            WHERE (id, fence) IN {d.pairs} AND status = 'processing' AND worker_id = %(worker)s
              AND EXISTS (SELECT 1 FROM jobs_worker w WHERE w.id = %(worker)s AND w.ended_at IS NULL
                          AND w.lease_until > {d.now})
            RETURNING id, fence"""

        self.complete = f"""
            UPDATE jobs_job SET status = 'completed', attempts = attempts + 1, finished_at = {d.now},
                lease_until = NULL
            WHERE (id, fence) IN {d.pairs} AND status = 'processing' RETURNING id, fence"""
        # Its worker was thought gone, and nobody has claimed the job since: what it brings is the truth after all.
        self.complete_late = f"""
            UPDATE jobs_job SET status = 'completed', attempts = {d.greatest}(attempts, 1), finished_at = {d.now},
                failure_reason = '', error = '', error_code = ''
            WHERE (id, fence) IN {d.pairs} AND (status = 'retry'
                OR (status = 'failed' AND failure_reason = 'unknown' AND closed_at IS NULL)) RETURNING id, fence"""
        self.keep_result = "UPDATE jobs_job SET result = %(result)s WHERE id = %(id)s AND fence = %(fence)s"

        self.put_back = f"""
            UPDATE jobs_job SET status = 'retry', attempts = attempts + %(spent)s, crashes = crashes + %(crashed)s,
                run_at = {d.plus(d.now, "%(delay)s")}, lease_until = NULL, sending_at = NULL,
                error = %(error)s, error_code = %(code)s, result = %(result)s
            WHERE id = %(id)s AND fence = %(fence)s AND status = 'processing' RETURNING id"""
        self.fail = f"""
            UPDATE jobs_job SET status = 'failed', failure_reason = %(reason)s, attempts = attempts + %(spent)s,
                crashes = crashes + %(crashed)s, finished_at = {d.now}, lease_until = NULL,
                error = %(error)s, error_code = %(code)s
            WHERE id = %(id)s AND fence = %(fence)s AND status = 'processing' RETURNING id"""
        # Untouched: its call has not begun. As if it had never been claimed, but for the fence.
        self.hand_back = f"""
            UPDATE jobs_job SET status = 'retry', run_at = {d.now}, lease_until = NULL
            WHERE (id, fence) IN {d.pairs} AND status = 'processing' AND sending_at IS NULL RETURNING id"""

        # A backoff that is running is kept; a job that is due but not yet parked is touched too: that closes
        # the race with a claim that has read it and is about to park it.
        self.promote = f"""
            UPDATE jobs_job SET run_at = {d.now}
            WHERE status IN {WAITING} AND (run_at = {d.parked} OR run_at <= {d.now}) AND id IN (
                SELECT (SELECT min(n.id) FROM jobs_job n WHERE n.lane = l.column1 AND n.status IN {LIVE})
                FROM {d.lanes} l)
            RETURNING task"""
        self.promote_orphans = f"""
            UPDATE jobs_job SET run_at = {d.now} WHERE id IN (
                SELECT j.id FROM jobs_job j WHERE j.status IN {WAITING} AND j.lane IS NOT NULL
                  AND j.run_at = {d.parked} AND {HEAD} LIMIT 1000 {d.skip_locked})
            RETURNING task"""

        self.running = f"""
            SELECT {CLAIMED_COLUMNS}, {times} FROM jobs_job
            WHERE id = %(id)s AND worker_id = %(worker)s AND status = 'processing'"""
        # Suspects run in a child, under its parent's name.
        self.held_unmarked = f"""
            SELECT {CLAIMED_COLUMNS}, {times} FROM jobs_job
            WHERE worker_id = %(worker)s AND status = 'processing' AND sending_at IS NULL AND crashes < 2"""
        self.abandoned = f"""
            SELECT {CLAIMED_OF_J}, {times}, j.sending_at IS NOT NULL AS sending, w.ended_how
            FROM jobs_job j LEFT JOIN jobs_worker w ON w.id = j.worker_id
            WHERE j.status = 'processing' AND (w.ended_at IS NOT NULL
              OR ((%(overdue)s = 1 OR w.id IS NULL) AND j.lease_until < {d.now}))
            ORDER BY j.id + 0 LIMIT 500 {d.of_jobs_skip_locked}"""
        # Failed without a claim: not through the lane's index: a parked
        # job may expire while another of its lane runs.
        self.expired = f"""
            SELECT j.id FROM jobs_job j WHERE j.status IN {WAITING} AND j.expires_at <= {d.now}
            ORDER BY j.expires_at LIMIT 200 {d.skip_locked}"""
        self.bury_waiting = f"""
            UPDATE jobs_job SET status = 'failed', failure_reason = %(reason)s, finished_at = {d.now},
                fence = fence + 1, error = %(error)s, error_code = %(code)s
            WHERE id IN ({{ids}}) AND status IN {WAITING} RETURNING {CLAIMED_COLUMNS}, {times}"""

        self.register_worker = f"""
            INSERT INTO jobs_worker (host, hostname, pid, process_start, queues, started_at, heartbeat_at, lease_until)
            VALUES (%(host)s, %(hostname)s, %(pid)s, %(process_start)s, %(queues)s, {d.now}, {d.now},
                    {d.plus(d.now, "%(lease)s")}) RETURNING id"""
        self.heartbeat = f"""
            UPDATE jobs_worker SET heartbeat_at = {d.now}, lease_until = {d.plus(d.now, "%(lease)s")}
            WHERE id = %(worker)s AND ended_at IS NULL RETURNING id"""
        self.end_worker = f"""
            UPDATE jobs_worker SET ended_at = {d.now}, ended_how = %(how)s
            WHERE id = %(worker)s AND ended_at IS NULL RETURNING id"""
        self.expire_leases = f"""
            UPDATE jobs_worker SET ended_at = {d.now}, ended_how = 'lease'
            WHERE ended_at IS NULL AND lease_until < {d.now} RETURNING id"""
        self.take_seat = f"""
            INSERT INTO jobs_seat (name, free_at) VALUES (%(name)s, {d.plus(d.now, "%(seconds)s")})
            ON CONFLICT (name) DO UPDATE SET free_at = excluded.free_at WHERE jobs_seat.free_at <= {d.now}
            RETURNING name"""

        self.count = f"""
            INSERT INTO jobs_jobcounter (minute, worker, task, customer, completed, failed, retried, postponed,
                                         run_ms, run_ms_max, wait_ms, wait_ms_max)
            VALUES {{rows}}
            ON CONFLICT (minute, worker, task, customer) DO UPDATE SET
                completed = jobs_jobcounter.completed + excluded.completed,
                failed = jobs_jobcounter.failed + excluded.failed,
                retried = jobs_jobcounter.retried + excluded.retried,
                postponed = jobs_jobcounter.postponed + excluded.postponed,
                run_ms = jobs_jobcounter.run_ms + excluded.run_ms,
                run_ms_max = {d.greatest}(jobs_jobcounter.run_ms_max, excluded.run_ms_max),
                wait_ms = jobs_jobcounter.wait_ms + excluded.wait_ms,
                wait_ms_max = {d.greatest}(jobs_jobcounter.wait_ms_max, excluded.wait_ms_max)"""
        self.count_row = f"({d.minute}, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"

        earlier = f"{d.least}(jobs_job.run_at, excluded.run_at)"
        later = f"{d.least}(excluded.run_at, {d.plus('jobs_job.created_at', '30')})"
        self.insert = self._insert(d, f"run_at = {earlier}")
        # Its age counts from when it is due: as long as that has not come, it moves along.
        not_yet = f"jobs_job.due_at > {d.now}"
        new_age = d.plus(later, d.seconds("excluded.expires_at", "excluded.run_at"))
        self.insert_debounced = self._insert(
            d,
            f"run_at = {later}, due_at = CASE WHEN {not_yet} THEN {later} ELSE jobs_job.due_at END, "
            f"expires_at = CASE WHEN {not_yet} THEN {new_age} ELSE jobs_job.expires_at END",
        )
        self.now = d.now

    @staticmethod
    def _insert(d: Dialect, found: str) -> str:
        """All rows in one parameter: many parameters would cost more to put in than the rows cost to store."""
        # A lane that is busy is seen here, in the same snapshot: then the job waits like any other.
        # A LIMITed probe, not NOT EXISTS: PostgreSQL would hash all live jobs for it, reading the whole table.
        # MATERIALIZED: else `taken` would be asked again at each of its places below.
        source = f"""SELECT n.*, n.wanted AND (n.lane IS NULL OR (
                SELECT b.id FROM jobs_job b WHERE b.lane = n.lane AND b.status IN {LIVE} LIMIT 1) IS NULL) AS taken
                FROM {d.records("%(rows)s", NEW_JOB_COLUMNS, "n")}"""
        due = f"COALESCE(m.run_at, CASE WHEN m.delay > 0 THEN {d.plus(d.now, 'm.delay')} ELSE {d.now} END)"

        def if_taken(then: str, otherwise: str) -> str:
            return f"CASE WHEN m.taken THEN {then} ELSE {otherwise} END"

        return f"""
            WITH m AS MATERIALIZED ({source})
            INSERT INTO jobs_job (task, queue, payload, payload_version, priority, max_retries, lane, dedupe_key,
                time_limit, customer_id, correlation_id, public_id, parent_id, redrive_of_id, metadata, created_at,
                run_at, due_at, expires_at, status, fence, worker_id, started_at, lease_until)
            SELECT m.task, m.queue, m.payload, 1, m.priority, m.max_retries, m.lane, m.dedupe_key,
                m.time_limit, m.customer, m.correlation_id, m.public_id, m.parent, m.redrive_of, m.metadata, {d.now},
                {due}, {due}, {d.plus(due, "m.expires_in")}, {if_taken("'processing'", "'pending'")},
                {if_taken("1", "0")}, {if_taken("CAST(%(worker)s AS bigint)", "NULL")}, {if_taken(d.now, "NULL")},
                {if_taken(d.plus(d.now, "m.time_limit + 15"), "NULL")}
            FROM m WHERE true
            ON CONFLICT (dedupe_key) WHERE dedupe_key IS NOT NULL AND fence = 0 AND status = 'pending'
            DO UPDATE SET {found}
            RETURNING id, fence"""


@cache
def _for(d: Dialect) -> Statements:
    return Statements(d)


def statements() -> Statements:
    """Return the texts for the default database."""
    return _for(dialect())


def numbers(ids: list[int]) -> str:
    return ", ".join(str(int(number)) for number in ids)
