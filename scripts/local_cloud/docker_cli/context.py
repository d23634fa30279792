"""Chooses the files that COPY copies: Docker's patterns, and `.dockerignore`."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path, PurePosixPath


class CopyError(Exception):
    """COPY names something that is not there or lies outside; says what."""


class IgnoreRules:
    """The rules of a `.dockerignore`; the last one that matches a path or its parent decides."""

    def __init__(self, text: str) -> None:
        self._rules: list[tuple[bool, re.Pattern[str]]] = []
        for line in text.splitlines():
            pattern = line.strip()
            if not pattern or pattern.startswith("#"):
                continue
            keep = pattern.startswith("!")
            cleaned = os.path.normpath(pattern.lstrip("!").strip()).lstrip("/")
            self._rules.append((keep, pattern_of(cleaned)))

    def ignores(self, path: str) -> bool:
        """Say whether a path, relative to the context, is left out."""
        parents = [str(p) for p in PurePosixPath(path).parents if str(p) != "."]
        ignored = False
        for keep, rule in self._rules:
            if any(rule.fullmatch(candidate) for candidate in [path, *parents]):
                ignored = not keep
        return ignored


def pattern_of(glob: str) -> re.Pattern[str]:
    """Translate a pattern of Docker's (Go's filepath.Match and **) to a regular expression."""
    source = ""
    index = 0
    while index < len(glob):
        if glob.startswith("**", index):
            index += 2
            if glob[index : index + 1] == "/":
                source, index = source + "(?:.*/)?", index + 1
            else:
                source += ".*"
            continue
        char = glob[index]
        index += 1
        if char == "*":
            source += "[^/]*"
        elif char == "?":
            source += "[^/]"
        elif char == "[" and "]" in glob[index:]:
            end = glob.index("]", index)
            source, index = source + f"[{glob[index:end]}]", end + 1
        else:
            source += re.escape(char)
    return re.compile(source)


def copy(
    root: Path, sources: list[str], target: str, into: Path, image: Path, rules: IgnoreRules
) -> None:
    """Copy files of `root` to the absolute image path `target` below the folder `into`.

    As in Docker: a folder's contents are copied, not the folder; a target is a folder if it ends
    in /, if there are several sources, or if it is one in `image`, the file system so far.
    """
    found = [path for source in sources for path in _matches(root, source, rules)]
    is_folder = (image / target.lstrip("/")).is_dir()
    to_folder = target.endswith("/") or len(found) > 1 or is_folder
    if len(sources) > 1 and not target.endswith("/"):
        raise CopyError(
            "when using COPY with more than one source file, the destination must be a directory "
            "and end with a /"
        )
    destination = into / target.lstrip("/")
    for path in found:
        if path.is_dir():
            _copy_tree(root, path, destination, rules)
        else:
            name = destination / path.name if to_folder else destination
            _copy_file(path, name)


def _matches(root: Path, source: str, rules: IgnoreRules) -> list[Path]:
    cleaned = os.path.normpath(source.lstrip("/"))
    if cleaned == ".":
        return [root]
    if cleaned.startswith(".."):
        raise CopyError(f"forbidden path outside the build context: {source}")
    pattern = pattern_of(cleaned.replace("**", "*"))
    depth = len(PurePosixPath(cleaned).parts)
    found = [
        path
        for path in _walk(root, rules, depth)
        if pattern.fullmatch(path.relative_to(root).as_posix())
    ]
    if not found:
        raise CopyError(f'"/{cleaned}": not found (is it missing, or left out by .dockerignore?)')
    return sorted(found)


def _walk(root: Path, rules: IgnoreRules, depth: int) -> Iterator[Path]:
    for path in root.rglob("*"):
        relative = path.relative_to(root)
        if len(relative.parts) == depth and not (
            path.is_file() and rules.ignores(relative.as_posix())
        ):
            yield path


def _copy_tree(root: Path, folder: Path, destination: Path, rules: IgnoreRules) -> None:
    destination.mkdir(parents=True, exist_ok=True)
    for path in sorted(folder.rglob("*")):
        if rules.ignores(path.relative_to(root).as_posix()):
            continue
        target = destination / path.relative_to(folder)
        if path.is_dir() and not path.is_symlink():
            target.mkdir(parents=True, exist_ok=True)
        else:
            _copy_file(path, target)


def _copy_file(path: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    shutil.copy2(path, target, follow_symlinks=False)
