"""The harness' own parts: schedules by seed, faults by seed, half-open connections, the table of the documentation."""

import asyncio
import json

import pytest

from chaos import journal as journals
from chaos import report
from chaos.journal import Journal
from chaos.nemesis.__main__ import DEEDS
from chaos.nemesis.schedule import KINDS, planned, replayed
from chaos.profiles import PROFILES
from chaos.upstream.drawing import TELEGRAM, Draw, Timing, telegram_fault
from chaos.upstream.proxy import Proxy
from tests.servers.processes import free_port
from tests.servers.setups import NAMES


def test_a_seed_decides_the_schedule():
    one, again = planned("embedded", 7, 60, every=4), planned("embedded", 7, 60, every=4)
    assert one == again
    assert one != planned("embedded", 8, 60, every=4)
    assert all(fault.at + fault.seconds <= 60 for fault in one)


@pytest.mark.parametrize("setup", NAMES)
def test_ten_minutes_bring_every_fault_that_this_set_up_can_have(setup):
    profile = PROFILES["full"]
    found = {fault.kind for fault in planned(setup, profile.seed, profile.seconds, every=profile.every)}
    assert found == {name for name, kind in KINDS.items() if setup in kind.setups}


def test_ci_brings_nearly_every_fault_somewhere():
    profile = PROFILES["ci"]
    found = {
        fault.kind
        for setup in NAMES
        for fault in planned(setup, profile.seed, profile.seconds, every=profile.every)
    }
    assert set(KINDS) - found <= {"kill_broker"}


def test_every_kind_can_be_done():
    assert set(DEEDS) == set(KINDS)


def test_a_schedule_is_read_back_from_its_faults(tmp_path):
    schedule = planned("postgres-redis", 3, 40, every=4)
    journal = Journal(tmp_path / journals.FAULTS)
    for one in schedule:
        journal.write({**one.line(), "begin": 1.0})
        journal.write({"id": one.id, "end": 2.0, "skipped": "", "error": ""})
    assert replayed(tmp_path / journals.FAULTS) == schedule


def test_which_fault_a_call_meets_does_not_depend_on_who_comes_first():
    texts = [f"question {number}" for number in range(300)]
    one, other = Draw(5, TELEGRAM), Draw(5, TELEGRAM)
    forward = {text: [one(text), one(text)] for text in texts}
    backward = {text: [other(text), other(text)] for text in reversed(texts)}
    assert forward == backward
    assert {fault for faults in forward.values() for fault in faults} > {"", "slow", "500"}
    other.on = False
    assert other("question 1") == ""


def test_every_fault_by_seed_is_one_that_the_fake_can_do():
    assert all(telegram_fault(name, Timing()) for name in TELEGRAM)
    assert telegram_fault("", Timing()) is None


def test_a_line_that_was_cut_off_in_the_middle_is_left_out(tmp_path):
    journal = Journal(tmp_path / "a.jsonl")
    journal.write({"at": 1})
    with (tmp_path / "a.jsonl").open("a") as file:
        file.write('{"at": 2, "text": "ha')
    assert journals.read(tmp_path / "a.jsonl") == [{"at": 1}]


async def echo(reader, writer):
    while piece := await reader.read(100):
        writer.write(piece)
    writer.close()


def test_a_half_open_connection_stays_dead_and_a_new_one_lives(tmp_path):
    async def scene():
        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        proxy = Proxy(
            free_port(), server.sockets[0].getsockname()[1], Journal(tmp_path / "a.jsonl"), "telegram"
        )
        await proxy.start()
        old_reader, old = await asyncio.open_connection("127.0.0.1", proxy.port)
        old.write(b"one")
        assert await old_reader.readexactly(3) == b"one"
        await proxy.set("swallow")
        await proxy.set("pass")
        old.write(b"two")
        reader, new = await asyncio.open_connection("127.0.0.1", proxy.port)
        new.write(b"three")
        assert await reader.readexactly(5) == b"three"
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(old_reader.read(3), 0.3)  # neither an answer nor an end
        await proxy.set("refuse")
        with pytest.raises(ConnectionError):
            await asyncio.open_connection("127.0.0.1", proxy.port)
        for writer in (old, new):
            writer.close()
        await asyncio.gather(old.wait_closed(), new.wait_closed(), return_exceptions=True)
        server.close()
        await asyncio.sleep(0.1)  # what the proxy has aborted is closed in the loop's next turns

    asyncio.run(scene())
    swallowed = [line["swallowed"] for line in journals.read(tmp_path / "a.jsonl")]
    assert swallowed == ["there"]


def test_the_table_of_the_documentation_is_made_from_the_kept_results():
    text = report.PAGE.read_text()
    assert report.page(text) == text, "it is stale: python -m chaos.report"


def test_the_kept_results_are_of_all_set_ups_and_everything_held():
    runs = report.results()
    assert {run["setup"] for run in runs} == set(NAMES)
    for run in runs:
        broken = [finding["name"] for finding in run["findings"] if not finding["ok"]]
        assert not broken, json.dumps(run["findings"], indent=1)
        assert run["drained"]
