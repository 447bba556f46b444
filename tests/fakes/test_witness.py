"""The witness must notice what the survival tests rely on it to notice; otherwise green means little."""

import pytest
import requests

from tests.fakes.witness import Call, Question, Witness, judge
from tests.waiting import wait_until


def call(conversation: int, place: int, begun: float, ended: float | None = None) -> Call:
    question = Question("r1", conversation, place)
    return Call(
        "send", begun, begun + 0.1 if ended is None else ended, False, {"text": f"re: {question.text}"}
    )


ASKED = [Question("r1", conversation, place) for conversation in (0, 1) for place in range(3)]
SENT = [call(question.conversation, question.place, 10.0 + question.place) for question in ASKED]


def test_all_is_well():
    verdict = judge(ASKED, SENT)
    assert (verdict.missing, verdict.strangers, verdict.disordered, verdict.repeated) == ([], [], [], {})


def test_a_lost_reply_is_noticed():
    assert judge(ASKED, SENT[1:]).missing == [Question("r1", 0, 0)]


def test_a_reply_to_nobody_is_noticed():
    assert judge(ASKED, [*SENT, call(7, 0, 20.0)]).strangers == [Question("r1", 7, 0)]


def test_a_wrong_order_is_noticed():
    late = [call(0, 0, 15.0), *SENT[1:]]
    assert judge(ASKED, late).disordered == [(Question("r1", 0, 2), Question("r1", 0, 0))]


@pytest.mark.parametrize(
    ("fault", "unexplained"),
    [(10.05, []), (10.15, []), (12.0, [Question("r1", 0, 0)]), (9.0, [Question("r1", 0, 0)])],
)
def test_a_duplicate_is_explained_only_by_a_fault_while_it_was_in_flight(fault, unexplained):
    verdict = judge(ASKED, [*SENT, call(0, 0, 20.0)])
    assert verdict.unexplained([fault], grace=0.1) == unexplained


def test_a_call_is_on_record_before_it_is_answered_and_a_caller_that_hangs_up_is_seen(tmp_path):
    with Witness(tmp_path) as witness:
        witness.behave("send", hold=True)
        with pytest.raises(requests.Timeout):
            requests.post(f"{witness.url}/send", json={"text": "question r1.0.0"}, timeout=0.3)
        (seen,) = wait_until(lambda: [one for one in witness.calls("send") if one.cut], what="the hang-up")
        assert seen.body["text"] == "question r1.0.0"
        witness.behave("send", hold=False, delay=0)
        requests.post(f"{witness.url}/send", json={"text": "question r1.0.1"}, timeout=5).raise_for_status()
        assert [one.cut for one in witness.sends("r1")] == [True, False]
        assert (witness.begun("send"), witness.open("send")) == (2, 0)
