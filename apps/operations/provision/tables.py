"""Strict reading of nested tables: each value is asked for by name and type, and what nobody asked for is an error."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from apps.operations.provision.wanted import ProvisionError

TYPES = {
    str: "a text",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    list: "a list",
    dict: "a table",
}


def nearest(word: str, known: Iterable[str]) -> str:
    """“did you mean …” where a known word is near, else all that are known."""
    names = sorted(known)
    near = get_close_matches(word, names, n=1)
    return f"did you mean {near[0]}?" if near else f"known: {', '.join(names) or 'none'}"


class Table:
    """One table of the set-up. Ask for its values, then call `end`."""

    def __init__(self, values: Mapping[str, Any], where: str) -> None:
        self.where = where
        self._values = dict(values)
        self._asked: set[str] = set()

    def error(self, key: str, message: str) -> ProvisionError:
        """An error about the value under `key`."""
        return ProvisionError(f"{self.where} › {key}" if self.where else key, message, key=key)

    def has(self, key: str) -> bool:
        return key in self._values

    def take(self, key: str, kind: type, default: Any = None) -> Any:
        """The value under `key`, which must be a `kind`; `default` where there is none. Raises ProvisionError."""
        self._asked.add(key)
        if key not in self._values:
            return default
        value = self._values[key]
        if kind is float and type(value) is int:
            return value
        # A boolean is an integer to Python, and to nobody else.
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            # Never the value itself: it may be a secret in the wrong place.
            raise self.error(key, f"must be {TYPES[kind]}, not {TYPES.get(type(value), 'that')}")
        return value

    def name(self, key: str = "name", *, longest: int = 100) -> str:
        """A required text that is not empty."""
        value: str = self.take(key, str, "").strip()
        if not value:
            raise ProvisionError(f"{self.where} › {key}" if self.where else key, "is missing", key="")
        if len(value) > longest:
            raise self.error(key, f"is longer than {longest} characters")
        return value

    def given(self, **kinds: type) -> dict[str, Any]:
        """Those of these values that are there."""
        found = {key: self.take(key, kind) for key, kind in kinds.items()}
        return {key: value for key, value in found.items() if key in self._values}

    def texts(self, key: str) -> list[str]:
        """A list of texts; one text counts as a list of one."""
        if isinstance(self._values.get(key), str):
            return [self.take(key, str)]
        found = self.take(key, list, [])
        if not all(isinstance(one, str) for one in found):
            raise self.error(key, "must be a list of texts")
        return list(found)

    def tables(self, key: str, label: str = "name") -> list[Table]:
        """The tables of the list under `key`, each with a place that names it by its `label`."""
        found = self.take(key, list, [])
        tables = []
        for number, values in enumerate(found, start=1):
            if not isinstance(values, Mapping):
                raise self.error(key, f"must be a list of tables: [[{key}]]")
            named = values.get(label)
            place = f'{key} "{named}"' if isinstance(named, str) and named else f"{key} {number}"
            tables.append(Table(values, f"{self.where} › {place}" if self.where else place))
        return tables

    def end(self) -> None:
        """Raises ProvisionError if there is more than was asked for."""
        for key in self._values:
            if key not in self._asked:
                raise self.error(key, f"is unknown; {nearest(key, self._asked)}")
