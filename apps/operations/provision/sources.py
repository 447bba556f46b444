"""Where values come from that should not be written down, and texts that are files already.

A secret is written as `env:NAME` (a variable of the environment), `@path` (a file, its last line break left out),
`-` (a line of standard input; asked for without echo on a terminal), or as it is. `text:…` stands for the rest as it
is, for a secret that begins like one of these.
"""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from apps.operations.provision.wanted import ProvisionError

LARGEST_SECRET = 64 * 1024
LARGEST_TEXT = 5 * 1024 * 1024
SUFFIXES = (".md", ".markdown", ".txt")


def read_line(prompt: str) -> str:
    """A line of standard input; on a terminal it is asked for and not shown."""
    if sys.stdin.isatty():
        return getpass.getpass(f"{prompt}: ", stream=sys.stderr)
    return sys.stdin.readline().rstrip("\r\n")


class Sources:
    """Relative paths begin at `directory`."""

    def __init__(
        self,
        directory: Path,
        environment: Mapping[str, str] = os.environ,
        ask: Callable[[str], str] = read_line,
    ) -> None:
        self._directory, self._environment, self._ask = directory, environment, ask

    def secret(self, written: str, where: str) -> str:
        """The secret that `written` stands for. Raises ProvisionError, which never repeats it."""
        if written.startswith("env:"):
            name = written.removeprefix("env:")
            found = self._environment.get(name, "")
            problem = f"the variable {name} is not set in the environment"
        elif written.startswith("@"):
            path = self._directory / Path(written[1:]).expanduser()
            found = _read(path, LARGEST_SECRET, where).strip("\r\n")
            problem = f"the file {path} is empty"
        elif written == "-":
            found = self._ask(where)
            problem = "nothing came from standard input"
        else:
            return written.removeprefix("text:")
        if not found:
            raise ProvisionError(where, problem)
        return found

    def text(self, written: str, where: str) -> str:
        """`written`, or what the file says that it names as `@path`."""
        if not written.startswith("@"):
            return written
        return _read(self._directory / Path(written[1:]).expanduser(), LARGEST_TEXT, where).strip()

    def knowledge(self, paths: list[str], where: str) -> tuple[tuple[str, str], ...]:
        """(title, text) of every Markdown or text file in `paths`; folders are searched through."""
        found: list[tuple[str, str]] = []
        titles: set[str] = set()
        for written in paths:
            root = self._directory / Path(written).expanduser()
            for page in pages(root, where):
                text = _read(page, LARGEST_TEXT, where)
                title = title_of(page, text)
                if title in titles:
                    # A title stands for its text: two texts need two.
                    title = f"{title} - {page.relative_to(root.parent).with_suffix('')}"
                titles.add(title)
                found.append((title, text))
        return tuple(found)


def pages(root: Path, where: str) -> list[Path]:
    """The file itself, or all texts below the folder in the order of their paths. Raises ProvisionError."""
    if root.is_file():
        return [root]
    if not root.is_dir():
        raise ProvisionError(where, f"there is no file or folder {root}")
    found = sorted(path for path in root.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    if not found:
        raise ProvisionError(where, f"no file in {root} ends with {', '.join(SUFFIXES)}")
    return found


def title_of(page: Path, text: str) -> str:
    """The text's first heading, else the file's name without its ending."""
    for line in text.splitlines():
        if line.startswith("# "):
            return line.removeprefix("# ").strip()
    return page.stem


def _read(path: Path, largest: int, where: str) -> str:
    try:
        if path.stat().st_size > largest:
            raise ProvisionError(where, f"{path} is larger than {largest // 1024} KiB")
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise ProvisionError(where, f"{path} is not text in UTF-8") from None
    except OSError as problem:
        raise ProvisionError(where, f"{path} can't be read: {problem.strerror}") from None
