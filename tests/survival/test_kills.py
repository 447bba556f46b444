"""kill -9 of a worker and of the broker, and a FLUSHALL, in the middle of 200 messages."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import requests

from tests.fakes.witness import Question
from tests.survival.houses import on, pour
from tests.survival.outcomes import lost_nothing
from tests.survival.roads import ApiRoad, each_as_its_owner_chose, killed_in_the_middle
from tests.waiting import wait_until


def test_a_killed_worker_loses_nothing_and_its_jobs_are_taken_back_within_5_s(house, run, figure):
    since = house.ledger.last_job()
    road = ApiRoad(house, run)
    with killed_in_the_middle(road) as (accepted, moment, held):
        house.ledger.wait_until(lambda: not house.ledger.still_held(held), 5, "the jobs to be taken back")
        taken_back = time.time() - moment
        assert house.ledger.how_ended(held) == "dead"  # seen on the spot, not by its lease
        house.witness.behave("send", hold=False, delay=0)
        with house.worker("victim", wait=False):  # its supervisor starts it again
            house.ledger.settled(90)
    verdict, unknown = lost_nothing(house, run, accepted, faults=[moment], since=since)
    each_as_its_owner_chose(road, verdict, unknown, held)
    figure(
        f"{len(held)} jobs taken back {taken_back:.1f} s after kill -9, same host; "
        f"lost 0, sent twice {len(verdict.repeated)}, unknown {len(unknown)}"
    )


def test_from_another_host_they_are_taken_back_within_20_s(house, run, figure):
    since = house.ledger.last_job()
    road = ApiRoad(house, run)
    with killed_in_the_middle(road, SWITCHBOARD_HOST_ID="elsewhere") as (accepted, moment, held):
        house.ledger.wait_until(lambda: not house.ledger.still_held(held), 20, "the leases to run out")
        taken_back = time.time() - moment
        assert house.ledger.how_ended(held) == "lease"
        house.witness.behave("send", hold=False, delay=0)
        house.ledger.settled(90)
    verdict, unknown = lost_nothing(house, run, accepted, faults=[moment], since=since)
    each_as_its_owner_chose(road, verdict, unknown, held)
    figure(
        f"{len(held)} jobs taken back {taken_back:.1f} s after kill -9, other host; "
        f"lost 0, sent twice {len(verdict.repeated)}, unknown {len(unknown)}"
    )


def test_a_killed_broker_loses_nothing_and_work_goes_on_without_it(house, run, figure):
    since = house.ledger.last_job()
    house.witness.behave("send", delay=0.05)
    with house.worker("one", wait=False) as one, house.worker("two"):
        house.wait_for_worker(one)
        accepted = ApiRoad(house, run).ask_both(each=5)
        wait_until(lambda: len(house.witness.sends(run)) >= 30, 60, "30 replies")
        moment = house.setup.kill_broker()
        try:
            accepted += ApiRoad(house, run).ask_both(
                each=5, start_place=5
            )  # a request never waits for the broker
            posted = time.time()
            house.ledger.settled(90)
            without = time.time() - posted
        finally:
            house.setup.start_broker()
        back = time.time()
        (last,) = pour(house, run, conversations=1, each=1, first=99)
        wait_until(
            lambda: any(last.text in call.body["text"] for call in house.witness.sends(run)), 5, "a new one"
        )
        first_after = time.time() - back
        house.ledger.settled(30)
    verdict, unknown = lost_nothing(house, run, [*accepted, last], faults=[], since=since)
    assert not verdict.repeated
    assert not unknown
    figure(
        f"broker killed at {moment:.0f}: the rest of 200 done {without:.1f} s after the last post without it; "
        f"first new reply {first_after:.1f} s after its return"
    )


def test_a_flush_costs_no_message_and_new_ones_run_within_5_s(house, run, figure):
    since = house.ledger.last_job()
    queues = ["incoming-messages", "ai-processing", "outgoing-messages", "recording-send"]
    # Jobs waiting, their bells in the broker, and nobody there yet.
    accepted = ApiRoad(house, run).ask_both(each=5)
    house.setup.flush(queues)
    house.witness.behave("send", delay=0.05)
    waits = []
    with house.worker("one"):
        wait_until(lambda: len(house.witness.sends(run)) >= 20, 60, "20 replies")
        house.setup.flush(queues)  # under load
        accepted += ApiRoad(house, run).ask_both(each=5, start_place=5)
        house.ledger.settled(90)
        for number in range(5):  # and between the commit and the claim
            house.setup.flush(queues)
            posted = time.time()
            (new,) = pour(house, run, conversations=1, each=1, first=100 + number)
            house.setup.flush(queues)
            answered = wait_until(
                lambda new=new: [
                    call for call in house.witness.sends(run) if call.body["text"].endswith(new.text)
                ],
                5,
                "a message posted between two flushes to be answered",
            )
            waits.append(answered[0].begun - posted)
            accepted.append(new)
        house.ledger.settled(30)
    verdict, unknown = lost_nothing(house, run, accepted, faults=[], since=since)
    assert not verdict.repeated
    assert not unknown
    figure(
        f"205 messages over 12 flushes: lost 0; new ones answered {max(waits):.1f} s after a flush at the latest"
    )


def test_ten_kills_at_any_moment(house, run, figure):
    """No hold, no choice of the moment: what the exact kills above did not think of."""
    since, moments = house.ledger.last_job(), []
    house.witness.behave("send", delay=0.05)
    house.witness.behave("ai", delay=0.05)
    with house.worker("hunted", supervised=True) as hunted, house.worker("other"):
        accepted = []
        for round_ in range(10):
            accepted += pour(house, run, conversations=10, each=2, start_place=2 * round_)
            before = hunted.process
            house.wait_for_worker(hunted)
            wait_until(
                lambda: house.witness.open("send") or not house.ledger.live(), 20, "something under way"
            )
            moments.append(before.kill9())
            wait_until(lambda before=before: hunted.process is not before, 10, "the supervisor")
        house.witness.behave("ai", delay=0)
        house.ledger.settled(120)
    verdict, unknown = lost_nothing(house, run, accepted, faults=moments, since=since)
    assert not unknown  # this account sends again
    figure(f"ten kills in 200 messages: lost 0, sent twice {len(verdict.repeated)}")


@on("embedded", "postgres-redis")
def test_what_a_killed_web_process_had_accepted_is_answered(house, run, figure):
    since, accepted, told = house.ledger.last_job(), [], threading.Lock()

    def ask_until_it_dies(conversation):
        with requests.Session() as session:
            session.trust_env = False
            session.headers.update(house.session.headers)
            for place in range(1000):
                question = Question(run, conversation, place)
                try:
                    house.ask(question, session=session)
                except requests.RequestException:
                    return question  # nobody knows whether it was taken
                with told:
                    accepted.append(question)
            raise AssertionError("the web process outlived a thousand posts")

    with ThreadPoolExecutor(8) as pool:
        asking = [pool.submit(ask_until_it_dies, conversation) for conversation in range(8)]
        wait_until(lambda: len(accepted) >= 100, 30, "100 posts")
        house.kill_web()
        in_doubt = [asked.result() for asked in asking]
    house.start_web()
    with house.worker("one"):
        house.ledger.settled(60)
    taken = [
        q for q in in_doubt if any(call.body["text"].endswith(q.text) for call in house.witness.sends(run))
    ]
    lost_nothing(house, run, accepted + taken, faults=[], since=since)
    figure(
        f"web killed after {len(accepted)} posts answered 202: lost 0 ({len(taken)} of 8 cut off were taken too)"
    )
