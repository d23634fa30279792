"""What COPY copies, and where to."""

from __future__ import annotations

from pathlib import Path

import pytest
from local_cloud.docker_cli.context import CopyError, IgnoreRules, copy, pattern_of

NONE = IgnoreRules("")


@pytest.fixture
def context(tmp_path: Path) -> Path:
    root = tmp_path / "context"
    for name in ("train", "a.py", "b.py", "pkg/x.py", "pkg/deep/y.py", "notes/n.md"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    return root


def copied(context: Path, sources: list[str], target: str, rules: IgnoreRules = NONE) -> set[str]:
    into, image = context.parent / "layer", context.parent / "image"
    (image / "opt").mkdir(parents=True, exist_ok=True)
    copy(context, sources, target, into, image, rules)
    return {path.relative_to(into).as_posix() for path in into.rglob("*") if path.is_file()}


def test_a_file_goes_to_a_name_or_into_a_folder(context: Path) -> None:
    assert copied(context, ["train"], "/bin/go") == {"bin/go"}
    assert copied(context, ["train"], "/bin2/") == {"bin/go", "bin2/train"}
    assert copied(context, ["a.py"], "/opt") == {"bin/go", "bin2/train", "opt/a.py"}


def test_a_folder_gives_its_contents(context: Path) -> None:
    assert copied(context, ["pkg"], "/code") == {"code/x.py", "code/deep/y.py"}


def test_a_pattern_matches_within_one_folder(context: Path) -> None:
    assert copied(context, ["*.py"], "/opt/") == {"opt/a.py", "opt/b.py"}


def test_the_whole_context_without_what_is_ignored(context: Path) -> None:
    rules = IgnoreRules("# comment\n**/*.py\n!a.py\nnotes\n")
    assert copied(context, ["."], "/", rules) == {"train", "a.py"}


def test_several_sources_need_a_folder(context: Path) -> None:
    with pytest.raises(CopyError, match="must be a directory"):
        copied(context, ["a.py", "b.py"], "/opt/x")


@pytest.mark.parametrize("source", ["missing", "*.txt"])
def test_a_source_that_is_not_there_is_refused(context: Path, source: str) -> None:
    with pytest.raises(CopyError, match="not found"):
        copied(context, [source], "/opt/")


def test_nothing_outside_the_context_is_copied(context: Path) -> None:
    with pytest.raises(CopyError, match="outside"):
        copied(context, ["../secret"], "/opt/")


def test_an_ignored_file_is_not_there(context: Path) -> None:
    with pytest.raises(CopyError, match=r"\.dockerignore"):
        copied(context, ["train"], "/opt/", IgnoreRules("train"))


@pytest.mark.parametrize(
    ("glob", "path", "matches"),
    [
        ("*", "a", True),
        ("*", "a/b", False),
        ("**/x", "x", True),
        ("**/x", "a/b/x", True),
        ("a/**", "a/b/c", True),
        ("a?[bc]", "axb", True),
        ("a.b", "axb", False),
    ],
)
def test_patterns_are_dockers(glob: str, path: str, matches: bool) -> None:
    assert (pattern_of(glob).fullmatch(path) is not None) == matches
