"""Run the checks: side by side, each isolated, under one deadline."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Sequence

from django.db import connections

from apps.operations.doctor.finding import Check, Finding, Level, Settings, fail, skip
from apps.reliability.redaction import redact_text


class Run:
    """One check in a thread of its own. What it found so far can be read at any time."""

    def __init__(self, check: Check, asked: Settings) -> None:
        self.check = check
        self._asked = asked
        self._found: list[Finding] = []
        # A daemon: a call that never comes back must not keep the command from ending.
        self._thread = threading.Thread(target=self._run, name=f"doctor-{check.name}", daemon=True)
        self._thread.start()

    def wait(self, until: float) -> list[Finding]:
        """What it found; with a finding about itself if it is not done at `until` (time.monotonic)."""
        self._thread.join(max(0.0, until - time.monotonic()))
        found = list(self._found)
        if self._thread.is_alive():
            found.append(
                fail(
                    "in time",
                    "no end of this check before the deadline",
                    "Something it asks swallows packets, or is very slow: look at what is missing above. "
                    "--deadline gives it more time.",
                )
            )
        return found

    def _run(self) -> None:
        try:
            for finding in self.check.run(self._asked):
                self._found.append(finding)
        except Exception as error:
            # Whatever it was, the other checks go on. No traceback: it could show a secret.
            what = redact_text(f"{type(error).__name__}: {error}").strip()
            self._found.append(
                fail(
                    "the check itself", f"broke: {what}", "Mend what it says; if it says nothing, report it."
                )
            )
        finally:
            connections.close_all()


def examine(
    checks: Sequence[Check], asked: Settings, *, deadline: float
) -> Iterator[tuple[str, list[Finding]]]:
    """(family, findings) of each check, in their order, as soon as it is known. `deadline` is in seconds for all."""
    until = time.monotonic() + deadline
    runs: dict[str, Run] = {}
    results: dict[str, list[Finding]] = {}

    def result(name: str) -> list[Finding]:
        if name not in results:
            results[name] = runs[name].wait(until)
        return results[name]

    def start(check: Check) -> None:
        failed = [need for need in check.needs if need in results and holds_up(results[need])]
        if failed:
            results[check.name] = [skip("left out", f"{failed[0]} comes first")]
        else:
            runs[check.name] = Run(check, asked)

    free = [check for check in checks if not check.needs and not check.last]
    for check in free:
        start(check)
    for check in checks:
        if check.needs and not check.last:
            for need in check.needs:
                if need in runs:
                    result(need)
            start(check)
    for check in checks:
        if check.last:
            for other in checks:
                if other is not check and not other.last:
                    result(other.name)
            start(check)
        yield check.name, result(check.name)


def is_bad(findings: Iterable[Finding]) -> bool:
    """Whether something doesn't work."""
    return any(finding.level is Level.FAIL for finding in findings)


def holds_up(findings: Iterable[Finding]) -> bool:
    """Whether what needs this can't be looked at."""
    return any(finding.level in (Level.FAIL, Level.SKIP) for finding in findings)
