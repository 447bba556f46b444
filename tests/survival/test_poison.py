"""Tasks that kill or block their worker are found out, and nobody beside them suffers."""

import json
import os

from tests.servers.processes import run as run_command
from tests.servers.switchboard import PYTHON
from tests.survival.houses import on
from tests.waiting import wait_until

QUEUES = ("survival-bad", "survival-good")


def enqueue(house, task, count):
    """Jobs of `task`, made in a process of its own; their ids."""
    ids = json.loads(
        run_command([PYTHON, "-m", "tests.servers.enqueue", task, str(count)], env=house.env).splitlines()[-1]
    )
    assert len(ids) == count
    return ids


def states(house, ids):
    wanted = ",".join(map(str, ids))
    rows = house.ledger.rows(
        f"SELECT status, failure_reason, count(*) AS n FROM jobs_job WHERE id IN ({wanted}) GROUP BY 1, 2"
    )
    return {(row["status"], row["failure_reason"]): row["n"] for row in rows}


def children(house, worker):
    """Processes of the house that are neither a server of it nor the worker."""
    return [pid for pid in house.strays() if pid != worker]


@on("embedded", "postgres-redis")
def test_what_kills_its_worker_ends_as_poison_and_its_hundred_neighbours_complete(house, figure):
    house.witness.behave("mark", delay=0.1)
    neighbours = enqueue(house, "survival.neighbour", 100)
    bad = enqueue(house, "survival.exit_hard", 1) + enqueue(house, "survival.never_ends", 1)
    with house.worker("fragile", queues=QUEUES, supervised=True) as worker:
        house.ledger.wait_until(
            lambda: states(house, bad) == {("failed", "poison"): 2}, 120, "both to be found out"
        )
        house.ledger.settled(90)
        deaths = len(worker.deaths)
    assert states(house, neighbours) == {("completed", ""): 100}
    for job in bad:
        row = house.ledger.rows("SELECT crashes, closed_at FROM jobs_job WHERE id = %s", job)[0]
        assert row == {"crashes": 3, "closed_at": None}  # a dead letter that waits for a person
    assert deaths >= 2  # the third time each ran in a quarantine child, and the worker lived
    figure(f"os._exit and never ending: poison after {deaths} deaths of the worker; 100 neighbours completed")


@on("embedded")
def test_a_quarantine_child_does_not_outlive_its_worker(house):
    """Its job may never end; without its parent nobody would judge it, and it would run for ever."""
    (bad,) = enqueue(house, "survival.never_ends", 1)
    with house.worker("fragile", queues=QUEUES, supervised=True) as worker:

        def alone():
            row = house.ledger.rows("SELECT status, crashes FROM jobs_job WHERE id = %s", bad)[0]
            return row == {"status": "processing", "crashes": 2} and children(house, worker.pid)

        (child,) = house.ledger.wait_until(alone, 60, "the suspect to run in a child")
        worker.process.kill9()
        wait_until(lambda: child not in house.strays(), 20, "the child to follow its worker")
        wait_until(lambda: states(house, [bad]) == {("failed", "poison"): 1}, 60, "the next worker to judge")


@on("embedded", "postgres-redis")
def test_in_ten_kills_of_a_loaded_worker_nobody_is_taken_for_poison(house, figure):
    house.witness.behave("mark", hold=True)  # no call ends before the kill: each kill hits a loaded worker
    with house.worker("hunted", queues=QUEUES, supervised=True) as worker:
        neighbours: list[int] = []
        for _ in range(10):
            house.wait_for_worker(worker)
            process = worker.process
            neighbours += enqueue(house, "survival.neighbour", 25)
            house.ledger.wait_until(lambda: house.witness.held("mark") >= 25, 30, "25 jobs under way")
            process.kill9()
            wait_until(lambda process=process: worker.process is not process, 10, "the supervisor")
        house.witness.behave("mark", hold=False, delay=0)
        house.ledger.settled(120)
    assert states(house, neighbours) == {("completed", ""): len(neighbours)}
    marks = house.witness.calls("mark", who="neighbour")
    figure(
        f"ten kills under {len(neighbours)} neighbours: all completed, {len(marks)} calls on record in all"
    )
    assert os.getpid() not in {call.body["pid"] for call in marks}
