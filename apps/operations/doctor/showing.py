"""Findings for a person in a terminal."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator

from apps.operations.doctor.finding import Finding, Level

WIDTH = 100
INDENT = 8
COLOURS = {Level.OK: "32", Level.NOTE: "36", Level.WARN: "33", Level.FAIL: "31;1", Level.SKIP: "90"}


def family(name: str, findings: Iterable[Finding], *, colour: bool) -> Iterator[str]:
    """A headline, then a line for each finding, and below it what to do."""
    yield f"\n\033[1m{name}\033[0m" if colour else f"\n{name}"
    for finding in findings:
        label = f"{finding.level.value:<5}"
        mark = f"\033[{COLOURS[finding.level]}m{label}\033[0m" if colour else label
        lines = _folded(f"{finding.name}: {finding.found}")
        yield f"  {mark} {lines[0]}"
        yield from (" " * INDENT + line for line in lines[1:])
        for line in _folded(finding.advice) if finding.advice else ():
            yield f"{' ' * INDENT}{line}"
        if finding.command:
            yield f"{' ' * INDENT}$ {finding.command}"  # never folded: it is there to be copied


def summary(counts: Counter[Level]) -> str:
    """The last line."""
    parts = [
        f"{counts[level]} {word}"
        for level, word in (
            (Level.FAIL, "failed"),
            (Level.WARN, "to look at"),
            (Level.SKIP, "left out"),
            (Level.OK, "fine"),
        )
        if counts[level]
    ]
    verdict = "Something doesn't work." if counts[Level.FAIL] else "Nothing failed."
    return f"\n{verdict} {', '.join(parts)}."


def _folded(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH - INDENT, break_long_words=False, break_on_hyphens=False) or [""]
