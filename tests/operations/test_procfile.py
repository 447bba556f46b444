"""Procfiles: what is read, and what a wrong one says."""

from pathlib import Path

import pytest

from apps.operations.procfile import ProcessLine, ProcfileError, read_procfile


def test_lines_come_in_order_without_comments(tmp_path: Path) -> None:
    (tmp_path / "Procfile").write_text("# the house\nweb: serve $PORT # 1\n\n  beat_2 :  tick: tock  \n")
    assert read_procfile(tmp_path / "Procfile") == [
        ProcessLine("web", "serve $PORT # 1"),
        ProcessLine("beat_2", "tick: tock"),
    ]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("web serve", r"line 1: expected `name: command`"),
        ("web:", "line 1"),
        ("web: a\n\nweb: b", r"line 3: the name 'web' is used twice"),
        ("# nothing", "no process"),
    ],
)
def test_a_wrong_one_says_where(tmp_path: Path, text: str, complaint: str) -> None:
    (tmp_path / "Procfile").write_text(text)
    with pytest.raises(ProcfileError, match=complaint):
        read_procfile(tmp_path / "Procfile")


def test_a_missing_one_is_named(tmp_path: Path) -> None:
    with pytest.raises(ProcfileError, match=r"Procfile\.nowhere: No such file"):
        read_procfile(tmp_path / "Procfile.nowhere")
