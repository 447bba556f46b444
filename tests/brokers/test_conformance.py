"""What the ledger asks of a broker, asked of each: the server in the box, Redis, RabbitMQ, SQS.

Real workers, real brokers (moto in place of AWS). That the work is done proves little here, since the sweeper does it
with any broker or none; so each test also looks at the record of the bells that workers heard.
"""

import json

import pytest
import requests

from tests.brokers.site import BAD, GOOD, NEIGHBOUR, STUCK
from tests.servers.processes import free_port, tail
from tests.servers.sqs import SECRET
from tests.servers.switchboard import ENCRYPTION_KEY, SECRET_KEY
from tests.waiting import wait_until

pytestmark = [pytest.mark.survival, pytest.mark.service]

PLANTED = "planted-in-a-payload-7f3a"
MOST_SECONDS_TO_STOP = 25


class TestWithoutAWorker:
    def test_a_bell_carries_nothing(self, site):
        site.hand.make(STUCK, [{"password": PLANTED}] * 3, lanes=1, correlation_id="planted-42")
        site.hand.wait_rung()
        (bell,) = wait_until(lambda: site.broker.take(BAD), 20, "a bell")  # one for three jobs
        assert bell.headers["task"] == STUCK
        args, kwargs, embedded = bell.body
        assert (args, kwargs) == ([], {})
        assert not any(embedded.values()), "canvas"
        secrets = (
            PLANTED,
            SECRET_KEY,
            ENCRYPTION_KEY,
            SECRET,
            "conversation 42",
            site.home.env["DATABASE_URL"],
        )
        for secret in secrets:
            assert secret.encode() not in bell.everything

    def test_time_stays_in_the_database(self, site):
        site.hand.make(STUCK, [{}], delay=3600)
        site.hand.make(NEIGHBOUR, [{}])
        site.hand.wait_rung()
        assert site.broker.take(BAD) == []  # nothing for what is due in an hour
        (bell,) = wait_until(lambda: site.broker.take(GOOD), 20, "a bell")
        assert (bell.headers["eta"], bell.headers["expires"]) == (None, None)

    def test_what_is_lost_in_the_broker_is_done_all_the_same(self, site):
        run = site.make(20)
        site.hand.wait_rung()
        site.broker.flush([GOOD])
        with site.worker("after"):
            site.ledger.settled(60)
        assert sorted(site.marks(run)) == list(range(20))


class TestWithAWorker:
    def test_a_bell_rings_its_worker(self, site, worker):
        before = len(site.heard())
        run = site.make()
        bell = site.wait_heard(before)[-1]
        assert (bell["queue"], bell["pid"]) == (GOOD, worker.pid)
        site.ledger.settled(30)
        assert site.marks(run) == [0]

    def test_another_queues_worker_never_hears_it(self, site, worker):
        with site.worker("other", queues=[BAD]) as other:
            before = len(site.heard())
            site.ring(times=20)
            site.wait_heard(before + 19)
            site.ring(task=STUCK, queue=BAD)
            wait_until(lambda: site.heard(STUCK), 60, "the other queue's bell")
            assert {bell["pid"] for bell in site.heard(STUCK)} == {other.pid}
            assert site.heard(NEIGHBOUR, pid=other.pid) == []

    def test_a_bell_with_arguments_is_foreign_and_refused(self, site, worker):
        before, since = len(site.heard()), site.ledger.last_job()
        site.ring(args=[PLANTED])
        site.wait_heard(before)
        log = worker.log
        wait_until(lambda: "bell_refused" in log.read_text(), 20, "the refusal in the log")
        assert PLANTED not in log.read_text()
        assert site.ledger.last_job() == since

    def test_fifty_copies_of_a_bell_do_the_work_once(self, site, worker):
        before = len(site.heard())
        run = site.make(3)
        site.ring(times=50)
        site.wait_heard(before + 49)
        site.ledger.settled(60)
        assert sorted(site.marks(run)) == [0, 1, 2]
        assert worker.process.alive

    def test_a_flushed_broker_rings_again(self, site, worker):
        site.broker.flush([GOOD])
        before = len(site.heard())
        run = site.make()
        site.wait_heard(before)
        site.ledger.settled(30)
        assert site.marks(run) == [0]

    def test_a_silent_broker_holds_nobody_up(self, site, worker):
        site.hand.bells()  # it is there
        site.broker.fall_silent()
        try:
            run = site.make()  # it answers, whatever the ringer's thread waits for
            site.ledger.settled(60)
            assert site.marks(run) == [0]
        finally:
            site.broker.wake_up()
        site.hand.wait_rung()
        self.rings_again(site, worker)

    def test_a_broker_that_is_away_costs_nothing_and_comes_back(self, site, worker):
        site.hand.bells()  # it is there
        site.broker.kill()
        try:
            run = site.make(5)  # it answers
            site.ledger.settled(60)
            assert sorted(site.marks(run)) == list(range(5))
        finally:
            site.broker.start()
        self.rings_again(site, worker)

    def rings_again(self, site, worker):
        """The same worker process hears bells, without anybody's help."""
        before = len(site.heard(pid=worker.pid))

        def heard_after_another_try() -> bool:
            site.make()
            return len(site.heard(pid=worker.pid)) > before

        try:
            wait_until(heard_after_another_try, 90, "a bell after the outage", interval=1.0)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{tail(worker.log)}\n{tail(site.hand.log)}") from None
        site.ledger.settled(60)
        assert worker.process.alive

    def test_remote_control_where_the_broker_can(self, site, worker):
        told = site.celery("inspect", "ping", "--timeout", "10", "--json")
        if site.broker.can_be_asked:
            assert json.loads(told.stdout) == {"one@survival": {"ok": "pong"}}, told.stderr
            return
        assert told.returncode != 0
        assert "SQS carries no remote control" in told.stderr + told.stdout

    def test_flower_where_the_broker_can(self, site, worker):
        port = free_port()
        flower = site.flower(port)
        try:
            if not site.broker.can_be_asked:
                assert flower.wait_for_end(60) == 1
                assert "Flower can't see workers over SQS" in tail(flower.log)
                return

            def workers() -> list[str]:
                try:
                    answer = requests.get(
                        f"http://127.0.0.1:{port}/api/workers?refresh=1",
                        auth=("eve", "flower-pw"),
                        timeout=20,
                    )
                except requests.RequestException:
                    return []
                return list(answer.json()) if answer.ok else []

            wait_until(lambda: "one@survival" in workers(), 60, f"the worker in Flower\n{tail(flower.log)}")
        finally:
            flower.sweep_away()


