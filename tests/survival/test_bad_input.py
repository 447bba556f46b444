"""What must not come in doesn't, with a reason; and nothing secret comes out, wherever one looks."""

import json
import socket
import uuid
from pathlib import Path

import pytest
import requests

from tests.servers.seed import PLANTED
from tests.servers.switchboard import ENCRYPTION_KEY, SECRET_KEY
from tests.survival.houses import on, pour
from tests.waiting import wait_until

TABLES = (
    "frontdoor_inboundevent",
    "jobs_job",
    "jobs_idempotencykey",
    "conversations_message",
    "conversations_contact",
)


def rows(house):
    return {table: house.ledger.one(f"SELECT count(*) AS n FROM {table}") for table in TABLES}


def body(house, **other):
    return {"account": house.seeded["send_again"], "contact": {"id": "bad"}, "text": "hello", **other}


def raw(text):
    return lambda house: text.replace("ACCOUNT", house.seeded["send_again"]).encode()


def with_(**other):
    return lambda house: json.dumps(body(house, **other)).encode()


BAD = {
    "malformed JSON": (raw('{"account": "ACCOUNT", "contact": {'), {400, 422}, "json"),
    "not JSON at all": (lambda _: b"\xff\xfe\x00", {400, 422}, ""),
    "a list": (raw("[]"), {422}, ""),
    "10 MB": (lambda house: with_(text="x" * 10_000_000)(house), {413}, "larger"),
    "text too long": (with_(text="x" * 16_001), {422}, "text"),
    "NUL": (with_(text="a\x00b"), {422}, "NUL"),
    "NUL in the contact": (with_(contact={"id": "a\x00b"}), {422}, "NUL"),
    "lone surrogate": (raw('{"account":"ACCOUNT","contact":{"id":"x"},"text":"a\\ud800b"}'), {400, 422}, ""),
    "lone surrogate in the contact": (
        raw('{"account":"ACCOUNT","contact":{"id":"a\\udfff"},"text":"a"}'),
        {400, 422},
        "",
    ),
    "empty text": (with_(text="  "), {422}, "empty"),
    "deep nesting": (raw('{"account":"ACCOUNT","text":' + "[" * 50_000 + "]" * 50_000 + "}"), {400, 422}, ""),
    "unknown account": (with_(account=str(uuid.uuid4())), {404}, "account"),
    "no account": (with_(account="none"), {422}, "account"),
    "text missing": (raw('{"account":"ACCOUNT","contact":{"id":"x"}}'), {422}, "text"),
}


@on("embedded", "postgres-redis")
@pytest.mark.parametrize("name", BAD)
def test_bad_input_gets_a_reason_and_leaves_no_row(house, name):
    make, statuses, word = BAD[name]
    before = rows(house)
    answer = house.session.post(
        f"{house.url}/api/v1/messages",
        data=make(house),
        headers={"Content-Type": "application/json"},
        timeout=30,
    )
    assert answer.status_code in statuses, f"{answer.status_code}: {answer.text[:300]}"
    assert answer.headers["Content-Type"].startswith("application/problem+json")
    problem = answer.json()
    assert problem["status"] == answer.status_code
    assert problem["detail"]
    assert word.lower() in problem["detail"].lower()
    assert rows(house) == before


@on("embedded", "postgres-redis")
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer sb_wrong000_" + "x" * 43},
        {"Authorization": "Bearer s\u00e9same"},
        {"Authorization": "Basic dXNlcjpwYXNz"},
        {"X-API-Key": "sb_" + "y" * 5000},
    ],
    ids=["none", "wrong", "not ASCII", "basic", "long"],
)
def test_without_the_right_key_nothing_comes_in(house, headers):
    before = rows(house)
    answer = requests.post(f"{house.url}/api/v1/messages", json=body(house), headers=headers, timeout=30)
    assert answer.status_code == 401
    assert answer.json()["detail"]
    assert "WWW-Authenticate" in answer.headers
    assert rows(house) == before


