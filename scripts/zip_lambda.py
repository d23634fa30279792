#!/usr/bin/env python3
"""Zip one Lambda function, byte for byte the same from the same sources.

usage: zip_lambda.py OUT.py.zip FUNCTION_FOLDER COMMON_FOLDER

The function's files stand at the root of the zip, the common package in a folder beside them.
OUT's stem, the folder's name and the handler's file name must agree: Lambda finds the handler by
it ("Ethnicity-Pred-TrainModel.lambda_handler"), and people find the zip.
"""

from __future__ import annotations

import argparse
import sys
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

EPOCH = (1980, 1, 1, 0, 0, 0)  # the oldest date that a zip can hold
LEFT_OUT = {"__pycache__", ".DS_Store", ".mypy_cache", ".ruff_cache"}


def members(function: Path, common: Path) -> Iterator[tuple[str, Path]]:
    """Yield (name in the zip, file) of all that the function needs."""
    for folder, prefix in ((function, ""), (common, f"{common.name}/")):
        for path in folder.rglob("*"):
            inside = path.relative_to(folder)
            if path.is_file() and not LEFT_OUT.intersection(inside.parts):
                yield prefix + inside.as_posix(), path


def write_zip(out: Path, files: Mapping[str, Path]) -> None:
    """Write the zip whole or not at all; only names, contents and execute bits decide its bytes."""
    out.parent.mkdir(parents=True, exist_ok=True)
    unfinished = out.with_name(f"{out.name}.part")
    with zipfile.ZipFile(unfinished, "w") as archive:
        for name in sorted(files):
            info = zipfile.ZipInfo(name, EPOCH)
            executable = files[name].stat().st_mode & 0o100
            info.external_attr = (0o100755 if executable else 0o100644) << 16
            info.create_system = 3  # Unix, whatever system makes the zip
            archive.writestr(info, files[name].read_bytes(), zipfile.ZIP_DEFLATED, 9)
    unfinished.replace(out)


def zip_lambda(out: Path, function: Path, common: Path) -> None:
    """Write a function's zip, or leave with what is wrong about its names."""
    handler = f"{function.name}.py"
    if out.name != f"{handler}.zip" or not (function / handler).is_file():
        raise SystemExit(f"{out.name} must be made of {handler} in {function}/, as {handler}.zip")
    files: dict[str, Path] = {}
    for name, path in members(function, common):
        if name in files:
            raise SystemExit(f"{out.name}: both {files[name]} and {path} would be {name}")
        files[name] = path
    write_zip(out, files)


def main(arguments: list[str]) -> int:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    for name in ("out", "function", "common"):
        parser.add_argument(name, type=Path)
    given = parser.parse_args(arguments)
    zip_lambda(given.out, given.function, given.common)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
