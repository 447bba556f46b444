"""Who a worker process is, and whether it is still there. Real processes."""

import os
import subprocess
import sys

import pytest

from apps.jobs import leases
from apps.jobs.models import Worker
from tests.factories.jobs import WorkerFactory
from tests.waiting import wait_until


@pytest.fixture
def child():
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process
    process.kill()
    process.wait()
    process.stdin.close()


def gone(pid):
    return leases.process_start(pid) is None


def test_a_process_is_known_by_its_pid_and_start(child):
    start = leases.process_start(child.pid)
    assert start
    assert start == leases.process_start(child.pid)
    assert leases.process_start(os.getpid())
    child.kill()
    wait_until(lambda: gone(child.pid), 10, "the child to be a zombie")  # nobody has waited for it yet
    child.wait()
    assert gone(child.pid)


def test_a_name_with_spaces_and_brackets_does_not_confuse(tmp_path):
    odd = tmp_path / "a) (b 1 Z"
    odd.symlink_to("/bin/sleep")
    process = subprocess.Popen([str(odd), "60"])
    try:
        assert leases.process_start(process.pid).isdigit()
    finally:
        process.kill()
        process.wait()


def test_a_host_may_be_named(monkeypatch):
    leases.host_identity.cache_clear()
    monkeypatch.setenv("SWITCHBOARD_HOST_ID", "here")
    try:
        assert leases.host_identity() == "here"
    finally:
        leases.host_identity.cache_clear()
    monkeypatch.delenv("SWITCHBOARD_HOST_ID")
    assert len(leases.host_identity()) > 20
    leases.host_identity.cache_clear()


@pytest.mark.django_db
def test_a_worker_enters_itself():
    worker = Worker.objects.get(pk=leases.register({"b", "a"}))
    assert (worker.pid, worker.process_start) == (os.getpid(), leases.process_start(os.getpid()))
    assert (worker.host, worker.queues) == (leases.host_identity(), ["a", "b"])
    assert (worker.lease_until - worker.heartbeat_at).total_seconds() == pytest.approx(leases.LEASE, abs=0.01)


@pytest.mark.django_db
def test_a_killed_process_is_ended_at_once_and_nobody_else(child):
    here = leases.host_identity()
    start = leases.process_start(child.pid)
    killed = WorkerFactory(host=here, pid=child.pid, process_start=start)
    reused = WorkerFactory(host=here, pid=os.getpid(), process_start="1")  # its pid was given away again
    alive = WorkerFactory(host=here, pid=os.getpid(), process_start=leases.process_start(os.getpid()))
    elsewhere = WorkerFactory(host="another", pid=child.pid, process_start=start)
    me = WorkerFactory(host=here, pid=1, process_start="nonsense")
    assert leases.end_dead_processes(me=me.pk) == [reused.pk]
    child.kill()
    wait_until(lambda: gone(child.pid), 10, "the child's death")
    assert leases.end_dead_processes(me=me.pk) == [killed.pk]
    assert leases.end_dead_processes(me=me.pk) == []
    ended = Worker.objects.exclude(ended_at=None)
    assert {(worker.pk, worker.ended_how) for worker in ended} == {(killed.pk, "dead"), (reused.pk, "dead")}
    assert {alive.pk, elsewhere.pk, me.pk} == set(
        Worker.objects.filter(ended_at=None).values_list("pk", flat=True)
    )
