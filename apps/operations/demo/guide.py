"""Shows the person around while the processes run: the story, the answer, the addresses."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Protocol

from django.db import connections

from apps.operations.demo.environment import ADMIN, DemoEnvironment
from apps.operations.demo.provision import Example
from apps.operations.demo.story import Story, StoryError
from apps.operations.ports import holder
from apps.operations.runner import Runner

HOPELESS = 4  # deaths before the answer


class Showing(Protocol):
    """Where the guide speaks."""

    def say(self, line: str = "") -> None: ...

    def show_tail(self) -> None: ...

    def deaths(self, name: str) -> int: ...


class Guide:
    """Runs in a thread beside the runner until all is said, or until `stopped` is set."""

    def __init__(self, environment: DemoEnvironment, showing: Showing, log: Path, example: Example) -> None:
        self.stopped = threading.Event()
        self.succeeded = False
        self._environment, self._showing, self._log, self._example = environment, showing, log, example

    def go(self, runner: Runner, *, once: bool, ask: bool) -> None:
        """Waits for the processes, asks the question, shows the addresses; `once`: then stops the runner."""
        try:
            self._story(ask=ask)
            self.succeeded = True
        except StoryError as problem:
            if not self.stopped.is_set():
                self._showing.show_tail()
                self._showing.say(f"\nNot answered: {problem}. What the processes printed is in {self._log}")
        finally:
            connections.close_all()
            if once:
                runner.stop()
        if not once and not self.stopped.is_set():
            self._show_addresses()

    def _story(self, *, ask: bool) -> None:
        story = Story(
            web=self._environment.web,
            flower=self._environment.flower,
            example=self._example,
            say=self._showing.say,
            stopped=self.stopped,
            hopeless=self._hopeless,
        )
        self._showing.say("Starting web, worker, beat and Flower")
        story.wait_until_up()
        if ask:
            answer = story.tell()
            self._showing.say("\n" + "\n".join(f"  | {line}" for line in answer.splitlines()))

    def _hopeless(self) -> str:
        """Why there is no point in waiting any longer, or nothing."""
        for name, port in (
            ("web", "PORT"),
            ("flower", "FLOWER_PORT"),
            ("worker", ""),
            ("beat", ""),
            ("redis", ""),
        ):
            if self._showing.deaths(name) < HOPELESS:
                continue
            number = self._environment.variables.get(port, "")
            user = holder(int(number)) if number else ""
            return f"{name} keeps ending" + (f"; port {number} is in use by {user}" if user else "")
        return ""

    def _show_addresses(self) -> None:
        passwords = self._environment.secrets
        web, flower = self._environment.web, self._environment.flower
        for line in (
            "",
            f"Chat page  {web}/chat/{self._example.chatbot}",
            f"Admin      {web}/admin/  user {ADMIN}, password {passwords.get('ADMIN_PASSWORD')}",
            f"Flower     {flower}/  user {ADMIN}, password {passwords.get('FLOWER_PASSWORD')}",
            f"API        {web}/api/docs  key {self._example.api_key}",
            f"           account {self._example.account}",
            f"Logs       {self._log}",
            "Ctrl-C stops everything that was started here.",
        ):
            self._showing.say(line)
