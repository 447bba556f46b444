"""The files that run in visitors' browsers, as they leave the house: read once, compressed once, named by content.

`/widget.js` is small and asked for again and again; it names the version of everything else. The other files lie under
`/widget/<version>/`, where a browser may keep them for ever: with other files, the version is another.
"""

import gzip
import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from django.conf import settings

HOME = Path(__file__).parent / "static" / "frontdoor"
LOADER = "widget.js"
VERSION_MARK = "__VERSION__"
TYPES = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}


@dataclass(frozen=True, slots=True)
class File:
    """One file: what is sent, plain and compressed, and what names this content (an entity tag)."""

    body: bytes
    compressed: bytes
    type: str
    tag: str


@dataclass(frozen=True, slots=True)
class Shipment:
    """All files by name (`widget.js` apart), and the version that their content makes."""

    version: str
    loader: File
    files: dict[str, File]


def shipment() -> Shipment:
    """What is shipped. Read once a process; at every call while DEBUG is on, so that `make dev` shows a change."""
    return _read() if settings.DEBUG else _once()


@lru_cache(maxsize=1)
def _once() -> Shipment:
    return _read()


def _read() -> Shipment:
    paths = sorted(path for path in HOME.iterdir() if path.suffix in TYPES)
    files = {path.name: _file(path.name, path.read_text()) for path in paths if path.name != LOADER}
    digest = hashlib.sha256("".join(f"{name} {file.tag}\n" for name, file in files.items()).encode())
    version = digest.hexdigest()[:12]
    loader = _file(LOADER, (HOME / LOADER).read_text().replace(VERSION_MARK, version))
    return Shipment(version, loader, files)


def _file(name: str, text: str) -> File:
    suffix = Path(name).suffix
    body = (_without_comments(text) if suffix == ".js" else text).encode()
    compressed = gzip.compress(body, 9, mtime=0)
    return File(body, compressed, TYPES[suffix], f'"{hashlib.sha256(body).hexdigest()[:20]}"')


def _without_comments(script: str) -> str:
    """Leave out lines that are nothing but a comment; our scripts have no other text that begins with slashes."""
    return "\n".join(line for line in script.split("\n") if not line.lstrip().startswith("//"))
