"""Stories of a message, end to end, with the processes that production runs."""

import json
import uuid

import pytest
import requests

from tests.fakes.witness import Question
from tests.survival.houses import on
from tests.waiting import wait_until

pytestmark = on("embedded")


@pytest.fixture
def worker(house):
    with house.worker("stories") as running:
        yield running


def answered(house, message):
    """Wait until the message has a reply that is settled; what the API shows then."""

    def settled():
        shown = house.get(f"messages/{message}").json()
        return shown if shown["reply"] and shown["reply"]["status"] != "pending" else None

    return wait_until(settled, 20, f"a settled reply to {message}")


def test_a_question_over_the_api_is_answered_from_the_knowledge_base(house, worker, run):
    message = house.post("When are you open on weekdays?", contact=f"{run}-reader", account="widget").json()[
        "id"
    ]
    shown = answered(house, message)
    assert shown["status"] == "received"
    assert "nine to five" in shown["reply"]["text"]
    assert "Opening hours" in shown["reply"]["text"]  # it says where it found that
    assert shown["reply"]["is_fallback"] is False

    message = house.post("zyzzyva?", contact=f"{run}-other", account="widget").json()["id"]
    assert "nine to five" not in answered(house, message)["reply"]["text"]


def test_what_was_said_before_is_the_context_of_the_next_turn(house, worker, run):
    for place in range(12):
        answered(house, house.ask(Question(run, 0, place)))
    lines = [call.body["lines"] for call in house.witness.calls("ai") if f" {run}." in call.body["text"]]
    assert lines[:3] == [1, 3, 5]
    assert max(lines) == 10


def test_an_ai_that_is_away_for_too_long_is_replaced_by_the_fallback_and_the_failure_is_on_record(
    house, worker, run
):
    since = house.ledger.last_job()
    house.witness.behave("ai", status=500)
    message = house.post(f"question {run}.0.0", contact=f"{run}-0", account="impatient").json()["id"]
    shown = answered(house, message)
    assert shown["reply"]["text"] == "nobody is there"
    assert shown["reply"]["is_fallback"] is True
    assert shown["reply"]["status"] == "sent"
    (turn,) = house.ledger.jobs("pipeline.generate_reply", since=since)
    assert turn["status"] == "failed"
    assert turn["failure_reason"] in ("expired", "exhausted")
    house.witness.behave("ai", status=200)
    message = house.post(f"question {run}.0.1", contact=f"{run}-0", account="impatient").json()["id"]
    assert answered(house, message)["reply"]["text"] == f"re: question {run}.0.1"


def test_a_send_that_is_refused_fails_its_message_and_the_conversation_goes_on(house, worker, run):
    house.witness.behave("send", status=400)
    first = house.ask(Question(run, 0, 0))
    assert answered(house, first)["reply"]["status"] == "failed"
    house.witness.behave("send", status=200)
    second = house.ask(Question(run, 0, 1))
    assert answered(house, second)["reply"]["status"] == "sent"
    log = worker.log.read_text()
    lines = [
        json.loads(line) for line in log.splitlines() if line.startswith("{") and "send_recording" in line
    ]
    assert any(line.get("task") == "delivery.send_recording" and line.get("job") for line in lines), log[
        -3000:
    ]


class Page:
    """The browser's side: a conversation, its token, and a live stream that can be cut and taken up again."""

    def __init__(self, house):
        self.house, self.events = house, house.start_events()
        started = requests.post(
            f"{house.url}/api/v1/widget/conversations", json={"chatbot": house.seeded["library"]}, timeout=30
        )
        self.headers = {"Authorization": f"Bearer {started.json()['token']}"}
        self.last_id = ""

    def say(self, text):
        answer = requests.post(
            f"{self.house.url}/api/v1/widget/messages",
            json={"id": str(uuid.uuid4()), "text": text},
            headers=self.headers,
            timeout=30,
        )
        assert answer.status_code == 202, answer.text

    def listen(self, count):
        """Connect, as a browser reconnects, and read so many messages."""
        headers = self.headers | ({"Last-Event-ID": self.last_id} if self.last_id else {})
        seen, event = [], {}
        with requests.get(
            f"{self.events}/api/v1/widget/events", headers=headers, stream=True, timeout=(10, 20)
        ) as stream:
            assert stream.status_code == 200, stream.text
            for raw in stream.iter_lines(decode_unicode=True):
                if raw:
                    name, _, value = raw.partition(":")
                    event[name] = value.strip()
                elif "data" in event:
                    if "id" in event:
                        self.last_id = event["id"]
                        seen.append(json.loads(event["data"]))
                    event = {}
                    if len(seen) >= count:
                        return seen
        raise AssertionError(f"the stream ended after {len(seen)} of {count}")


def test_a_page_that_loses_its_stream_misses_nothing_and_sees_nothing_twice(house, worker):
    page = Page(house)
    page.say("When are you open on weekdays?")
    seen = page.listen(2)
    page.say("zyzzyva?")  # nobody listens
    page.say("And the opening hours again?")
    house.ledger.settled(20)
    seen += page.listen(1)  # cut off in the middle of what was missed
    rest = requests.get(f"{house.url}/api/v1/widget/messages", headers=page.headers, timeout=30).json()[
        "messages"
    ]
    seen += page.listen(len(rest) - len(seen))
    assert [line["id"] for line in seen] == [line["id"] for line in rest]
    positions = [line["position"] for line in seen]
    assert positions == sorted(set(positions))
    assert [line["direction"] for line in seen][:2] == ["in", "out"]
    assert "nine to five" in seen[1]["text"]
