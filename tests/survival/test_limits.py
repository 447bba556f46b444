"""A queue's rate and concurrency hold for all worker processes together, as seen from outside."""

from tests.fakes.witness import Verdict, judge
from tests.survival.houses import on, pour

QUEUE = "recording-send"


def limit(house, **columns):
    names, marks = ", ".join(columns), ", ".join(["%s"] * len(columns))
    house.ledger.rows(
        f"INSERT INTO jobs_queuestate (queue, {names}) VALUES (%s, {marks})", QUEUE, *columns.values()
    )


def lift(house):
    house.ledger.rows("DELETE FROM jobs_queuestate")


def most_in(seconds, moments):
    """The most of these moments that fall into any stretch of so many seconds."""
    return max(sum(first <= moment < first + seconds for moment in moments) for first in moments)


@on("embedded", "postgres-redis")
def test_two_workers_together_keep_to_a_rate(house, run, figure):
    since = house.ledger.last_job()
    limit(house, rate="20/s", concurrency=None)
    try:
        with house.worker("one"), house.worker("two"):
            asked = pour(house, run, conversations=20, each=6)
            house.ledger.settled(60)
    finally:
        lift(house)
    sends = house.witness.sends(run)
    verdict = judge(asked, sends)
    assert verdict == Verdict([], [], [], {})
    moments = sorted(call.begun for call in sends)
    # 20 a second, and a tenth of a second's worth at once; the stand-in's clock is read a moment later.
    assert most_in(1.0, moments) <= 20 + 2 + 2
    assert all(
        job["attempts"] == 1
        for job in house.ledger.jobs("delivery.send_recording", since=since)
        if job["status"] == "completed"
    )
    spread = moments[-1] - moments[0]
    figure(
        f"120 sends at 20/s by two workers took {spread:.1f} s, at most {most_in(1.0, moments)} in a second"
    )


@on("embedded", "postgres-redis")
def test_two_workers_together_keep_to_a_concurrency(house, run, figure):
    limit(house, rate="", concurrency=3)
    house.witness.behave("send", delay=0.05)
    try:
        with house.worker("one"), house.worker("two"):
            asked = pour(house, run, conversations=20, each=3)
            house.ledger.settled(60)
    finally:
        lift(house)
    sends = house.witness.sends(run)
    verdict = judge(asked, sends)
    assert verdict == Verdict([], [], [], {})
    most = max(sum(other.begun <= call.begun < other.ended for other in sends) for call in sends)
    assert most <= 3
    figure(f"60 sends by two workers, at most {most} at once")
