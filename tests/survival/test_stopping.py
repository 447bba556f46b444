"""SIGTERM when something hangs: out within 25 s all the same, and nobody pays for it who could be spared.

The 25 s are the promise itself, so here they are measured."""

import signal
import threading

import pytest

from tests.fakes.witness import Question
from tests.survival.doors import doors
from tests.survival.houses import on, pour
from tests.survival.outcomes import lost_nothing
from tests.survival.test_poison import enqueue, states
from tests.waiting import wait_until

PROMISE = 25


def spent(house, since):
    """What the jobs that wait have paid: attempts and crashes; and how many run."""
    (found,) = house.ledger.rows(
        "SELECT coalesce(sum(attempts), 0) AS attempts, coalesce(sum(crashes), 0) AS crashes,"
        " sum(CASE WHEN status = 'processing' THEN 1 ELSE 0 END) AS running FROM jobs_job"
        " WHERE id > %s AND status IN ('pending', 'processing', 'retry')",
        since,
    )
    return int(found["attempts"]), int(found["crashes"]), int(found["running"] or 0)


def out(worker):
    seconds = worker.process.terminate(PROMISE)
    assert worker.process.returncode == 0, worker.log.read_text()[-3000:]
    return seconds


@on("embedded", "postgres-redis")
def test_a_call_in_a_thread_that_takes_a_minute(house, figure):
    since = house.ledger.last_job()
    with house.worker("leaving") as leaving:
        before = len(house.witness.calls("mark", who="sits"))
        (job,) = enqueue(house, "survival.sits", 1)
        house.ledger.wait_until(
            lambda: len(house.witness.calls("mark", who="sits")) > before, 30, "the call to begin"
        )
        seconds = out(leaving)
    assert spent(house, since) == (0, 0, 0)
    assert states(house, [job]) == {("retry", ""): 1}
    figure(f"out {seconds:.1f} s after SIGTERM in the middle of a sync call of 60 s")


@on("postgres-redis")
def test_a_send_that_hangs_longer_than_a_stop_takes(house, run, figure):
    """Its outcome is unknown, truly; nothing else is."""
    since = house.ledger.last_job()
    house.witness.behave("send", hold=True)
    with house.worker("leaving") as leaving:
        pour(house, run, conversations=3, each=1, account="ask_person")
        wait_until(lambda: house.witness.held("send") == 3, 30, "three sends that hang")
        seconds = out(leaving)
    house.witness.behave("send", hold=False)
    with house.worker("next"):
        house.ledger.settled(60)
    letters = house.ledger.rows(
        "SELECT failure_reason, attempts, crashes, error FROM jobs_job WHERE id > %s AND status = 'failed'",
        since,
    )
    assert [(one["failure_reason"], one["crashes"]) for one in letters] == [("unknown", 0)] * 3
    assert all("its worker stopped" in one["error"] for one in letters)
    house.ledger.rows(
        "UPDATE jobs_job SET closed_at = CURRENT_TIMESTAMP WHERE status = 'failed' AND id > %s", since
    )
    figure(f"out {seconds:.1f} s after SIGTERM with three sends that hang; 3 unknown")


@on("postgres-redis")
@pytest.mark.parametrize("ends", [True, False], ids=["that ends", "that hangs"])
def test_a_suspect_in_the_quarantine_child(house, figure, ends):
    since = house.ledger.last_job()
    house.witness.behave("mark", hold=True)
    (job,) = enqueue(house, "survival.neighbour", 1)
    house.ledger.rows("UPDATE jobs_job SET crashes = 2, fence = 2 WHERE id = %s", job)
    with house.worker("leaving") as leaving:
        wait_until(lambda: house.witness.held("mark") == 1, 60, "the suspect to run in its child")
        assert house.witness.calls("mark", who="neighbour")[-1].body["pid"] != leaving.pid
        leaving.process.signal(signal.SIGTERM)
        if ends:
            house.witness.behave("mark", hold=False)
        seconds = out(leaving)
    (row,) = house.ledger.rows("SELECT status, attempts, crashes FROM jobs_job WHERE id = %s", job)
    if ends:
        assert row["status"] == "completed"
    else:
        house.witness.behave("mark", hold=False)
        with house.worker("next"):
            house.ledger.settled(60)
        (row,) = house.ledger.rows("SELECT status, attempts, crashes FROM jobs_job WHERE id = %s", job)
        assert (row["status"], row["crashes"]) == ("completed", 2)
    assert spent(house, since) == (0, 0, 0)
    figure(f"out {seconds:.1f} s after SIGTERM with a suspect {'that ended' if ends else 'that hung'}")


