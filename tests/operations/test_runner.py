"""The runner with real processes: it restarts what dies, stops what it started, and touches nothing else."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.operations.running import DEADLINE, POLITE, alive, runner_of
from tests.waiting import wait_until

pytestmark = pytest.mark.survival


def test_a_child_that_dies_is_started_again_and_the_others_run_on(tmp_path: Path) -> None:
    with runner_of(tmp_path, f"one: {POLITE}") as runner:
        first = runner.pid("one")
        os.kill(first, signal.SIGKILL)
        runner.line(r"one \| \[was ended by SIGKILL; starting it again in 0.5 s\]")
        second = runner.pid("one")
        assert second != first
        os.kill(second, signal.SIGKILL)
        runner.line(r"starting it again in 1 s\]")


def test_the_others_run_on(tmp_path: Path) -> None:
    with runner_of(tmp_path, f"dies: sh -c 'exit 3'\nstays: {POLITE}") as runner:
        stays = runner.pid("stays")
        runner.line(r"dies +\| \[ended with status 3; starting it again in [12] s\]")
        assert alive(stays)
        assert runner.stop() == 0
        assert sum("stays" in line and "up" in line for line in runner.lines) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_it_stops_everything_it_started_and_nothing_else(tmp_path: Path, number: signal.Signals) -> None:
    with (
        subprocess.Popen(["sleep", "300"], start_new_session=True) as bystander,
        runner_of(tmp_path, f"one: {POLITE}\ntwo: {POLITE}\nidle: sleep 300") as runner,
    ):
        try:
            pids = [runner.pid("one"), runner.pid("two")]
            assert runner.stop(number) == 0
            assert not any(alive(pid) for pid in pids)
            assert sum(line.endswith("| bye") for line in runner.lines) == 2
            assert alive(bystander.pid)
        finally:
            bystander.kill()


def test_a_child_deaf_to_term_is_killed_with_all_its_group(tmp_path: Path) -> None:
    deaf = "sh -c 'trap \"\" TERM; sleep 300 & echo up $!; wait; wait'"
    with runner_of(tmp_path, f"deaf: {deaf}", "--grace", "0.3") as runner:
        grandchild = runner.pid("deaf")
        assert runner.stop() == 1
        assert any("did not end in time and was killed" in line for line in runner.lines)
        assert not alive(grandchild)


def test_a_second_ctrl_c_does_not_wait(tmp_path: Path) -> None:
    deaf = "sh -c 'trap \"echo deaf\" TERM; sleep 300 & echo up $$; while :; do wait; done'"
    with runner_of(tmp_path, f"deaf: {deaf}", "--grace", "600") as runner:
        pid = runner.pid("deaf")
        runner.process.send_signal(signal.SIGINT)
        runner.line("deaf +. deaf")
        assert runner.stop(signal.SIGINT) == 1
        assert not alive(pid)


def test_what_a_dead_child_left_in_its_group_is_gone_before_the_next_start(tmp_path: Path) -> None:
    leaving = "sh -c 'sleep 300 & echo left $!; echo up $$; wait'"
    with runner_of(tmp_path, f"leaving: {leaving}") as runner:
        left = int(runner.line(r"left (\d+)")[1])
        os.kill(runner.pid("leaving"), signal.SIGKILL)
        runner.line("was ended by SIGKILL")
        wait_until(lambda: not alive(left), what="the end of what was left")


def test_a_child_that_cannot_start_is_reported_and_holds_up_nobody(tmp_path: Path) -> None:
    with runner_of(tmp_path, f"nope: /no/such/program\nstays: {POLITE}") as runner:
        runner.pid("stays")
        runner.line(r"nope +\| .*/no/such/program")
        runner.line(r"nope +\| \[ended with status 127; starting it again")
        assert runner.stop() == 0


def test_the_last_ones_are_stopped_when_the_others_have_ended(tmp_path: Path) -> None:
    with runner_of(tmp_path, f"redis: {POLITE}\nweb: {POLITE}", "--last", "redis") as runner:
        runner.line("up")
        runner.line("up")
        assert runner.stop() == 0
        assert [line for line in runner.lines if "bye" in line] == ["web   | bye", "redis | bye"]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent died")
def test_children_do_not_outlive_a_runner_killed_with_9(tmp_path: Path) -> None:
    with runner_of(tmp_path, f"one: {POLITE}") as runner:
        pid = runner.pid("one")
        runner.process.kill()
        runner.process.wait(timeout=DEADLINE)
        wait_until(lambda: not alive(pid), what="the end of the orphan")


def test_a_changed_file_restarts_all_but_the_last_ones(tmp_path: Path) -> None:
    source = tmp_path / "source" / "module.py"
    source.parent.mkdir()
    source.write_text("one = 1\n")
    options = ("--last", "redis", "--reload", str(source.parent))
    with runner_of(tmp_path, f"redis: {POLITE}\nweb: {POLITE}", *options) as runner:
        first = runner.pid("web")
        source.write_text("one = 1 + 1\n")
        os.utime(source, ns=(1, 1))
        runner.line(r"web +\| \[.*module.py has changed, starting it again\]")
        assert runner.pid("web") != first
        assert runner.stop() == 0
        assert sum(line.startswith("redis | up") for line in runner.lines) == 1


def test_it_ends_in_order_when_nobody_reads_any_more(tmp_path: Path) -> None:
    noisy = "sh -c 'while :; do echo noise; done'"
    with runner_of(tmp_path, f"noisy: {noisy}\none: {POLITE}") as runner:
        pid = runner.pid("one")
        # The reading end goes away below our own reader.
        assert runner.process.stdout is not None
        os.dup2(os.open(os.devnull, os.O_RDONLY), runner.process.stdout.fileno())
        runner.process.wait(timeout=DEADLINE)
        assert not alive(pid)


def test_output_without_an_end_of_line_or_in_no_encoding_comes_through(tmp_path: Path) -> None:
    with runner_of(tmp_path, r"odd: sh -c 'printf \\377one\\ntwo; exit 5'") as runner:
        runner.line(r"odd \| �one$")
        runner.line(r"odd \| two$")
        runner.line("ended with status 5")


def test_a_wrong_procfile_ends_it_at_once(tmp_path: Path) -> None:
    with runner_of(tmp_path, "nonsense") as runner:
        runner.line("expected `name: command`")
        assert runner.process.wait(timeout=DEADLINE) == 2
