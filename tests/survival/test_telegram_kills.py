"""kill -9 of a worker in the middle of 200 messages on Telegram: in by the webhook, answered by an AI over HTTP, out by
the Bot API."""

import time

from tests.survival.messenger import TelegramRoad
from tests.survival.outcomes import lost_nothing
from tests.survival.roads import each_as_its_owner_chose, killed_in_the_middle


def test_a_killed_worker_loses_nothing_on_telegram(house, messenger, run, figure):
    since, road = house.ledger.last_job(), TelegramRoad(messenger, run)
    with killed_in_the_middle(road) as (accepted, moment, held):
        house.ledger.wait_until(lambda: not house.ledger.still_held(held), 5, "the jobs to be taken back")
        taken_back = time.time() - moment
        assert house.ledger.how_ended(held) == "dead"  # seen on the spot, not by its lease
        road.behave(hold=False, delay=0)
        with house.worker("victim", wait=False):  # its supervisor starts it again
            house.ledger.settled(90)
    verdict, unknown = lost_nothing(
        house, run, accepted, faults=[moment], since=since, sends=road.sends(), task=road.task
    )
    each_as_its_owner_chose(road, verdict, unknown, held)
    figure(
        f"{len(held)} jobs taken back {taken_back:.1f} s after kill -9; "
        f"lost 0, sent twice {len(verdict.repeated)}, unknown {len(unknown)}"
    )