@on("postgres-redis", "postgres-rabbitmq")
def test_while_the_broker_is_away(house, run, figure):
    since = house.ledger.last_job()
    house.witness.behave("send", delay=1)
    with house.worker("leaving") as leaving:
        accepted = pour(house, run, conversations=10, each=3)
        wait_until(lambda: len(house.witness.sends(run)) >= 10, 60, "10 sends")
        house.setup.kill_broker()
        try:
            seconds = out(leaving)
        finally:
            house.setup.start_broker()
    attempts, crashes, running = spent(house, since)
    assert (attempts, crashes, running) == (0, 0, 0)
    house.witness.behave("send", delay=0)
    with house.worker("next"):
        house.ledger.settled(60)
    verdict, unknown = lost_nothing(house, run, accepted, faults=[], since=since)
    assert not verdict.repeated
    assert not unknown
    figure(f"out {seconds:.1f} s after SIGTERM with the broker gone")


@on("postgres-redis")
@pytest.mark.parametrize("frozen", [False, True], ids=["stopped", "frozen"])
def test_while_the_database_is_away(house, run, figure, frozen):
    """Nothing can be handed back; the next worker takes it, and nothing is lost."""
    since = house.ledger.last_job()
    postgres = house.setup.postgres
    house.witness.behave("ai", hold=True)
    with house.worker("leaving") as leaving:
        accepted = pour(house, run, conversations=10, each=1)
        wait_until(lambda: house.witness.held("ai") == 10, 30, "ten turns under way")
        postgres.freeze() if frozen else postgres.stop("fast")
        try:
            seconds = out(leaving)
        finally:
            postgres.thaw() if frozen else postgres.start()
    house.witness.behave("ai", hold=False)
    with house.worker("next"):
        house.ledger.settled(90)
    verdict, unknown = lost_nothing(house, run, accepted, faults=[], since=since)
    assert not verdict.repeated
    assert not unknown
    figure(f"out {seconds:.1f} s after SIGTERM with the database {'frozen' if frozen else 'stopped'}")


STARTING = {
    "before it can hear": lambda log: True,
    "as it enters the ledger": lambda log: "crew_started" in log,
    "as it is ready": lambda log: "ready." in log,
}


@on("postgres-redis")
def test_during_start_up(house, run, figure):
    """With work that waits for it, so that it claims at once."""
    since = house.ledger.last_job()
    house.witness.behave("ai", delay=1)
    accepted = pour(house, run, conversations=10, each=2)
    slowest = 0.0
    for number, (moment, reached) in enumerate(STARTING.items()):
        with house.worker(f"early{number}", wait=False) as worker:
            wait_until(lambda worker=worker, reached=reached: reached(worker.log.read_text()), 60, moment)
            slowest = max(slowest, worker.process.terminate(PROMISE))
            assert worker.process.returncode == 0 or (
                number == 0 and worker.process.returncode == -signal.SIGTERM
            )
        assert spent(house, since) == (0, 0, 0)
    house.witness.behave("ai", delay=0)
    with house.worker("next"):
        house.ledger.settled(60)
    verdict, unknown = lost_nothing(house, run, accepted, faults=[], since=since)
    assert not verdict.repeated
    assert not unknown
    house.setup.postgres.stop("fast")
    try:
        with house.worker("waiting", wait=False) as worker:
            wait_until(lambda: "crew_waits" in worker.log.read_text(), 60, "it to wait for the database")
            slowest = max(slowest, out(worker))
    finally:
        house.setup.postgres.start()
    figure(f"out {slowest:.1f} s after SIGTERM at the latest, at four moments of starting up")


