"""`python -m apps.operations.demo`: sets the demo up, runs it, asks it a question. `--dev` is `make dev`."""

from __future__ import annotations

import argparse
import os
import sys
import threading
from collections import Counter, deque
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from apps.operations.demo.environment import ADMIN, ROOT, DemoEnvironment, DemoError, prepare
from apps.operations.embedded_redis import EmbeddedServerError
from apps.operations.ports import PortTaken
from apps.operations.procfile import ProcessLine, read_procfile
from apps.operations.runner import Runner, stop_on_signals
from apps.operations.watcher import Watcher

if TYPE_CHECKING:
    from apps.operations.demo.guide import Guide

SOURCES = ("apps", "project")
TAIL = 30  # lines of the log that are shown when something went wrong


class Terminal:
    """What the person sees; what the processes print goes to a file, or with `everything` beside it."""

    def __init__(self, log: TextIO, *, everything: bool) -> None:
        self._log, self._everything = log, everything
        self._tail: deque[str] = deque(maxlen=TAIL)
        self._deaths: Counter[str] = Counter()

    def say(self, line: str = "") -> None:
        """A line of ours."""
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()

    def printed(self, name: str, line: str) -> None:
        """A line that a process printed."""
        text = f"{name:<7}| {line}"
        self._tail.append(text)
        self._log.write(f"{text}\n")
        self._log.flush()
        if self._everything:
            self.say(text)

    def noticed(self, name: str, line: str) -> None:
        """A process ended by itself, or had to be killed."""
        self._deaths[name] += 1
        self.printed(name, f"[{line}]")
        if not self._everything:
            self.say(f"{name:<7}| {line}")

    def deaths(self, name: str) -> int:
        """How often the process of this name ended by itself."""
        return self._deaths[name]

    def show_tail(self) -> None:
        """The last lines that the processes printed."""
        if not self._everything:
            for line in list(self._tail):
                self.say(line)


def main(arguments: list[str]) -> int:
    """The command line. 0: it ran, the answer came and it was stopped; 1: something of that went wrong."""
    parser = argparse.ArgumentParser(prog="demo")
    parser.add_argument("--once", action="store_true", help="end after the answer")
    parser.add_argument("--dev", action="store_true", help="DEBUG, restart on change, no question")
    options = parser.parse_args(arguments)
    try:
        environment = prepare(os.environ, debug=options.dev)
        os.environ.update(environment.variables)
        return _run(environment, once=options.once, dev=options.dev)
    except (DemoError, PortTaken, EmbeddedServerError) as problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    except KeyboardInterrupt:  # before the processes were started
        return 130


def _run(environment: DemoEnvironment, *, once: bool, dev: bool) -> int:
    path = environment.directory / "processes.log"
    with path.open("w", encoding="utf-8") as log:
        terminal = Terminal(log, everything=dev)
        for name in environment.taken_over:
            terminal.say(f"Using your {name}.")
        if environment.redis_directory:
            terminal.say(f"Redis-compatible server of its own at {environment.variables['REDIS_URL']}")
        terminal.say("Preparing database, example customer and knowledge base")
        guide = _set_up(environment, terminal, path)
        runner = Runner(
            _lines(environment),
            environment=environment.variables,
            directory=ROOT,
            printed=terminal.printed,
            noticed=terminal.noticed,
            last=("redis",),
            watcher=Watcher(ROOT / name for name in SOURCES) if dev else None,
        )
        stop_on_signals(runner)
        # The runner has the main thread: the processes hang on it (leash.py).
        guiding = threading.Thread(target=guide.go, args=(runner,), kwargs={"once": once, "ask": not dev})
        guiding.start()
        try:
            status = runner.run()
        finally:
            guide.stopped.set()
            guiding.join()
        terminal.say("Everything that was started has ended.")
        return 1 if status or not guide.succeeded else 0


def _lines(environment: DemoEnvironment) -> list[ProcessLine]:
    lines = read_procfile(ROOT / "Procfile.demo")
    return [line for line in lines if line.name != "redis" or environment.redis_directory]


def _set_up(environment: DemoEnvironment, terminal: Terminal, log: Path) -> Guide:
    """Migrates and provisions. Django is imported only now, when its settings are in the environment."""
    import django
    from django.core.management import call_command
    from django.core.management.base import SystemCheckError
    from django.db import DatabaseError, connections

    django.setup()
    from apps.operations.demo.guide import Guide
    from apps.operations.demo.provision import documentation, provision_demo

    try:
        call_command("migrate", interactive=False, verbosity=0)
        example = provision_demo(
            admin_name=ADMIN,
            admin_password=environment.secrets.make("ADMIN_PASSWORD", length=12),
            api_key=environment.secrets.get("API_KEY"),
            texts=documentation(ROOT),
        )
    except SystemCheckError as problem:
        raise DemoError(str(problem)) from problem
    except DatabaseError as problem:
        raise DemoError(f"The database can't be used: {problem}") from problem
    finally:
        connections.close_all()
    environment.secrets.put("API_KEY", example.api_key)
    return Guide(environment, terminal, log, example)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
