"""Brokers of one's own, started when a test first asks for them."""

from collections.abc import Iterator

import pytest

from tests.brokers.brokers import NAMES, Broker, make
from tests.brokers.site import Site
from tests.fakes.witness import Witness
from tests.servers.sqs import SqsServer
from tests.servers.switchboard import Worker


@pytest.fixture(scope="session")
def sqs_server() -> Iterator[SqsServer]:
    server = SqsServer()
    yield server
    server.remove()


@pytest.fixture
def on_sqs(sqs_server: SqsServer, settings) -> SqsServer:
    """This process's settings name the SQS, which has no queue yet."""
    sqs_server.forget_all()
    for name, value in sqs_server.env.items():
        setattr(settings, name, value)
    settings.BROKER_IS_SQS = True
    settings.SQS_QUEUES = {name: sqs_server.env["SQS_QUEUE_PREFIX"] + name for name in settings.QUEUES}
    return sqs_server


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "site" in metafunc.fixturenames:
        # One xdist process for each broker (--dist loadgroup), so that its servers are started once.
        groups = [pytest.param(name, marks=pytest.mark.xdist_group(f"broker-{name}")) for name in NAMES]
        metafunc.parametrize("broker_name", groups, scope="session")


class Brokers:
    """The servers, each started when a test first asks for it and kept for the session."""

    def __init__(self) -> None:
        self._made: dict[str, Broker] = {}

    def get(self, name: str) -> Broker:
        if name not in self._made:
            self._made[name] = make(name)
        return self._made[name]

    def close(self) -> None:
        for broker in self._made.values():
            broker.remove()


@pytest.fixture(scope="session")
def brokers() -> Iterator[Brokers]:
    made = Brokers()
    yield made
    made.close()


@pytest.fixture(scope="session")
def witness(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Witness]:
    with Witness(tmp_path_factory.mktemp("witness")) as found:
        yield found


@pytest.fixture(scope="session")
def whole_site(
    brokers: Brokers, witness: Witness, broker_name: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    directory = tmp_path_factory.mktemp(f"site-{broker_name}")
    made = Site(brokers.get(broker_name), f"sqlite:///{directory / 'db.sqlite3'}", directory, witness)
    made.prepare()
    yield made
    made.close()


@pytest.fixture
def site(whole_site: Site) -> Iterator[Site]:
    yield whole_site
    whole_site.tidy()


@pytest.fixture(scope="class")
def worker(whole_site: Site) -> Iterator[Worker]:
    """One worker for all tests of a class."""
    whole_site.broker.let_polls_end()
    with whole_site.worker("one") as found:
        yield found
