"""What comes more than once happens once."""

import json
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor

import requests

from tests.fakes.witness import Question, judge
from tests.servers.processes import run as run_command
from tests.servers.switchboard import PYTHON
from tests.survival.houses import on
from tests.waiting import wait_until

AT_ONCE = 50


def all_at_once(post):
    """`post(session)` fifty times, each on a connection of its own, let go together."""
    gate = threading.Barrier(AT_ONCE)

    def one(_):
        with requests.Session() as session:
            session.trust_env = False
            gate.wait(30)
            return post(session)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(one, range(AT_ONCE)))


def test_the_same_event_fifty_times_at_once_is_one_message_and_one_answer(house, run):
    question, key = Question(run, 0, 0), f"key-{uuid.uuid4()}"

    def post(session):
        session.headers.update(house.session.headers)
        return house.post(
            question.text, contact=f"{run}-0", session=session, headers={"Idempotency-Key": key}
        )

    with house.worker("one"):
        answers = all_at_once(post)
        house.ledger.settled(30)
    assert {answer.status_code for answer in answers} == {202}
    (message,) = {answer.json()["id"] for answer in answers}
    shown = house.get(f"messages/{message}").json()
    assert (shown["status"], shown["reply"]["status"]) == ("received", "sent")
    lines = house.get(f"conversations/{shown['conversation']}").json()["messages"]
    assert [(line["direction"], line["text"]) for line in lines] == [
        ("in", question.text),
        ("out", f"re: {question.text}"),
    ]
    assert len(house.witness.sends(run)) == 1
    assert not judge([question], house.witness.sends(run)).missing


def test_the_same_message_of_a_browser_fifty_times_at_once_is_one_message_and_one_answer(house):
    started = requests.post(
        f"{house.url}/api/v1/widget/conversations", json={"chatbot": house.seeded["library"]}, timeout=30
    )
    assert started.status_code == 201, started.text
    token, mine = started.json()["token"], str(uuid.uuid4())
    headers = {"Authorization": f"Bearer {token}"}

    def post(session):
        return session.post(
            f"{house.url}/api/v1/widget/messages",
            json={"id": mine, "text": "What are your opening hours?"},
            headers=headers,
            timeout=30,
        )

    with house.worker("one"):
        answers = all_at_once(post)
        house.ledger.settled(30)
    # What one visitor may post at once is less than fifty: the rest is told when to come again.
    taken = [answer for answer in answers if answer.status_code == 202]
    late = [answer for answer in answers if answer.status_code == 429]
    assert taken
    assert len(taken) + len(late) == AT_ONCE
    assert all(int(answer.headers["Retry-After"]) > 0 for answer in late)
    again: list[requests.Response] = []
    wait_until(lambda: again.append(post(requests)) or again[-1].status_code == 202, 30, "its turn to come")
    assert len({answer.json()["id"] for answer in [*taken, again[-1]]}) == 1
    said = requests.get(f"{house.url}/api/v1/widget/messages", headers=headers, timeout=30).json()["messages"]
    assert [line["direction"] for line in said if line["text"] != "Hello"] == ["in", "out"]
    assert "nine to five" in said[-1]["text"]


def due_by(log):
    """The entries that a beat has sent."""
    if not log.exists():
        return set()
    return {
        word for line in log.read_text().splitlines() if "Sending due task" in line for word in line.split()
    }


@on("embedded", "postgres-rabbitmq")
def test_two_beats_are_as_good_as_one_and_catch_up_what_they_missed(house):
    beats = [house.beat(name, asleep_for=7200) for name in ("beat-one", "beat-two")]
    try:
        wait_until(
            lambda: all(
                {"jobs.prune", "frontdoor.prune_inbox"} <= due_by(house.directory / f"{name}.log")
                for name in ("beat-one", "beat-two")
            ),
            30,
            "both beats to send what is overdue",
        )
        wait_until(
            lambda: house.ledger.rows("SELECT id FROM jobs_job WHERE dedupe_key LIKE %s", "schedule:%"),
            10,
            "the schedule to make a job",
        )
        waiting = house.ledger.rows(
            "SELECT dedupe_key, count(*) AS n FROM jobs_job WHERE status = 'pending' AND fence = 0"
            " AND dedupe_key IS NOT NULL GROUP BY dedupe_key"
        )
        assert {row["n"] for row in waiting} == {1}
        assert all(beat.alive for beat in beats)
    finally:
        for beat in beats:
            beat.sweep_away()
    with house.worker("one"):
        house.ledger.settled(30)
    failed = house.ledger.rows(
        "SELECT task, error FROM jobs_job WHERE task = 'jobs.prune' AND status = 'failed'"
    )
    assert failed == []


def test_a_plain_task_keeps_its_result_in_django_celery_results(house):
    code = (
        "import django; django.setup(); from tests.fakes.jobtasks.tasks import plain_sum;"
        "print(plain_sum.delay(2, 3).id)"
    )
    with house.worker("one"):
        task_id = run_command([PYTHON, "-c", code], env=house.env).split()[-1]
        rows = wait_until(
            lambda: house.ledger.rows(
                "SELECT status, result, task_name FROM django_celery_results_taskresult WHERE task_id = %s",
                task_id,
            ),
            20,
            "the result",
        )
    assert (rows[0]["status"], json.loads(rows[0]["result"])) == ("SUCCESS", 5)
