"""What a scenario needs to know of a side that is up."""

from __future__ import annotations

import abc
import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Running:
    """A side that is up: its door, and the process ids of each kind of its processes.

    path   `{account}` in it stands for the account's id
    shape  of what is posted there (bench/load.py)
    """

    port: int
    path: str
    headers: dict[str, str]
    account: str  # its AI answers at once
    slow_account: str  # its AI takes `slow_seconds`
    kinds: dict[str, Sequence[int]]
    postmaster: int | None
    shape: str = "api"
    neighbour: dict[str, str] = field(default_factory=dict)  # another customer: key, account, slow_account


class Side(abc.ABC):
    """One of the two houses under measurement."""

    name: str
    label: str

    @abc.abstractmethod
    @contextlib.contextmanager
    def up(self, *, slow_seconds: float) -> Iterator[Running]:
        """Start it with a fresh database and a fresh Redis; stop it afterwards."""
