"""docs/reference/configuration.md, made from what is true: project/settings.py, .env.example, the Procfile, the checks.

1. .env.example gives the sections, their order, and the meaning of each setting (the comment above it).
2. project/settings.py gives type and default of what Django reads; the Procfile and `os.environ` those of the rest.
3. The checks of apps/operations/checks.py give what is looked at before anything starts.

`make docs` writes the page; a test compares it.
"""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from dataclasses import dataclass, field
from pathlib import Path

from apps.operations import checks

PAGE = Path("docs/reference/configuration.md")
TYPES = {
    "str": "text",
    "bool": "true or false",
    "int": "whole number",
    "float": "number",
    "list": "list, separated by commas",
    "dict": "name=value pairs, separated by commas",
}
HEAD = """\
# Configuration

Every setting of Switchboard. They are read from the environment, or from `.env` beside `manage.py`, which looks like
`.env.example`; the environment wins. `ENV_FILE` names another file. Restart all processes after a change.

What is wrong stops the start of web, events, workers and beat with a message that says what to do. `python manage.py
check` shows the same without starting anything, and `python manage.py doctor` looks at what is behind the settings as
well: servers, keys, webhooks.

This page is made by `make docs` from `.env.example`, the settings and their checks; change those and not this page.
"""
_ENTRY = re.compile(r"(?P<optional>#?)(?P<name>[A-Z][A-Z0-9_]*)=(?P<value>.*)")
_SECTION = re.compile(r"# --- (?P<title>.+?) -+")


@dataclass
class Group:
    """Settings under one comment of .env.example."""

    section: str
    meaning: str = ""
    entries: list[tuple[str, bool, str]] = field(default_factory=list)  # name, required, example


@dataclass(frozen=True)
class Reading:
    """How a setting is read: its type, and its default as code or text."""

    type: str
    default: str


def configuration_page(root: Path) -> str:
    """The whole page, for the project at `root`."""
    example = (root / ".env.example").read_text(encoding="utf-8")
    readings = {**_read_elsewhere(root), **_read_by_settings(root)}
    checked = _checked()
    lines, section = [HEAD], ""
    for group in groups(example):
        if group.section != section:
            section = group.section
            lines.append(f"## {section[0].upper()}{section[1:]}\n")
        names = [name for name, _, _ in group.entries]
        lines.append(f"### {', '.join(f'`{name}`' for name in names)}\n")
        if group.meaning:
            lines.append(f"{_folded(group.meaning)}\n")
        lines += [_facts(entry, readings.get(entry[0])) for entry in group.entries]
        found = list(dict.fromkeys(text for name in names for text in checked.get(name, [])))
        for text in found:
            lines += ["", _folded(f"Checked at the start: {text}")]
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def groups(example: str) -> list[Group]:
    """What .env.example says, in its order."""
    found: list[Group] = []
    section = ""
    comment: list[str] = []
    for line in example.splitlines():
        if match := _SECTION.fullmatch(line):
            section, comment = match["title"], []
        elif match := _ENTRY.fullmatch(line):
            if comment or not found or found[-1].section != section:
                found.append(Group(section, " ".join(comment)))
                comment = []
            found[-1].entries.append((match["name"], not match["optional"], match["value"]))
        elif line.startswith("# "):
            comment.append(line.removeprefix("# "))
        else:
            comment = []
    return found


def _facts(entry: tuple[str, bool, str], reading: Reading | None) -> str:
    name, is_required, example = entry
    parts = [reading.type if reading else "text"]
    if is_required:
        parts.append("required")
    elif reading and reading.default:
        parts.append(f"default `{reading.default}`")
    else:
        parts.append("empty by default")
    if example and (reading is None or example != reading.default):
        parts.append(f"for example `{example}`")
    return _folded(f"- `{name}`: {', '.join(parts)}.", hang="  ")


def _read_by_settings(root: Path) -> dict[str, Reading]:
    """From the calls `env.<type>("NAME", default)` of the settings."""
    found: dict[str, Reading] = {}
    for node in ast.walk(ast.parse((root / "project" / "settings.py").read_text(encoding="utf-8"))):
        if (
            not isinstance(node, ast.Call)
            or not isinstance(node.func, ast.Attribute)
            or not isinstance(node.func.value, ast.Name)
            or node.func.value.id != "env"
            or not node.args
            or not isinstance(node.args[0], ast.Constant)
        ):
            continue
        keywords = {one.arg: one.value for one in node.keywords}
        default = node.args[1] if len(node.args) > 1 else keywords.get("default")
        kind = TYPES.get(node.func.attr, node.func.attr)
        found.setdefault(str(node.args[0].value), Reading(kind, _default(default)))
    return found


def _default(node: ast.expr | None) -> str:
    """A default as a person writes it: a value, or the expression that it comes from."""
    if node is None:
        return ""
    if isinstance(node, ast.Constant):
        return str(node.value).lower() if isinstance(node.value, bool) else str(node.value)
    if isinstance(node, ast.List) and all(isinstance(one, ast.Constant) for one in node.elts):
        return ",".join(str(one.value) for one in node.elts if isinstance(one, ast.Constant))
    if isinstance(node, ast.Dict) and not node.keys:
        return ""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "str":
        return _default(node.args[0])
    if isinstance(node, ast.FormattedValue):
        return _default(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(_default(one) for one in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        return f"{_default(node.left)}/{_default(node.right)}".removeprefix("BASE_DIR/")
    return ast.unparse(node)


def _read_elsewhere(root: Path) -> dict[str, Reading]:
    """What the Procfile's lines, and modules that run before or beside Django, read."""
    found: dict[str, Reading] = {}
    for path in sorted((root / "apps").rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        for name, default in re.findall(r"os\.environ\.get\(\s*\"([A-Z_]+)\"(?:,\s*\"([^\"]*)\")?", text):
            found[name] = Reading("text", default)
    procfile = (root / "Procfile").read_text(encoding="utf-8")
    for name, default in re.findall(r"\$\{([A-Z_]+):-([^}]*)\}", procfile):
        found[name] = Reading("whole number" if default.isdigit() else "text", default)
    return found


def _checked() -> dict[str, list[str]]:
    """By setting: what its checks look at, in the words of their docstrings, and the codes that they report."""
    found: dict[str, list[str]] = {}
    for check in checks.ALL:
        source = inspect.getsource(check)
        names = set(re.findall(r"settings\.([A-Z][A-Z0-9_]*)", source)) | set(
            re.findall(r"\"([A-Z][A-Z0-9]*_[A-Z0-9_]+)\"", source)
        )
        told = " ".join((inspect.getdoc(check) or "").split())
        kinds = re.findall(r"_(error|warning)\(\s*(\d+)", source)
        codes = sorted({f"{'E' if kind == 'error' else 'W'}{int(number):03}" for kind, number in kinds})
        shown = f"{told} ({', '.join(codes)})" if codes else told
        for name in names:
            if name in told or re.search(rf'_(?:error|warning)\(\s*\d+,\s*f?"[^"]*{name}', source):
                found.setdefault(name, []).append(shown)
    return found


def _folded(text: str, *, hang: str = "") -> str:
    return "\n".join(
        textwrap.wrap(text, 120, break_long_words=False, break_on_hyphens=False, subsequent_indent=hang)
    )
