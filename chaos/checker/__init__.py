"""Judges a run: the witness first, then what was accepted, then the public API, the database last.

    findings = check(directory)          # while the system still answers
    broken = [one for one in findings if not one.ok]

python -m chaos.checker <run> judges the records of a run again (without what only a running system can say).
"""

from pathlib import Path

from chaos.checker.desk import Desk, ask_the_system
from chaos.checker.evidence import Evidence, gather
from chaos.checker.finding import Finding
from chaos.checker.invariants import INVARIANTS

__all__ = ["Desk", "Evidence", "Finding", "check", "gather"]


def check(directory: Path, *, desk: Desk | None = None) -> list[Finding]:
    """Every invariant's finding. `desk`: what the system says of itself; asked now where it is left out."""
    directory = directory.resolve()
    evidence = gather(directory)
    evidence.desk = desk or ask_the_system(directory, evidence)
    return [invariant(evidence) for invariant in INVARIANTS]
