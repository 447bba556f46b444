"""A worker that is started while something is away: it waits for the database, and does without the broker."""

from tests.survival.houses import on, pour
from tests.survival.outcomes import lost_nothing
from tests.waiting import wait_until


@on("postgres-redis")
def test_a_worker_started_without_its_database_begins_when_that_is_back(house, run):
    since = house.ledger.last_job()
    accepted = pour(house, run, conversations=2, each=2)
    house.setup.postgres.stop("immediate")
    try:
        with house.worker("early", wait=False) as worker:
            wait_until(
                lambda: "crew_waits" in worker.log.read_text(), 60, "the worker to ask for the database"
            )
            house.setup.postgres.start()
            house.wait_for_worker(worker)
            house.ledger.settled(60)
    finally:
        if not house.setup.postgres.is_running():
            house.setup.postgres.start()
    lost_nothing(house, run, accepted, faults=[], since=since)


@on("embedded", "postgres-rabbitmq")
def test_a_worker_started_without_its_broker_works(house, run):
    since = house.ledger.last_job()
    accepted = pour(house, run, conversations=2, each=2)
    house.setup.kill_broker()
    try:
        with house.worker("early"):
            house.ledger.settled(60)
    finally:
        house.setup.start_broker()
    lost_nothing(house, run, accepted, faults=[], since=since)
