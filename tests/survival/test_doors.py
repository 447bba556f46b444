"""The database is away: every intake door says 503 at once and when to come again, stores nothing by halves, and takes
in again by itself."""

import json
import sqlite3
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from urllib.parse import urlsplit, urlunsplit

import pytest

from tests.servers.proxy import Proxy
from tests.survival.doors import Answer, Doors, doors
from tests.survival.houses import on, pour
from tests.survival.outcomes import lost_nothing
from tests.waiting import wait_until


class Stopped:
    """Nobody listens any more."""

    def __init__(self, house):
        self.postgres, self.database = house.setup.postgres, house.setup.database

    def begin(self):
        self.postgres.stop("fast")

    def end(self):
        self.postgres.start()


class Killed(Stopped):
    def begin(self):
        self.postgres.kill9()


class Frozen(Stopped):
    """Connections stay open, new ones are made by the kernel, and nobody answers on either."""

    def begin(self):
        self.postgres.freeze()

    def end(self):
        self.postgres.thaw()


class Crowded(Stopped):
    """No connection is left for us, and those we had are cut."""

    def begin(self):
        self.postgres.execute("CREATE ROLE nobody_else SUPERUSER LOGIN")
        self.postgres.execute(f'ALTER DATABASE "{self.database}" CONNECTION LIMIT 0')
        self.postgres.execute("ALTER ROLE switchboard NOSUPERUSER")
        self.postgres.terminate_connections(self.database)

    def end(self):
        self.postgres.execute("ALTER ROLE switchboard SUPERUSER", user="nobody_else")
        self.postgres.execute(f'ALTER DATABASE "{self.database}" CONNECTION LIMIT -1')
        self.postgres.execute("DROP ROLE nobody_else")


class Cut(Stopped):
    """The connections that we had are gone; new ones work."""

    def begin(self):
        self.postgres.terminate_connections(self.database)


def is_refused(answer: Answer) -> None:
    """It says what is up, and when to come again."""
    assert answer.status == 503, answer
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert int(answer.headers["Retry-After"]) > 0
    problem = json.loads(answer.body)
    assert problem["status"] == 503
    assert "database" in problem["detail"] or "stored in time" in problem["detail"]
    assert "same request again" in problem["detail"]
    assert "X-Frame-Options" in answer.headers


def knock_everywhere(at: Doors) -> list[Answer]:
    """All doors at the same moment."""
    with ThreadPoolExecutor(5) as pool:
        return [answer.result() for answer in [pool.submit(knock) for knock in at.all.values()]]


def recovered(at: Doors) -> list[Answer]:
    """Knock until every door takes in again, as those do who were told 503."""
    taken = []
    for name, knock in at.all.items():
        taken.append(
            wait_until(
                lambda knock=knock: (a := knock()).status in (200, 201, 202) and a, 60, f"{name} to recover"
            )
        )
    return taken


def all_or_nothing(at: Doors, answers: list[Answer]) -> None:
    """What got 2xx is there once; an event and its job are there together."""
    stored = at.stored()
    assert len(stored) == len(set(stored))
    taken = {answer.text for answer in answers if answer.status in (200, 202)}
    assert taken <= set(stored)
    assert at.jobs() == len(stored)


def away_and_back(at: Doors, fault, figure) -> None:
    answers = [knock() for knock in at.all.values()]
    assert {answer.status for answer in answers} <= {200, 201, 202}, answers
    fault.begin()
    try:
        first = knock_everywhere(at)
        # If each of these waited, the test would take a quarter of an hour.
        later = [answer for _ in range(40) for answer in knock_everywhere(at)]
    finally:
        fault.end()
    for answer in [*first, *later]:
        is_refused(answer)
    over = time.monotonic()
    back = recovered(at)
    recovery = time.monotonic() - over
    all_or_nothing(at, [*answers, *first, *later, *back])
    slowest = sorted(answer.seconds for answer in later)
    figure(
        f"503 after {max(answer.seconds for answer in first):.2f} s at first, then after "
        f"{slowest[len(slowest) // 2] * 1000:.0f} ms (median of {len(later)}; slowest {slowest[-1] * 1000:.0f} ms); "
        f"all doors open again {recovery:.2f} s after it was back"
    )


@on("postgres-redis")
def test_cut_connections_are_made_anew_and_nobody_notices(house, run):
    with doors(house, run) as at:
        answers = []
        for _ in range(10):
            Cut(house).begin()
            answers += knock_everywhere(at)
        assert {answer.status for answer in answers} <= {200, 201, 202}, answers
        all_or_nothing(at, answers)


@on("postgres-redis")
@pytest.mark.parametrize("fault", [Stopped, Killed, Frozen, Crowded])
def test_postgresql_is_away(house, run, figure, fault):
    with doors(house, run) as at:
        away_and_back(at, fault(house), figure)


def through(proxy, house):
    url = urlsplit(house.setup.database_url)
    return urlunsplit(url._replace(netloc=f"{url.username}@127.0.0.1:{proxy.port}"))


class Swallowing:
    def __init__(self, proxy):
        self.begin, self.end = proxy.swallow, proxy.pass_on


