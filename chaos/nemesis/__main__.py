"""Run a schedule; see the package."""

import argparse
import random
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from chaos import journal as journals
from chaos.journal import Journal
from chaos.nemesis import network, processes, stores
from chaos.nemesis.schedule import Planned, planned, replayed
from chaos.nemesis.victims import Skipped, Victims

DEEDS: dict[str, Callable[[Victims, str, float], None]] = {
    "kill_worker": processes.kill_worker,
    "kill_web": processes.kill_program,
    "kill_events": processes.kill_program,
    "kill_beat": processes.kill_program,
    "stop_worker": processes.stop_worker,
    "deploy": processes.deploy,
    "poison": processes.poison,
    "skew_clock": processes.skew_clock,
    "kill_redis": stores.kill_server,
    "kill_broker": stores.kill_server,
    "kill_postgres": stores.kill_server,
    "flushall": stores.flushall,
    "client_kill": stores.client_kill,
    "copy_bells": stores.copy_bells,
    "purge_broker": stores.purge_broker,
    "cut_database": stores.cut_database,
    "kill_backend": stores.kill_backend,
    "lock_sqlite": stores.lock_sqlite,
    "fill_disk": stores.fill_disk,
    "refuse_telegram": network.refuse_telegram,
    "refuse_ai": network.refuse_ai,
    "swallow_telegram": network.swallow_telegram,
    "swallow_ai": network.swallow_ai,
    "bot_down": network.bot_down,
}


def carry_out(one: Planned, victims: Victims, journal: Journal) -> None:
    journal.write({**one.line(), "begin": time.time()})
    skipped = error = ""
    try:
        DEEDS[one.kind](victims, one.target, one.seconds)
    except Skipped as reason:
        skipped = str(reason)
    except (
        Exception
    ) as problem:  # a fault that a fault prevents: the broker is down already. It may have begun.
        error = f"{type(problem).__name__}: {str(problem)[:200]}"
    journal.write({"id": one.id, "end": time.time(), "skipped": skipped, "error": error})
    why = f"  skipped: {skipped}" if skipped else f"  {error}" if error else ""
    print(f"{one.at:7.1f} s  {one.kind} {one.target}{why}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--directory", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0, help="0: a random one, which is printed")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--every", type=float, default=4.0, help="seconds between two short faults")
    parser.add_argument("--replay", type=Path, help="the faults.jsonl of an earlier run")
    options = parser.parse_args()
    seed = options.seed or random.randrange(1, 2**31)
    print(f"nemesis: seed {seed}", flush=True)
    victims = Victims(options.directory)
    schedule = (
        replayed(options.replay)
        if options.replay
        else planned(victims.setup, seed, options.seconds, every=options.every)
    )
    journal = Journal(options.directory / journals.FAULTS)
    begun, threads = time.monotonic(), []
    for one in schedule:
        time.sleep(max(0.0, one.at - (time.monotonic() - begun)))
        threads.append(threading.Thread(target=carry_out, args=(one, victims, journal)))
        threads[-1].start()
    for thread in threads:
        thread.join()
    return 0


if __name__ == "__main__":
    sys.exit(main())
