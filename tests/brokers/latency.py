"""How long a bell takes, by broker: from the commit of the job to the worker that hears it, and to the claim.

    python -m tests.brokers.latency [jobs]        60 lone jobs on each broker

Lone jobs, one after the other, on SQLite; a claim may be the sweeper's, which looks four times a second by itself. The
figures of SQS are moto's on the loopback and say nothing about AWS.
"""

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from tests.waiting import wait_until


def main(jobs: int) -> None:
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    django.setup()

    from tests.brokers.brokers import NAMES, make
    from tests.brokers.site import Site
    from tests.fakes.witness import Witness

    sys.stdout.write(f"load {os.getloadavg()[0]:.1f}, {jobs} jobs each; milliseconds from the commit\n")
    for name in NAMES:
        broker = make(name)
        with tempfile.TemporaryDirectory(prefix="sblat") as place, Witness(Path(place)) as witness:
            site = Site(broker, f"sqlite:///{place}/db.sqlite3", Path(place), witness)
            try:
                site.prepare()
                with site.worker("one"):
                    measure(site, 5)
                    heard, claimed = measure(site, jobs)
            finally:
                site.close()
                broker.remove()
        sys.stdout.write(f"{name:10} heard {shown(heard)}   claimed {shown(claimed)}\n")


def measure(site, jobs: int) -> tuple[list[float], list[float]]:
    heard, claimed = [], []
    for _ in range(jobs):
        before, began = len(site.heard()), time.time()
        site.make()
        (bell,) = wait_until(lambda before=before: site.heard()[before:], 30, "a bell", interval=0.005)
        site.ledger.settled(30)
        site.wait_answered()
        heard.append((bell["at"] - began) * 1000)
        query = "SELECT (julianday(started_at) - julianday(created_at)) * 86400000 AS ms FROM jobs_job"
        claimed.append(float(site.ledger.one(f"{query} ORDER BY id DESC LIMIT 1")))
    return heard, claimed


def shown(times: list[float]) -> str:
    return f"p50 {statistics.median(times):6.1f}  p95 {statistics.quantiles(times, n=20)[-1]:6.1f}"


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 60)