@on("postgres-redis")
def test_the_network_swallows_what_is_said_to_postgresql(house, run, figure):
    proxy = Proxy(house.setup.postgres.port)
    try:
        with doors(house, run, DATABASE_URL=through(proxy, house)) as at:
            away_and_back(at, Swallowing(proxy), figure)
    finally:
        proxy.close()


# --- SQLite ------------------------------------------------------------------------------------------


@contextmanager
def locked(database_url):
    """Another process is writing, and doesn't come to an end."""
    path = database_url.removeprefix("sqlite:///")
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


@on("embedded")
def test_sqlite_is_locked_for_a_while_and_then_for_too_long(house, run, figure):
    with doors(house, run) as at, ThreadPoolExecutor(5) as pool:
        knocks = list(at.all.values())
        early = [knock() for knock in knocks]
        with locked(house.setup.database_url):
            waiting = [pool.submit(knock) for knock in knocks]
            wait_until(lambda: at.is_healthy(), 20, "the web process to have read what was posted before")
            assert not any(one.done() for one in waiting)
        early += [one.result() for one in waiting]
        assert {answer.status for answer in early} <= {200, 201, 202}, early
        with locked(house.setup.database_url):
            first = knock_everywhere(at)
            later = [answer for _ in range(20) for answer in knock_everywhere(at)]
        for answer in [*first, *later]:
            is_refused(answer)
        back = recovered(at)
        all_or_nothing(at, [*early, *first, *later, *back])
    figure(
        f"locked: 503 after {max(answer.seconds for answer in first):.1f} s at first, then after "
        f"{max(answer.seconds for answer in later) * 1000:.0f} ms at most"
    )


@pytest.fixture
def small_disk(tmp_path):
    place = tmp_path / "small"
    place.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(place)],
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        pytest.skip(f"no small file system can be mounted here: {made.stderr.strip()}")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


@on("embedded")
def test_the_disk_is_full(house, run, small_disk):
    copy = small_disk / "switchboard.sqlite3"
    path = house.setup.database_url.removeprefix("sqlite:///")
    with closing(sqlite3.connect(path)) as here, closing(sqlite3.connect(copy)) as there:
        here.backup(there)
    database_url = f"sqlite:///{copy}"
    with doors(house, run, seen_at=database_url, DATABASE_URL=database_url) as at:
        answers = [knock() for knock in at.all.values()]
        filler = (small_disk / "filler").open("wb", buffering=0)
        with filler, suppress(OSError):
            while filler.write(b"x" * 4096) == 4096:
                pass

        def full():
            answers.extend(found := knock_everywhere(at))
            return all(answer.status == 503 for answer in found)

        wait_until(full, 60, "what was left of the last pages to be used up")
        refused = [answer for _ in range(5) for answer in knock_everywhere(at)]
        for answer in refused:
            is_refused(answer)
        (small_disk / "filler").unlink()
        back = recovered(at)
        all_or_nothing(at, [*answers, *refused, *back])


# --- Redis is no reason to wait -----------------------------------------------------------------------


@on("postgres-redis")
@pytest.mark.parametrize("frozen", [False, True], ids=["killed", "frozen"])
def test_redis_is_away(house, run, figure, frozen):
    redis = house.setup.redis
    with doors(house, run) as at:
        answers = [knock() for knock in at.all.values()]
        redis.freeze() if frozen else redis.kill9()
        try:
            first = knock_everywhere(at)
            later = [answer for _ in range(40) for answer in knock_everywhere(at)]
        finally:
            redis.thaw() if frozen else redis.start()
        everything = [*answers, *first, *later, *recovered(at)]
        assert {answer.status for answer in everything} <= {200, 201, 202}
        all_or_nothing(at, everything)
    seconds = sorted(answer.seconds for answer in later)
    figure(
        f"taken in after {max(answer.seconds for answer in first):.2f} s at most at first, then after "
        f"{seconds[len(seconds) // 2] * 1000:.0f} ms (median of {len(later)}; slowest {seconds[-1] * 1000:.0f} ms)"
    )


# --- workers ------------------------------------------------------------------------------------------


@on("postgres-redis")
def test_a_worker_whose_connections_are_half_open_comes_back_by_itself(house, run, figure):
    since = house.ledger.last_job()
    proxy = Proxy(house.setup.postgres.port)
    try:
        with house.worker("behind", env={"DATABASE_URL": through(proxy, house)}) as worker:
            asked = pour(house, run, conversations=5, each=2)
            wait_until(lambda: len(house.witness.sends(run)) == 10, 60, "ten replies")
            house.ledger.settled(30)
            proxy.swallow()
            asked += pour(house, run, conversations=5, each=2, start_place=2)
            wait_until(lambda: not house.ledger.is_alive(worker.pid), 60, "its lease to be over")
            proxy.pass_on()
            back = time.monotonic()
            wait_until(lambda: len(house.witness.sends(run)) >= 20, 90, "all replies")
            seconds = time.monotonic() - back
            house.ledger.settled(60)
            assert worker.process.alive
            house.ledger.wait_until(lambda: house.ledger.is_alive(worker.pid), 30, "a lease again")
    finally:
        proxy.close()
    lost_nothing(house, run, asked, faults=[], since=since)
    figure(f"worked on {seconds:.1f} s after the network did")
