"""Tasks that kill or block their worker are found out, and nobody beside them suffers."""

import json
import os

import pytest

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


@on("embedded", "postgres-redis")
@pytest.mark.parametrize("task", ["survival.exit_hard", "survival.never_ends"])
def test_what_kills_its_worker_ends_as_poison_and_its_hundred_neighbours_complete(house, task, figure):
    house.witness.behave("mark", delay=0.2)
    neighbours = enqueue(house, "survival.neighbour", 100)
    (bad,) = enqueue(house, task, 1)
    with house.worker("fragile", queues=QUEUES, supervised=True) as worker:
        wait_until(lambda: states(house, [bad]) == {("failed", "poison"): 1}, 90, f"{task} to be found out")
        house.ledger.settled(90)
        deaths = len(worker.deaths)
    assert states(house, neighbours) == {("completed", ""): 100}
    job = house.ledger.rows("SELECT crashes, closed_at FROM jobs_job WHERE id = %s", bad)[0]
    assert job == {"crashes": 3, "closed_at": None}  # a dead letter that waits for a person
    assert deaths >= 2  # the third time it ran in a quarantine child, and the worker lived
    figure(f"{task}: poison after {deaths} deaths of the worker; 100 neighbours completed")


@on("embedded", "postgres-redis")
def test_in_ten_kills_of_a_loaded_worker_nobody_is_taken_for_poison(house, figure):
    house.witness.behave("mark", delay=0.3)
    with house.worker("hunted", queues=QUEUES, supervised=True) as worker:
        neighbours: list[int] = []
        for _ in range(10):
            house.wait_for_worker(worker)
            process = worker.process
            if house.ledger.live() < 50:
                neighbours += enqueue(house, "survival.neighbour", 50)
            wait_until(lambda: house.witness.open("mark"), 30, f"jobs under way\n{house.ledger.story()}")
            process.kill9()
            wait_until(lambda process=process: worker.process is not process, 10, "the supervisor")
        house.witness.behave("mark", delay=0)
        house.ledger.settled(120)
    assert states(house, neighbours) == {("completed", ""): len(neighbours)}
    marks = house.witness.calls("mark", who="neighbour")
    figure(
        f"ten kills under {len(neighbours)} neighbours: all completed, {len(marks)} calls on record in all"
    )
    assert os.getpid() not in {call.body["pid"] for call in marks}
