"""The house rule where import-linter can't see: foreign keys by string, names and sizes of files, habits.

The floors are read from the linter's own configuration, so that there is one truth.
"""

import re
import tomllib
from pathlib import Path

import pytest
from django.apps import apps
from django.db.models import Model

HOUSE = Path(__file__).resolve().parent.parent
CONFIGURATION = tomllib.loads((HOUSE / "pyproject.toml").read_text())
LONGEST_FILE = 300
BANNED_NAMES = {"utils", "util", "common", "helpers", "helper", "core", "misc", "base_utils"}
BANNED_HABITS = {
    r"\btime\.sleep\(": "wait for a state with a deadline (tests/waiting.py), or for an Event",
    r"\bmark_safe\b": "use format_html",
    r"\b(TODO|FIXME|XXX)\b": "do it, or file it",
    r"except[^:]*:\s*(#[^\n]*)?\n\s*pass\b": "say why nothing is done, or let it raise",
}


def floors() -> dict[str, int]:
    """Each room's floor; 0 is the top. Imports go to a higher number."""
    contracts = {contract["id"]: contract for contract in CONFIGURATION["tool"]["importlinter"]["contracts"]}
    return {
        room.strip(" ()"): floor
        for floor, line in enumerate(contracts["floors"]["layers"])
        for room in re.split(r"[|:]", line)
    }


def our_files() -> list[Path]:
    return sorted(
        path
        for folder in ("apps", "project", "tests")
        for path in (HOUSE / folder).rglob("*.py")
        if "migrations" not in path.parts
    )


def room_of(model: type[Model]) -> str | None:
    parts = model.__module__.split(".")
    return parts[1] if parts[0] == "apps" else None


def test_the_linter_knows_every_room():
    rooms = {path.parent.name for path in (HOUSE / "apps").glob("*/__init__.py")}
    assert rooms <= set(floors())


def test_foreign_keys_point_down_the_house():
    floor = floors()
    wrong = []
    for model in apps.get_models(include_auto_created=True):
        room = room_of(model)
        for field in model._meta.get_fields():
            target = field.related_model
            if room is None or field.auto_created or not isinstance(target, type):
                continue
            target_room = room_of(target)
            if target_room not in (None, room) and floor[target_room] <= floor[room]:
                wrong.append(f"{model._meta.label}.{field.name} -> {target._meta.label}")
    assert not wrong


def test_adapters_have_no_models():
    assert not [
        m
        for m in apps.get_models()
        if room_of(m) in ("channels", "ai", "reliability", "pipeline", "delivery")
    ]


def test_files_are_small_enough_to_read():
    long = {
        str(path.relative_to(HOUSE)): lines
        for path in our_files()
        if path.relative_to(HOUSE).parts[0] != "tests"
        if (lines := path.read_text().count("\n")) > LONGEST_FILE
    }
    assert not long, "split by noun"


def test_no_drawer_for_odds_and_ends():
    assert not [path for path in our_files() if path.stem in BANNED_NAMES or path.parent.name in BANNED_NAMES]


@pytest.mark.parametrize("habit", BANNED_HABITS)
def test_habits(habit):
    pattern = re.compile(habit)
    found = [
        str(path.relative_to(HOUSE))
        for path in our_files()
        if path != Path(__file__) and pattern.search(path.read_text())
    ]
    assert not found, BANNED_HABITS[habit]


def test_every_setting_is_explained():
    read = set(re.findall(r"env\.\w+\(\s*\"([A-Z_]+)\"", (HOUSE / "project" / "settings.py").read_text()))
    named = set(re.findall(r"^#?([A-Z_]+)=", (HOUSE / ".env.example").read_text(), flags=re.MULTILINE))
    assert read - named == {"ENV_FILE"}, ".env.example lacks these"
    assert named <= read | read_elsewhere(), ".env.example names what nobody reads"


def read_elsewhere() -> set[str]:
    """What the Procfile's lines and the few modules that run before or beside Django read."""
    found = set(re.findall(r"\$\{([A-Z_]+):-", (HOUSE / "Procfile").read_text()))
    for path in our_files():
        found |= set(re.findall(r"os\.environ\.get\(\s*\"([A-Z_]+)\"", path.read_text()))
    return found
