"""Each promise broken once, by hand: the checker must find it, name it, and find nothing else."""

import pytest

from chaos import journal as journals
from chaos.checker.logs import ALL_BOTS
from chaos.provisioning import FALLBACK
from tests.chaos.records import question

A0, A1, ASK0, ASK1 = question(0, 0), question(0, 1), question(1, 0), question(1, 1)


def test_a_run_in_which_all_went_well(records):
    for place in range(3):
        records.answered(question(0, place), at=10 + 10 * place)
        records.answered(question(1, place), at=10 + 10 * place)
    assert records.broken() == set()
    assert len(records.findings()) == 15


def test_an_empty_run_breaks_nothing(records):
    assert records.broken() == set()


def test_lost(records):
    records.accepted(A0, at=1)
    assert records.broken() == {"accounted_for"}
    assert "lost" in records.findings()["accounted_for"].broken[0]


def test_delivered_and_dead_though_its_sender_knew(records):
    records.accepted(A0, at=1)
    records.sent(A0, at=2)
    records.job(A0, reason="expired", due=1, finished=200)
    assert records.broken() == {"accounted_for"}


def test_two_dead_letters_of_one_stage(records):
    records.accepted(ASK0, at=1)
    records.sent(ASK0, at=2, fault="cut_after")
    for _ in range(2):
        records.job(ASK0, reason="unknown", code="cut_off", sending=2, finished=3)
    assert records.broken() == {"accounted_for"}


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        ("permanent", "bad_request"),
        ("exhausted", "server_error"),
        ("expired", "expired"),
        ("poison", "poison"),
    ],
)
def test_a_reason_that_nothing_outside_bears_out(records, reason, code):
    records.accepted(A0, at=1)
    records.job(A0, reason=reason, code=code, due=1, finished=9)
    assert records.broken() - {"poison"} == {"reasons"}


def test_unknown_although_the_answer_arrived(records):
    records.accepted(ASK0, at=1)
    records.sent(ASK0, at=2, status=500)
    records.job(ASK0, reason="unknown", code="cut_off", sending=2, finished=2.5)
    assert records.broken() == {"reasons"}


@pytest.mark.parametrize("reason", ["exhausted", "unknown", "poison"])
def test_a_turn_does_not_end_like_this(records, reason):
    records.accepted(A0, at=1)
    records.dead_turn(A0, reason=reason, due=1, finished=200)
    assert "reasons" in records.broken()


def test_a_dead_letter_of_nobody(records):
    records.job(None, reason="unknown")
    assert records.broken() == {"reasons"}


def test_out_of_order(records):
    records.answered(A1, at=20)
    records.accepted(A0, at=10)
    records.sent(A0, at=30)
    assert records.broken() == {"order"}


def test_posts_that_overlap_may_come_in_either_order(records):
    records.accepted(A0, at=10, took=5)
    records.accepted(A1, at=12)
    records.sent(A1, at=20)
    records.sent(A0, at=21)
    assert records.broken() == set()


def test_a_phantom(records):
    records.sent(A0, at=5)
    assert records.broken() == {"phantoms"}


def test_a_fallback_without_a_dead_turn(records):
    records.answered(A0, at=1)
    records.sent(A0, at=5, text=FALLBACK)
    assert records.broken() == {"phantoms"}


def test_twice_where_a_person_is_to_be_asked_even_after_a_fault(records):
    records.answered(ASK0, at=1)
    records.sent(ASK0, at=5, fault="cut_after")
    assert records.broken() == {"twice_ask_a_person"}


def test_twice_without_a_fault(records):
    records.answered(A0, at=1)
    records.sent(A0, at=5)
    assert records.broken() == {"twice_send_again"}


def test_nothing_is_sent_after_its_expiry(records):
    records.answered(A0, at=1)
    records.sent(A1, at=50)
    records.accepted(A1, at=2)
    records.job(A1, status="completed", due=2, expires=40, finished=51)
    assert records.broken() == {"expiry"}


def test_no_ai_is_asked_after_the_patience_is_over(records):
    records.answered(A0, at=1)
    records.asked(A0, at=100)
    records.dead_turn(A0, status="completed", due=1, expires=91, finished=2)
    assert records.broken() == {"expiry"}


@pytest.mark.parametrize("breaker", ["again", ALL_BOTS])
def test_two_probes_at_once(records, breaker):
    records.desk.breakers.append((breaker, 10.0, 60.0))
    for place, at in ((0, 30), (1, 30.5)):
        records.accepted(question(0, place), at=1 + place)
        records.sent(question(0, place), at=at, took=1.0)
    assert records.broken() == {"one_probe"}


def test_a_call_during_a_pause_that_was_asked_for(records):
    records.accepted(A0, at=1)
    records.sent(A0, at=2, status=429, fault="429")
    records.sent(A0, at=4.2)
    assert records.broken() == {"retry_after"}


def test_limbo_by_the_ledger_and_by_the_api(records):
    records.desk.unfinished.append("job 7 (delivery.send_telegram) is retry, due 9000")
    records.shown(A0, "pending")
    assert len(records.findings()["limbo"].broken) == 2
    assert records.broken() == {"limbo"}


def test_shown_as_sent_and_seen_by_nobody(records):
    records.accepted(A0, at=1)
    records.shown(A0, "sent")
    assert "completed_was_seen" in records.broken()


def test_a_counter_that_is_wrong(records):
    records.desk.figures["counters: turns"] = (3, 2, 0)
    assert records.broken() == {"figures"}


def test_more_sent_by_our_own_count_than_outside(records):
    records.answered(A0, at=1)
    records.desk.figures["usage: sends = messages sent"] = (2, 2, 0)
    assert records.broken() == {"figures"}


@pytest.mark.parametrize(
    "job",
    [("chaos.exit_hard", "processing", "", 2), ("chaos.grows", "failed", "exhausted", 1)],
)
def test_poison_that_was_not_found_out(records, job):
    records.desk.poison.append(job)
    assert records.broken() == {"poison"}


def test_a_neighbour_that_was_taken_for_poison(records):
    records.accepted(A0, at=1)
    records.job(A0, reason="poison", code="poison", due=1, finished=2, crashes=3)
    assert records.broken() == {"poison", "reasons"}


def test_bad_input_that_was_taken(records):
    records.write(journals.REFUSED, at=1, what="webhook, wrong secret", marker="question b.0.1", status=200)
    assert records.broken() == {"bad_input"}


def test_bad_input_that_left_a_row(records):
    records.write(journals.REFUSED, at=1, what="post, huge", marker="question b.0.1", status=413)
    records.desk.inbox.append("post, huge (413) is in conversations_message")
    assert records.broken() == {"bad_input"}


@pytest.mark.parametrize("times", [0, 2])
def test_stored_more_or_less_than_once(records, times):
    records.answered(A0, at=1)
    records.desk.stored[A0.text] = times
    assert records.broken() == {"taken_in_once"}