@on("embedded", "postgres-redis")
def test_two_sigterms_are_one(house, run, figure):
    since = house.ledger.last_job()
    house.witness.behave("send", delay=1)
    with house.worker("leaving") as leaving:
        accepted = pour(house, run, conversations=10, each=3)
        wait_until(lambda: len(house.witness.sends(run)) >= 10, 60, "10 sends")
        leaving.process.signal(signal.SIGTERM)
        wait_until(lambda: "Warm shutdown" in leaving.log.read_text(), 20, "it to have heard")
        seconds = out(leaving)
    assert spent(house, since) == (0, 0, 0)
    house.witness.behave("send", delay=0)
    with house.worker("next"):
        house.ledger.settled(60)
    verdict, unknown = lost_nothing(house, run, accepted, faults=[], since=since)
    assert not verdict.repeated
    assert not unknown
    figure(f"out {seconds:.1f} s after the second of two SIGTERMs")


class Callers:
    """They post without pause, one after the other in each conversation, until told to stop; what is refused or
    cut off they send again with the same key, to whichever address answers."""

    def __init__(self, house, run, addresses, number=4):
        self.house, self.run, self.addresses = house, run, addresses
        self.accepted, self.cut_off = [], []
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._call, args=(place,)) for place in range(number)]
        for one in self._threads:
            one.start()

    def stop(self):
        self._over.set()
        for one in self._threads:
            one.join(60)

    def _call(self, conversation):
        import requests

        place = 0
        while not self._over.wait(0.02):
            question = Question(self.run, conversation, place)
            headers = {"Idempotency-Key": question.text, "Connection": "close"}
            for attempt in range(200):
                address = self.addresses[attempt % len(self.addresses)]
                try:
                    with requests.Session() as session:
                        session.trust_env = False
                        session.headers.update(self.house.session.headers)
                        answer = session.post(
                            f"{address}/api/v1/messages",
                            json={
                                "account": self.house.seeded["send_again"],
                                "contact": {"id": f"{self.run}-{conversation}"},
                                "text": question.text,
                            },
                            headers=headers,
                            timeout=60,
                        )
                except requests.ConnectionError as error:
                    if "refused" not in str(error):
                        self.cut_off.append(str(error))
                    threading.Event().wait(0.02)
                    continue
                if answer.status_code == 202:
                    self.accepted.append(question)
                    break
                assert answer.status_code == 503, answer.text
            else:
                raise AssertionError(f"nobody takes {question}")
            place += 1


@on("postgres-redis")
def test_a_rolling_deploy_under_load(house, run, figure):
    """Old workers go one after the other while new ones come, then the web: nothing lost, no attempt, no unknown."""
    since = house.ledger.last_job()
    house.witness.behave("send", delay=0.2)
    times = []
    with (
        house.worker("old1") as old1,
        house.worker("old2") as old2,
        doors(house, f"{run}a") as first,
        doors(house, f"{run}b") as second,
    ):
        callers = Callers(house, run, [first.url, second.url])
        try:
            wait_until(lambda: len(house.witness.sends(run)) >= 20, 60, "20 replies")
            with house.worker("new1"):
                times.append(out(old1))
                with house.worker("new2"):
                    times.append(out(old2))
                    so_far = len(callers.accepted)
                    web = first.process.terminate(PROMISE)
                    wait_until(lambda: len(callers.accepted) >= so_far + 20, 60, "20 more at the other door")
                    callers.stop()
                    house.ledger.settled(90)
        finally:
            callers.stop()
    verdict, unknown = lost_nothing(house, run, callers.accepted, faults=[], since=since)
    assert not verdict.repeated
    assert not unknown
    assert not callers.cut_off  # what the web process had accepted it answered
    paid = house.ledger.one(
        "SELECT count(*) AS n FROM jobs_job WHERE id > %s AND (attempts > 1 OR crashes > 0 OR status = 'failed')",
        since,
    )
    assert paid == 0
    figure(
        f"{len(callers.accepted)} accepted, 0 lost, 0 attempts spent, 0 unknown; workers out after "
        f"{max(times):.1f} s at most, web after {web:.1f} s"
    )
