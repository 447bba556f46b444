"""The yardstick's judge: what is lost, doubled or out of order can't hide."""

from bench.wire import Messages, request_bytes
from bench.witness import judge, latencies_ms, percentile


def load(*marks, refused=None):
    posted = [[conversation, sequence, 10.0, 10.1] for conversation, sequence in marks]
    return {"accepted": posted, "refused": refused or {}}


def stats(*marks, unmarked=0):
    replies = [[conversation, sequence, 10.5 + n] for n, (conversation, sequence) in enumerate(marks)]
    return {"replies": replies, "unmarked": unmarked}


def test_everything_answered_once_is_clean():
    verdict = judge(load((1, 0), (2, 0), (1, 1)), stats((2, 0), (1, 0), (1, 1)))
    assert verdict.clean
    assert verdict.inversions == 0


def test_lost_doubled_and_strangers_are_counted():
    verdict = judge(load((1, 0), (2, 0)), stats((1, 0), (1, 0), (9, 9), unmarked=1))
    assert (verdict.lost, verdict.doubled, verdict.strangers) == (1, 1, 2)
    assert not verdict.clean


def test_a_refused_message_is_not_clean():
    assert not judge(load(refused={"500 ": 1}), stats()).clean


def test_a_reply_that_overtakes_is_an_inversion_but_other_conversations_are_not():
    verdict = judge(load((1, 0), (1, 1), (2, 0)), stats((1, 1), (2, 0), (1, 0)))
    assert verdict.inversions == 1
    assert verdict.clean


def test_latency_is_from_the_post_to_the_arrival_of_its_reply():
    assert latencies_ms(load((1, 0), (1, 1)), stats((1, 1), (1, 0))) == [500.0, 1500.0]
    assert percentile([1.0, 2.0, 3.0, 4.0], 0.5) == 3.0
    assert percentile([], 0.99) == 0.0


class Collected(Messages):
    def __init__(self):
        super().__init__()
        self.got = []

    def message(self, head, body):
        self.got.append(body)


def test_messages_are_cut_wherever_the_network_cuts_them():
    data = request_bytes("h", "POST", "/a", {"n": 1}) + request_bytes("h", "POST", "/b", b"raw")
    for size in (1, 7, len(data)):
        collected = Collected()
        for start in range(0, len(data), size):
            collected.data_received(data[start : start + size])
        assert collected.got == [b'{"n": 1}', b"raw"]