class TestEndings:
    def test_a_killed_workers_bell_makes_no_trouble(self, site):
        """It is acknowledged as it is heard; an acknowledgement that was still on its way dies with its worker, and
        then the bell comes once more and finds nothing to do."""
        site.broker.let_polls_end()
        site.broker.flush([GOOD])
        hidden = site.broker.left_over(
            GOOD
        )  # on SQS, what polls of workers killed before this took with them
        site.witness.behave("mark", hold=True)
        with site.worker("killed") as killed:
            before = len(site.heard())
            run = site.make()
            site.wait_heard(before)
            wait_until(lambda: site.witness.held("mark") == 1, 30, "the call to be under way")
            killed.process.kill9()
        wait_until(
            lambda: site.broker.left_over(GOOD) <= hidden + (site.broker.name == "rabbitmq"),
            20,
            "a broker that has nothing left to deliver (RabbitMQ: but for that bell)",
        )
        site.witness.behave("mark", hold=False)
        with site.worker("next"):
            site.ledger.settled(60)
        assert site.marks(run) == [0, 0]  # cut off, and made again: the ledger's doing, once
        (job,) = site.ledger.rows("SELECT status, crashes FROM jobs_job ORDER BY id DESC LIMIT 1")
        assert job["status"] == "completed"

    def test_sigterm_lets_a_call_go_and_is_out_in_time(self, site, figure):
        site.witness.behave("mark", hold=True)
        with site.worker("leaving") as leaving:
            run = site.make()
            wait_until(lambda: site.witness.held("mark") == 1, 30, "the call to be under way")
            seconds = leaving.process.terminate(MOST_SECONDS_TO_STOP)
            assert leaving.process.returncode == 0, tail(leaving.log)
        (job,) = site.ledger.rows("SELECT status, attempts, crashes FROM jobs_job ORDER BY id DESC LIMIT 1")
        assert (job["attempts"], job["crashes"]) == (0, 0)
        assert job["status"] in ("pending", "retry")
        assert "Traceback" not in leaving.log.read_text()
        site.witness.behave("mark", hold=False)
        with site.worker("idle") as idle:
            site.ledger.settled(60)
            while_idle = idle.process.terminate(MOST_SECONDS_TO_STOP)
            assert idle.process.returncode == 0, tail(idle.log)
            assert "Traceback" not in idle.log.read_text()
        assert len(site.marks(run)) == 2
        figure(f"out {seconds:.1f} s after SIGTERM with a call that hangs, {while_idle:.1f} s when idle")
