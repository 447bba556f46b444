"""Reads a Procfile: one process a line, `name: command`.

A command is one simple shell command, without pipes and `&&`: the runner puts `exec` before it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_LINE = re.compile(r"(?P<name>[A-Za-z0-9_-]+)\s*:\s*(?P<command>\S.*)")


class ProcfileError(Exception):
    """A Procfile that can't be read or understood; the message names file and line."""


@dataclass(frozen=True)
class ProcessLine:
    """One process to keep running. `command` is for the shell: it may use variables of the environment."""

    name: str
    command: str


def read_procfile(path: Path) -> list[ProcessLine]:
    """The lines of the file in its order, blank lines and # comments left out. Raises ProcfileError."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as problem:
        raise ProcfileError(f"{path}: {problem.strerror}") from None
    lines: dict[str, ProcessLine] = {}
    for number, raw in enumerate(text.splitlines(), start=1):
        stripped = raw.strip()
        if not stripped or stripped.startswith("#"):
            continue
        match = _LINE.fullmatch(stripped)
        if match is None:
            raise ProcfileError(f"{path}, line {number}: expected `name: command`, found {stripped!r}")
        line = ProcessLine(name=match["name"], command=match["command"])
        if line.name in lines:
            raise ProcfileError(f"{path}, line {number}: the name {line.name!r} is used twice")
        lines[line.name] = line
    if not lines:
        raise ProcfileError(f"{path}: no process in it")
    return list(lines.values())
