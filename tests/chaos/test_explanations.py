"""What explains a repetition or an unknown outcome, and what doesn't: only what happened at that very send."""

import pytest

from chaos import journal as journals
from tests.chaos.records import question

A0, ASK0 = question(0, 0), question(1, 0)


def sent_twice(records, **first):
    records.accepted(A0, at=1)
    records.sent(A0, **({"at": 10.0, "took": 1.0} | first))
    records.sent(A0, at=30)


@pytest.mark.parametrize("fault", ["cut_after", "late", "hang"])
def test_what_the_upstream_did_to_it(records, fault):
    sent_twice(records, fault=fault)
    assert records.broken() == set()


@pytest.mark.parametrize("fault", ["slow", ""])
def test_an_answer_that_arrived_explains_nothing(records, fault):
    sent_twice(records, fault=fault)
    assert records.broken() == {"twice_send_again"}


def test_the_death_of_its_own_worker(records):
    records.died("worker-send", 10.5)
    sent_twice(records)
    assert records.broken() == set()


@pytest.mark.parametrize(
    ("name", "at", "status"),
    [
        ("worker-spare", 10.5, -9),  # somebody else's
        ("worker-send", 20.0, -9),  # long after the answer was written down
        ("worker-send", 10.5, 0),  # SIGTERM: a deploy may cost no send
    ],
)
def test_other_ends_of_processes_explain_nothing(records, name, at, status):
    records.died(name, at, status)
    sent_twice(records)
    assert records.broken() == {"twice_send_again"}


@pytest.mark.parametrize(
    "kind", ["refuse_telegram", "kill_postgres", "cut_database", "lock_sqlite", "fill_disk"]
)
def test_the_way_or_the_database_was_cut(records, kind):
    records.fault(kind, 10.5, 12)
    sent_twice(records)
    assert records.broken() == set()


@pytest.mark.parametrize(
    "kind",
    ["flushall", "kill_redis", "copy_bells", "deploy", "kill_web", "kill_beat", "bot_down", "skew_clock"],
)
def test_what_must_cost_no_send(records, kind):
    records.fault(kind, 9, 12)
    sent_twice(records)
    assert records.broken() == {"twice_send_again"}


def test_a_worker_that_was_held(records):
    records.fault("stop_worker", 10.5, 25, target="worker-send")
    sent_twice(records)
    assert records.broken() == set()


def test_a_worker_that_woke_up_to_a_send_it_had_decided_on(records):
    """Between the mark and the socket: it was held, another one sent, then it sends too."""
    records.fault("stop_worker", 5, 20, target="worker-send")
    records.accepted(A0, at=1)
    records.sent(A0, at=15, sender="worker-spare")
    records.sent(A0, at=20.1)
    assert records.broken() == set()


def test_a_worker_that_woke_up_long_ago(records):
    records.fault("stop_worker", 5, 20, target="worker-send")
    records.accepted(A0, at=1)
    records.sent(A0, at=15, sender="worker-spare")
    records.sent(A0, at=26)
    assert records.broken() == {"twice_send_again"}


def test_even_a_worker_that_woke_up_may_not_send_again_where_a_person_is_asked(records):
    records.fault("stop_worker", 5, 20, target="worker-send")
    records.accepted(ASK0, at=1)
    records.sent(ASK0, at=15, sender="worker-spare")
    records.sent(ASK0, at=20.1)
    assert records.broken() == {"twice_ask_a_person"}


def test_another_worker_that_was_held(records):
    records.fault("stop_worker", 10.5, 25, target="worker-chat")
    sent_twice(records)
    assert records.broken() == {"twice_send_again"}


def test_a_connection_that_was_half_open(records):
    records.write(journals.WITNESS, at=11.0, api="proxy", of="telegram", swallowed="back")
    sent_twice(records)
    assert records.broken() == set()


def test_a_fault_that_could_not_be_done_explains_nothing(records):
    line = {"id": 1, "at": 1, "kind": "fill_disk", "target": "", "seconds": 3}
    records.write(journals.FAULTS, begin=9, **line)
    records.write(journals.FAULTS, id=1, end=12, skipped="no tmpfs", error="")
    sent_twice(records)
    assert records.broken() == {"twice_send_again"}


def test_an_unknown_outcome_that_never_reached_the_witness(records):
    records.accepted(ASK0, at=1)
    records.job(ASK0, reason="unknown", code="cut_off", sending=10, finished=14)
    assert records.broken() == {"reasons"}
    records.write(journals.WITNESS, at=10.1, api="proxy", of="telegram", swallowed="there")
    assert records.broken() == set()


def test_refused_by_a_person_who_blocked_the_bot_before(records):
    records.accepted(A0, at=1)
    records.job(A0, reason="permanent", code="contact_closed", due=1, finished=9)
    assert records.broken() == {"reasons"}
    records.sent(question(0, 5), at=5, status=403, fault="403")
    assert records.broken() == set()


def test_no_time_was_left_to_wait_for_the_ai(records):
    records.accepted(A0, at=1)
    records.dead_turn(A0, reason="expired", code="ai_resting", due=1, finished=3)
    assert records.broken() == {"reasons"}
    records.asked(question(0, 7), at=2, fault="500", status=500)
    assert records.broken() == set()


def test_a_pause_that_was_lost_with_redis_is_left_out(records):
    records.accepted(A0, at=1)
    records.fault("flushall", 3, 3.1)
    records.sent(A0, at=2, status=429, fault="429")
    records.sent(A0, at=4.2)
    assert records.broken() == set()
    assert records.findings()["retry_after"].left_out == 1
