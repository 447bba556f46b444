"""Tasks are named, not imported: every name in the code exists, and every payload written beside it fits."""

import ast
import importlib
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path

import pytest
from django.conf import settings

from apps.jobs.bell import Bell
from apps.jobs.enqueueing import enqueue
from apps.jobs.payloads import PayloadError
from apps.jobs.task import get_task, registry
from project.celery import app
from project.schedule import CELERY_BEAT

ROOT = Path(settings.BASE_DIR)
MAKERS = ("enqueue", "NewJob")


@dataclass
class Making:
    """One place where a job is made."""

    where: str
    names: list[str]
    payload: ast.expr | None
    module: object


def modules():
    for path in sorted([*ROOT.glob("apps/**/*.py"), *ROOT.glob("project/*.py")]):
        if "migrations" not in path.parts:
            yield path, ast.parse(path.read_text())


def makings():
    app.loader.import_default_modules()
    for path, tree in modules():
        source = path.relative_to(ROOT)
        if source.parts[:2] == ("apps", "jobs"):
            continue  # the ledger itself: it hands names through
        found = [(None, node) for node in ast.iter_child_nodes(tree)]
        while found:
            owner, node = found.pop()
            owner = node.name if isinstance(node, ast.ClassDef) else owner
            found += [(owner, child) for child in ast.iter_child_nodes(node)]
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in MAKERS:
                module = importlib.import_module(
                    ".".join(source.with_suffix("").parts).removesuffix(".__init__")
                )
                given = {keyword.arg: keyword.value for keyword in node.keywords}
                name, payload = [*node.args, None, None][:2]
                name = name if name is not None else given["task"]
                yield Making(
                    f"{source}:{node.lineno}",
                    names_of(name, module, owner),
                    payload if payload is not None else given.get("payload"),
                    module,
                )


def names_of(node, module, owner):
    if isinstance(node, ast.JoinedStr):  # f"delivery.send_{channel}": one for each that settings know
        head = node.values[0].value
        assert head == "delivery.send_", f"teach this test what goes into {ast.unparse(node)}"
        return [head + channel for channel in settings.CHANNELS]
    text = ast.unparse(node)
    if owner and text.startswith("self."):
        text = text.replace("self", owner, 1)
    return [eval(text, vars(module))]  # noqa: S307 - our own source


ALL = list(makings())


def test_there_are_some():
    assert len(ALL) >= 4


@pytest.mark.parametrize("making", ALL, ids=lambda making: making.where)
def test_every_name_exists_and_every_payload_fits(making):
    for name in making.names:
        kind = get_task(name).payload_type.kind
        payload = making.payload
        if isinstance(payload, ast.Dict) and kind is not None:
            given = {key.value for key in payload.keys}
            known = {field.name for field in fields(kind)}
            needed = {
                field.name
                for field in fields(kind)
                if field.default is MISSING and field.default_factory is MISSING
            }
            assert needed <= given <= known, making.where
        elif isinstance(payload, ast.Call) and isinstance(payload.func, ast.Name):
            made = getattr(making.module, payload.func.id)
            assert made is kind or made is asdict, making.where


def test_every_task_of_the_schedule_exists_and_is_made_once_by_two_beats():
    for name, entry in CELERY_BEAT.items():
        assert entry["task"] in app.tasks, name
        if entry["task"] in registry():
            assert entry["options"]["dedupe_key"] == f"schedule:{entry['task']}"
            get_task(entry["task"]).payload_type.dump(entry.get("kwargs", {}))


def test_celery_knows_each_task_by_a_bell():
    for name in registry():
        assert isinstance(app.tasks[name], Bell), name
        assert app.tasks[name].ignore_result


@pytest.mark.django_db
def test_a_payload_that_is_not_json_is_refused_before_the_database_sees_it():
    with pytest.raises(PayloadError, match=r"test\.script"):
        enqueue("test.script", {"share": float("nan")})
