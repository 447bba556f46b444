"""A worker held for longer than its lease finds, when it wakes, that its jobs belong to someone else."""

import time

from tests.survival.houses import pour
from tests.survival.outcomes import SEND, failed_sends, lost_nothing, snapshot
from tests.waiting import wait_until

LEASE = 12.0


def stop_between_writes(house, process):
    """SIGSTOP, but never while it holds SQLite's write lock: nobody could take anything back before it wakes. That
    limit of SQLite is in the documentation; here the lease is the subject."""
    process.stop()
    while not house.ledger.is_writable():
        process.resume()
        process.stop()


def test_a_worker_stopped_for_longer_than_its_lease_writes_nothing_when_it_wakes(house, run, figure):
    since = house.ledger.last_job()
    house.witness.behave("send", hold=True)
    with house.worker("sleeper") as sleeper:
        sending = pour(house, run, conversations=5, each=1)
        wait_until(lambda: house.witness.held("send") == 5, 20, "five sends under way")
        house.witness.behave("ai", hold=True)
        thinking = pour(house, run, conversations=5, each=1, first=5)
        wait_until(lambda: house.witness.held("ai") == 5, 20, "five turns under way")
        held = house.ledger.held_by(sleeper.pid)
        assert len(held) == 10
        stopped = time.time()
        stop_between_writes(house, sleeper.process)
        with house.worker("other") as other:
            wait_until(lambda: not house.ledger.still_held(held), LEASE + 15, "the lease to run out")
            taken_back = time.time() - stopped
            # Whatever the sleeper asked is answered now; the answers lie in its sockets while the other works.
            house.witness.behave("ai", hold=False)
            house.witness.behave("send", hold=False)
            house.ledger.settled(60)
            before = snapshot(house, since)
            sleeper.process.resume()
            # It has noticed when it beats again; and it was the fence that held its ten outcomes back.
            wait_until(lambda: house.ledger.is_alive(sleeper.pid), 30, "the sleeper to be back")
            wait_until(lambda: sleeper.log.read_text().count('"fenced_off"') >= 10, 20, "the fence")
            other.process.terminate()
        (later,) = pour(
            house, run, conversations=1, each=1, first=10
        )  # it works again, with claims of its own
        house.ledger.settled(30)
        after = snapshot(house, since)
    old_jobs = {row["id"] for row in before["jobs"]}
    assert [row for row in after["jobs"] if row["id"] in old_jobs] == before["jobs"]
    assert after["messages"][: len(before["messages"])] == before["messages"]
    assert after["attempts"][: len(before["attempts"])] == before["attempts"]
    assert len(after["messages"]) == len(before["messages"]) + 2
    verdict, _ = lost_nothing(house, run, [*sending, *thinking, later], faults=[stopped], since=since)
    # The five that were being sent went out again under the new claim; the five turns gave one reply each.
    assert {question.conversation for question in verdict.repeated} <= {
        question.conversation for question in sending
    }
    assert all(len(calls) == 2 for calls in verdict.repeated.values())
    assert len(house.ledger.jobs(SEND, since=since)) == 10 + 1
    figure(f"10 jobs of a stopped worker taken back after {taken_back:.1f} s; it wrote nothing after waking")


def test_an_answer_that_comes_late_resolves_what_a_person_was_to_be_asked(house, run, figure):
    """The send got through while its worker was frozen; nobody else touched the job, so its outcome still counts."""
    since = house.ledger.last_job()
    house.witness.behave("send", hold=True)
    with house.worker("sleeper") as sleeper:
        asked = pour(house, run, conversations=3, each=1, account="ask_person")
        wait_until(lambda: house.witness.held("send") == 3, 20, "three sends under way")
        stop_between_writes(house, sleeper.process)
        with house.worker("other"):
            wait_until(
                lambda: len(failed_sends(house, run, since=since)) == 3, LEASE + 15, "three dead letters"
            )
            house.witness.behave("send", hold=False)
            sleeper.process.resume()
            wait_until(
                lambda: not failed_sends(house, run, since=since), 40, "the dead letters to be resolved"
            )
    assert [job["status"] for job in house.ledger.jobs(SEND, since=since)] == ["completed"] * 3
    texts = {f"re: {question.text}" for question in asked}
    told = house.ledger.rows("SELECT text, status FROM conversations_message WHERE direction = 'out'")
    assert {row["text"]: row["status"] for row in told if row["text"] in texts} == dict.fromkeys(
        texts, "sent"
    )
    figure("3 sends of a frozen worker, given up as unknown, resolved by their late answers")
