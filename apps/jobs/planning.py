"""How PostgreSQL plans statements in a worker: once a connection, and on an index wherever there is one."""

from __future__ import annotations

from typing import Any

from django.db.backends.signals import connection_created


def plan_for_a_crew() -> None:
    """Let every connection that this worker process opens keep one plan a statement, on an index wherever there is one.

    A plan that was made while the tables were small would go on reading them whole when they have grown.
    """
    connection_created.connect(_plan, dispatch_uid="jobs.plan_for_a_crew")


def _plan(connection: Any, **kwargs: Any) -> None:
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET plan_cache_mode = force_generic_plan")
            # Off means "only where there is no index"; what such a scan then costs would start the JIT compiler.
            cursor.execute("SET enable_seqscan = off")
            cursor.execute("SET jit = off")
