"""Runs the processes of a Procfile, side by side, until it is told to stop.

    python -m apps.operations.runner Procfile [--reload DIRECTORY ...] [--last NAME ...]

1. Each line is started in a process group of its own; what it prints comes out with its name in front.
2. One that dies is started again: after 0.5 s, then 1, 2, … at most 15 s while it keeps dying. Others run on.
3. With --reload, a changed file restarts all but the --last ones.
4. Ctrl-C, TERM or a closed terminal: what was started here, and nothing else, gets TERM and ten seconds, then
   KILL. The --last ones (a Redis that the others need) are stopped after the others. Ctrl-C again: KILL.
5. The exit status is 0 when all ended in time, 1 when something had to be killed.

A runner that dies by kill -9 takes its children with it on Linux (leash.py). In production use systemd or
containers, a unit per Procfile line; this runner is for the demo, development and a single small machine.
"""

from __future__ import annotations

import argparse
import math
import os
import selectors
import signal
import sys
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from types import FrameType

from apps.operations.child import Child
from apps.operations.procfile import ProcessLine, ProcfileError, read_procfile
from apps.operations.watcher import Watcher

TICK = 0.1  # seconds: how late a death, a signal or a deadline may be noticed
GRACE = 10.0  # seconds between TERM and KILL

Printer = Callable[[str, str], None]  # name of the process, line


class Runner:
    """Keeps processes running. `printed` gets what they print, `noticed` what there is to say about them."""

    def __init__(
        self,
        lines: Iterable[ProcessLine],
        *,
        environment: Mapping[str, str],
        directory: Path,
        printed: Printer,
        noticed: Printer,
        last: Collection[str] = (),
        watcher: Watcher | None = None,
        grace: float = GRACE,
    ) -> None:
        self._children = [Child(line, environment=environment, directory=directory) for line in lines]
        self._last = frozenset(last)
        self._printed, self._noticed = printed, noticed
        self._watcher = watcher
        self._grace = grace
        self._selector = selectors.DefaultSelector()
        self._stop_requests = 0
        self._killed = False

    def stop(self) -> None:
        """Asks for the end; safe from a signal handler and from any thread. A second call means KILL."""
        self._stop_requests += 1

    def run(self) -> int:
        """Runs until `stop()`. Returns 0, or 1 when a process had to be killed.

        Belongs in the main thread: to the kernel, a child's parent is the thread that started it (leash.py).
        """
        try:
            while not self._stop_requests:
                self._turn()
                self._start_due()
                self._reload()
        finally:
            self._end([child for child in self._children if child.line.name not in self._last])
            self._end(self._children)
            self._selector.close()
        return int(self._killed)

    def _start_due(self) -> None:
        for child in self._children:
            if child.start_at is None or time.monotonic() < child.start_at:
                continue
            try:
                child.start()
            except OSError as problem:
                pause = child.start_again(at_once=False)
                self._tell(self._noticed, child, f"can't be started ({problem}); trying again in {pause:g} s")
            else:
                self._selector.register(child.output, selectors.EVENT_READ, child)

    def _turn(self) -> None:
        """Waits a moment, passes on what was printed, sees who ended and who must be killed."""
        for key, _ in self._selector.select(TICK):
            self._pass_on(key.data)
        for child in self._children:
            status = child.exit_status()
            if status is not None:
                self._ended(child, status)
            elif child.kill_at is not None and time.monotonic() > child.kill_at:
                self._tell(self._noticed, child, "did not end in time and was killed")
                self._killed = True
                child.kill_at = math.inf
                child.kill()

    def _pass_on(self, child: Child) -> None:
        lines = child.read_lines()
        if lines is None:  # it closed its output, and may run on
            self._selector.unregister(child.output)
        for line in lines or ():
            self._tell(self._printed, child, line)

    def _ended(self, child: Child, status: int) -> None:
        for line in child.last_lines():
            self._tell(self._printed, child, line)
        if child.output in self._selector.get_map():
            self._selector.unregister(child.output)
        asked = child.kill_at is not None or self._stop_requests > 0
        child.gone()
        if self._stop_requests:
            return
        pause = child.start_again(at_once=asked)
        if not asked:
            self._tell(self._noticed, child, f"{describe_exit(status)}; starting it again in {pause:g} s")

    def _tell(self, printer: Printer, child: Child, line: str) -> None:
        try:
            printer(child.line.name, line)
        except OSError:  # whoever was reading has gone: end in order instead of leaving everything behind
            self._stop_requests = max(self._stop_requests, 1)

    def _reload(self) -> None:
        changed = self._watcher.changed() if self._watcher else None
        if changed is None:
            return
        for child in self._children:
            if child.line.name not in self._last and child.kill_at is None:
                self._tell(self._noticed, child, f"{changed} has changed, starting it again")
                child.ask_to_end(within=self._grace)

    def _end(self, children: list[Child]) -> None:
        self._stop_requests = max(self._stop_requests, 1)
        for child in children:
            child.start_at = None
            if child.running:
                child.ask_to_end(within=self._grace)
        while any(child.running for child in children):
            if self._stop_requests > 1:
                for child in children:
                    if child.running:
                        self._killed = True
                        child.kill()
            self._turn()


def describe_exit(status: int) -> str:
    """An exit status in words; negative means a signal."""
    if status < 0:
        return f"was ended by {signal.Signals(-status).name}"
    return f"ended with status {status}"


def stop_on_signals(runner: Runner) -> None:
    """Ctrl-C, TERM and a closed terminal ask the runner to stop."""

    def handle(_number: int, _frame: FrameType | None) -> None:
        runner.stop()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, handle)


def main(arguments: list[str]) -> int:
    """The command line; see the module's first lines."""
    parser = argparse.ArgumentParser(prog="runner", description="Run the processes of a Procfile.")
    parser.add_argument("procfile", type=Path)
    parser.add_argument("--reload", type=Path, nargs="*", default=[], metavar="DIRECTORY")
    parser.add_argument("--last", nargs="*", default=[], metavar="NAME", help="stop these after the others")
    parser.add_argument("--grace", type=float, default=GRACE, metavar="SECONDS", help="between TERM and KILL")
    options = parser.parse_args(arguments)
    try:
        lines = read_procfile(options.procfile)
    except ProcfileError as problem:
        sys.stderr.write(f"{problem}\n")
        return 2
    width = max(len(line.name) for line in lines)

    def show(name: str, line: str) -> None:
        sys.stdout.write(f"{name:<{width}} | {line}\n")
        sys.stdout.flush()

    runner = Runner(
        lines,
        environment=os.environ,
        directory=Path.cwd(),
        printed=show,
        noticed=lambda name, line: show(name, f"[{line}]"),
        last=options.last,
        watcher=Watcher(options.reload) if options.reload else None,
        grace=options.grace,
    )
    stop_on_signals(runner)
    return runner.run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
