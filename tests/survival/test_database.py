"""PostgreSQL cuts its connections, restarts, crashes: work goes on by itself."""

import time

import pytest
import requests

from tests.fakes.witness import Question
from tests.survival.houses import on, pour
from tests.survival.outcomes import lost_nothing
from tests.waiting import Moment, wait_until


def terminate(house):
    assert house.setup.postgres.terminate_connections(house.setup.database) > 0


def restart(house):
    house.setup.postgres.restart("fast")


def crash(house):
    house.setup.postgres.restart("immediate")


def ask_until_accepted(house, question, since):
    """What a caller does that is told 503: send it again."""

    def accepted():
        try:
            answer = house.post(question.text, contact=f"{question.run}-{question.conversation}")
        except requests.RequestException:
            return False
        assert answer.status_code in (202, 503), f"{answer.status_code}: {answer.text[:300]}"
        return answer.status_code == 202

    wait_until(accepted, 5, "a post to be accepted", since=since)


def stuck(house, run, accepted, since):
    """Conversations with something left to say that have said nothing since that moment."""
    sends = house.witness.sends(run)
    said = {Question.of(call.body["text"]) for call in sends}
    left = {question.conversation for question in accepted if question not in said}
    moved = {Question.of(call.body["text"]).conversation for call in sends if call.begun > since}
    return sorted(left - moved)


@on("postgres-redis")
@pytest.mark.parametrize("fault", [terminate, restart, crash])
def test_work_goes_on_by_itself_within_5_s(house, run, figure, fault):
    since = house.ledger.last_job()
    house.witness.behave("send", delay=0.1)
    with house.worker("one", wait=False) as one, house.worker("two") as two:
        house.wait_for_worker(one)
        accepted = pour(house, run, conversations=20, each=10)
        wait_until(lambda: len(house.witness.sends(run)) >= 40, 60, "40 of 200 replies")
        begun = time.time()
        fault(house)
        over, since_then = time.time(), Moment()
        last = Question(run, 99, 0)
        ask_until_accepted(house, last, since_then)
        found = wait_until(
            lambda: [call for call in house.witness.sends(run) if call.body["text"].endswith(last.text)],
            5,
            "a message posted after the fault to be answered",
            since=since_then,
        )
        recovery = found[0].begun - over
        # Not only the new one: every conversation that was cut off moves again.
        house.ledger.wait_until(
            lambda: stuck(house, run, accepted, over) == [],
            5,
            "all conversations to move again",
            since=since_then,
        )
        house.ledger.settled(90)
        assert one.process.alive
        assert two.process.alive
    # Any moment of the outage may have cut a send off from its commit.
    moments = [begun + step * (over - begun) / 10 for step in range(11)]
    verdict, unknown = lost_nothing(house, run, [*accepted, last], faults=moments, since=since)
    figure(
        f"away for {over - begun:.1f} s, a new message answered {recovery:.1f} s later; "
        f"lost 0, sent twice {len(verdict.repeated)}, unknown {len(unknown)}"
    )
