"""Stop, change BROKER_URL, start: what was waiting is done. All twelve ways between the four brokers, one after the
other, with 500 jobs waiting at each move; database and Redis stay, as they would."""

from itertools import pairwise

import pytest

from tests.brokers.brokers import NAMES
from tests.brokers.conftest import Brokers
from tests.brokers.site import Site
from tests.servers.redis import RedisServer

pytestmark = [pytest.mark.survival, pytest.mark.service, pytest.mark.xdist_group("brokers")]

TOUR = (
    *("embedded", "redis", "embedded", "rabbitmq", "embedded", "sqs", "redis"),
    *("rabbitmq", "redis", "sqs", "rabbitmq", "sqs", "embedded"),
)
WAITING = 500
LANES = 25


def test_the_tour_goes_every_way_once():
    moves = list(pairwise(TOUR))
    assert sorted(moves) == sorted((one, other) for one in NAMES for other in NAMES if one != other)


def test_what_was_waiting_is_done_wherever_one_moves(brokers: Brokers, witness, tmp_path, figure):
    database_url = f"sqlite:///{tmp_path / 'db.sqlite3'}"
    redis = RedisServer()
    sites = {
        name: Site(brokers.get(name), database_url, tmp_path / name, witness, redis_url=redis.url)
        for name in NAMES
    }
    try:
        for number, site in enumerate(sites.values()):
            site.prepare(tables=number == 0)
        for leaving, arriving in pairwise(sites[name] for name in TOUR):
            move(leaving, arriving)
    finally:
        for site in sites.values():
            site.close()
        redis.remove()
    figure(
        f"{len(TOUR) - 1} moves, {WAITING} jobs waiting at each: each done once and in the order of its lane"
    )


def move(leaving: Site, arriving: Site) -> None:
    """Make jobs where nobody works, with bells on the broker that is left; then work on the other."""
    way = f"{leaving.broker.name} to {arriving.broker.name}"
    run = leaving.make(WAITING, lanes=LANES)
    leaving.hand.wait_rung()
    assert arriving.marks(run) == [], way
    with arriving.worker(f"on-{arriving.broker.name}") as worker:
        arriving.ledger.settled(120)
        worker.process.terminate(25)
    done = arriving.marks(run)
    assert sorted(done) == list(range(WAITING)), way
    for lane in range(LANES):
        in_lane = [number for number in done if number % LANES == lane]
        assert in_lane == sorted(in_lane), f"{way}: lane {lane} was out of order"
    # What rang on the broker that was left still hangs there, and does no harm when one comes back.
