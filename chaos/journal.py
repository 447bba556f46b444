"""Lines of JSON that several processes write and one reads: each line is one write to a file opened with O_APPEND.

A run's directory:

upstream.jsonl    what the outside world saw (chaos/upstream)            the witness
posted.jsonl      what was tried to hand in, before the first attempt    (chaos/producer)
accepted.jsonl    what was answered 2xx, and nothing else                (chaos/producer)
refused.jsonl     what must be refused, and the answer                   (chaos/producer)
faults.jsonl      begin and end of each fault                            (chaos/nemesis)
processes.jsonl   start and end of each of the system's processes        (chaos/system)
system.json       where everything is: addresses, accounts, environment
pids.json         which process has which pid now
"""

import json
import os
from pathlib import Path
from typing import Any

WITNESS, POSTED, ACCEPTED, REFUSED = "upstream.jsonl", "posted.jsonl", "accepted.jsonl", "refused.jsonl"
FAULTS, PROCESSES = "faults.jsonl", "processes.jsonl"
SYSTEM, PIDS = "system.json", "pids.json"

Line = dict[str, Any]


class Journal:
    """A file that is only ever appended to."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def write(self, line: Line) -> None:
        """One line, in one write: whoever dies after this call can't take it back."""
        os.write(self._file, (json.dumps(line) + "\n").encode())

    def close(self) -> None:
        os.close(self._file)


def read(path: Path) -> list[Line]:
    """All whole lines, in order; none where there is no file. The last line of a process that was killed in the
    middle of writing it is left out."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().split("\n")[:-1] if line]


def put(path: Path, value: Any) -> None:
    """Replace a file as a whole: nobody ever reads half of it."""
    draft = path.with_suffix(".draft")
    draft.write_text(json.dumps(value, indent=1))
    draft.replace(path)


def get(path: Path) -> Any:
    return json.loads(path.read_text())
