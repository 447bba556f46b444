"""A thousand slow AI calls at once in one worker process need neither a thousand connections nor a thousand threads."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.survival.houses import on, pour
from tests.survival.outcomes import lost_nothing


def connections(house, pid):
    """Connections of the worker: sessions of PostgreSQL, or open handles of the SQLite file."""
    if house.setup.postgres:
        rows = house.setup.postgres.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE %s", ["thousand%"]
        )
        return int(rows[0][0])
    handles = Path(f"/proc/{pid}/fd")
    if not handles.exists():
        pytest.skip("counting a process' open files needs /proc")
    targets = []
    for handle in handles.iterdir():
        try:
            targets.append(handle.readlink().name)
        except OSError:
            continue  # closed meanwhile
    return targets.count("switchboard.sqlite3")


@on("embedded", "postgres-redis")
def test_a_thousand_conversations_wait_for_a_slow_ai_in_one_worker(house, run, figure):
    since = house.ledger.last_job()
    house.witness.behave("ai", delay=2)
    most = {"rss": 0.0, "connections": 0, "ai": 0, "threads": 0}
    accepted = pour(house, run, conversations=1000, each=1)
    begun = time.time()
    with house.worker("thousand", env={"APPLICATION_NAME": "thousand"}) as worker:
        started = time.time()

        def sample():
            most["rss"] = max(most["rss"], worker.process.rss_mb())
            most["connections"] = max(most["connections"], connections(house, worker.pid))
            most["ai"] = max(most["ai"], house.witness.open("ai"))
            most["threads"] = max(most["threads"], len(list(Path(f"/proc/{worker.pid}/task").iterdir())))
            return house.ledger.live() == 0

        with ThreadPoolExecutor(1) as pool:
            house.ledger.wait_until(lambda: pool.submit(sample).result(), 180, "1,000 answers")
    ended = max(call.ended or call.begun for call in house.witness.sends(run))
    verdict, unknown = lost_nothing(house, run, accepted, faults=[], since=since)
    assert not verdict.repeated
    assert not unknown
    assert 0 < most["connections"] <= 12
    assert most["ai"] > 100  # side by side, not one after the other
    figure(
        f"1,000 conversations, AI 2 s: drained {ended - begun:.1f} s after the worker's launch "
        f"({ended - started:.1f} s after it registered), at most {most['ai']} AI calls at once, "
        f"{most['rss']:.0f} MB, {most['connections']} connections, {most['threads']} threads"
    )
