"""Figures: who calls a destination that fails, and how often. Several processes, real time, the breaker as it ships.

    REDIS_URL=redis://127.0.0.1:6379/9 python -m bench.retries --share 0.5 [--seconds 60] [--processes 4]

Each process makes first tries at its rate over three accounts of one provider; what fails comes back after 1 and 2
seconds, what is refused when it was told to. Calls of the last `--seconds` are counted by kind.
"""

import argparse
import heapq
import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from typing import Any

BACKOFF = (1.0, 2.0)


def one_process(options: argparse.Namespace) -> Counter[str]:
    """Call, fail and come back until the time is over."""
    import structlog
    from django.conf import settings

    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    settings.configure(REDIS_URL=os.environ["REDIS_URL"], BREAKERS={"chat": "5/30"})
    from apps.reliability import breaker

    counts: Counter[str] = Counter()
    due: list[tuple[float, int, int, int]] = []  # when, its number, tries so far, account
    number, began = 0, time.monotonic()
    next_first = began
    while (now := time.monotonic()) < began + options.seconds:
        if now >= next_first:
            next_first += 1 / options.rate
            heapq.heappush(due, (now, number, 0, number % 3))
            number += 1
        if not due or due[0][0] > now:
            time.sleep(0.002)
            continue
        _, mine, tries, account = heapq.heappop(due)
        names = ("service:chat:figures", f"channel:{account}")
        [answer] = breaker.admit([breaker.Call(names, tries > 0)])
        if answer.seconds:
            counts[answer.code] += 1
            heapq.heappush(due, (now + answer.seconds, mine, tries, account))
            continue
        failed = random.random() < options.share
        counts["retries" if tries else "first tries"] += 1
        counts["failed"] += failed
        breaker.record(breaker.Outcome(names, ok=not failed, failed=failed))
        if failed and tries < len(BACKOFF):
            heapq.heappush(due, (now + BACKOFF[tries], mine, tries + 1, account))
        elif failed:
            counts["given up"] += 1
    counts["messages"] = number
    counts["waiting at the end"] = len(due)
    return counts


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--share", type=float, default=0.5, help="of calls that fail")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--rate", type=float, default=10.0, help="first tries a second, each process")
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(one_process(options)))
        return
    command = [sys.executable, "-m", "bench.retries", "--child", *sys.argv[1:]]
    children = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        for _ in range(options.processes)
    ]
    total: Counter[str] = Counter()
    for child in children:
        said, _ = child.communicate()
        found: dict[str, Any] = json.loads(said)
        total.update(found)
    calls = total["first tries"] + total["retries"]
    share = f"{total['retries'] / calls:.1%} of {calls} calls were retries" if calls else "no calls"
    print(json.dumps(dict(total)), share, sep="\n")


if __name__ == "__main__":
    main()