@on("embedded")
def test_a_body_that_never_ends_does_not_block_the_others(house, run):
    """A caller that announces a body and stays silent holds one thread; the others answer."""
    with socket.create_connection(("127.0.0.1", house.port), timeout=10) as silent:
        silent.sendall(
            b"POST /api/v1/messages HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            b"Authorization: "
            + house.session.headers["Authorization"].encode()
            + b"\r\nContent-Length: 100\r\n\r\n{"
        )
        assert house.post("hello", contact=f"{run}-0").status_code == 202


def planted(house):
    """What may be seen nowhere: whole, or enough of it to be used."""
    return {
        "API key": house.seeded["api_key"].split("_", 2)[2],  # which may have underscores of its own
        "account credentials": PLANTED,
        "encryption key": ENCRYPTION_KEY,
        "Django's secret key": SECRET_KEY,
    }


def files(*directories: Path):
    return [path for directory in directories for path in directory.rglob("*") if path.is_file()]


def test_a_planted_secret_is_found_in_no_log_no_broker_no_database_and_no_error_page(house, run):
    secrets = {name: value.encode() for name, value in planted(house).items()}
    pages = []
    house.witness.behave("send", status=400)  # a failure for each way of failing, with its log lines
    with house.worker("one"):
        pour(house, run, conversations=3, each=1)
        wait_until(lambda: house.witness.begun("send") >= 3, 20, "refused sends")
        house.ledger.settled(30)
        house.witness.behave("send", status=500)
        pour(house, run, conversations=3, each=1, first=3)
        house.ledger.settled(60)
    house.witness.behave("send", status=200)
    # Waiting jobs and their bells, with nobody to take them: what is in the broker now is all it ever holds.
    pour(house, run, conversations=3, each=1, first=6)
    for path in ("/nope", "/api/v1/nope", "/admin/nope/", "/api/v1/messages/none", "/chat/none"):
        pages.append(house.session.get(house.url + path, timeout=30))
    pages.append(house.session.post(f"{house.url}/api/v1/messages", data=b"{", timeout=30))
    pages.append(house.session.get(f"{house.url}/api/v1/messages/{uuid.uuid4()}?key=x", timeout=30))
    assert [page.status_code for page in pages if page.status_code < 400 and "/admin/" not in page.url] == []

    for page in pages:
        seen = page.content + str(dict(page.headers)).encode()
        for name, secret in secrets.items():
            assert secret not in seen, f"{name} in the answer {page.status_code} to {page.request.url}"
    places = [house.directory, house.setup.redis.data]
    if house.setup.rabbit:
        places.append(house.setup.rabbit.directory)
    looked = 0
    for path in files(*places):
        content = path.read_bytes()
        looked += 1
        for name, secret in secrets.items():
            assert secret not in content, f"{name} in {path}"
    assert looked >= 4
    with house.setup.redis.client() as client:
        for key in client.scan_iter(count=1000):
            value = key + (client.dump(key) or b"")
            for name, secret in secrets.items():
                assert secret not in value, f"{name} in Redis under {key!r}"
    if house.setup.postgres:
        for table in ("conversations_channelaccount", "accounts_apikey", "jobs_job", "jobs_jobattempt"):
            for row in house.ledger.rows(f"SELECT * FROM {table}"):
                for name, secret in secrets.items():
                    assert secret.decode() not in str(row), f"{name} in {table}"


@on("postgres-redis")
def test_while_the_database_is_away_the_answer_is_503_and_says_nothing_of_it(house, run):
    house.setup.postgres.stop("fast")
    try:
        answer = house.post("hello", contact=f"{run}-0")
        page = requests.get(f"{house.url}/admin/login/", timeout=30)
    finally:
        house.setup.postgres.start()
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
    told = (answer.text + page.text).lower()
    for word in ("traceback", "psycopg", str(house.setup.postgres.port), house.setup.database):
        assert word not in told
    wait_until(
        lambda: house.post("hello", contact=f"{run}-0").status_code == 202, 5, "the database to be back"
    )
