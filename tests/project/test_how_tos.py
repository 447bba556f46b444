"""The recipes for a channel and a provider of one's own, done as they are written: the pages' code in a folder outside
the project, the pages' settings, the pages' tests, the pages' commands."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings

PAGES = Path(settings.BASE_DIR) / "docs" / "how-to"
# A page names a file in backticks at the end of the paragraph before its code.
FILE = re.compile(r"`(?:~/plugins/)?([\w/]+\.py)`:\n\n```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SETTING = re.compile(r"^export (EXTRA_\w+)=(\S+)$", re.MULTILINE)
PROVISION = re.compile(r"^python manage\.py provision ((?:.*\\\n)*.*)$", re.MULTILINE)
OF_THIS_RUN = ("PYTEST_", "COV_", "SWITCHBOARD_TEST_", "TEST_", "CI_", "EXTRA_")
COMMAND = """
import io

import pytest
from django.core.management import call_command


@pytest.mark.django_db
def test_the_account_can_be_made(monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", io.StringIO("typed-secret\\n"))
    call_command("provision", *{words!r})
    assert '"outcome": "created"' in capsys.readouterr().out
"""


@pytest.mark.parametrize(
    ("page", "files"),
    [
        ("add-a-channel.md", {"postbox/__init__.py", "test_postbox.py"}),
        ("add-a-provider.md", {"parrot/__init__.py", "test_parrot.py"}),
    ],
)
def test_the_recipe_works_as_written(page, files, tmp_path):
    text = (PAGES / page).read_text()
    written = dict(FILE.findall(text))
    assert set(written) == files
    (command,) = PROVISION.findall(text)
    words = shlex.split(command.replace("\\\n", " "))
    written["test_command.py"] = COMMAND.format(words=words)
    for name, code in written.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(code)
    (setting,) = SETTING.findall(text)
    # A run of its own on servers of its own: channels and tasks are made when the settings are read.
    kept = {name: value for name, value in os.environ.items() if not name.startswith(OF_THIS_RUN)}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", str(tmp_path), "-c", "pyproject.toml", "--rootdir", ".", "-q", "-p",
         "no:cacheprovider"],
        cwd=settings.BASE_DIR,
        env={**kept, "PYTHONPATH": str(tmp_path), "TEST_EMBEDDED": "1", setting[0]: setting[1]},
        capture_output=True,
        text=True,
        timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    assert " passed" in done.stdout
    assert " skipped" not in done.stdout.splitlines()[-1]
