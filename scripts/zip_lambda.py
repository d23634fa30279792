#!/usr/bin/env python3
"""Zip one Lambda function, byte for byte the same from the same sources.

usage: zip_lambda.py OUT.py.zip FUNCTION_FOLDER COMMON_FOLDER [VENDOR_FOLDER]

The function's files stand at the root of the zip and so do vendored packages, the common package
in a folder beside them.
OUT's stem, the folder's name and the handler's file name must agree: Lambda finds the handler by
it ("Ethnicity-Pred-TrainModel.lambda_handler"), and people find the zip.
"""

import argparse
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

EPOCH = (1980, 1, 1, 0, 0, 0)  # the oldest date that a zip can hold
MODE = 0o100644 << 16  # Lambda's user must be able to read the files
LEFT_OUT = {"__pycache__", ".DS_Store", ".mypy_cache", ".ruff_cache", ".stamp", "bin"}


def members(function: Path, common: Path, vendor: Path | None) -> Iterator[tuple[str, Path]]:
    """Yield (name in the zip, file) of all that the function needs."""
    folders = [(function, ""), (common, f"{common.name}/")]
    for folder, prefix in [*folders, (vendor, "")] if vendor else folders:
        for path in folder.rglob("*"):
            inside = path.relative_to(folder)
            if path.is_file() and not LEFT_OUT.intersection(inside.parts):
                yield prefix + inside.as_posix(), path


def zip_lambda(out: Path, function: Path, common: Path, vendor: Path | None = None) -> None:
    """Write the zip whole or not at all."""
    handler = f"{function.name}.py"
    if out.name != f"{handler}.zip" or not (function / handler).is_file():
        raise SystemExit(f"{out.name} must be made of {handler} in {function}/, as {handler}.zip")
    files = sorted(members(function, common, vendor))
    names = [name for name, _ in files]
    if len(set(names)) != len(names):
        raise SystemExit(f"two files of {out.name} have one name: {names}")
    out.parent.mkdir(parents=True, exist_ok=True)
    unfinished = out.with_name(f"{out.name}.part")
    with zipfile.ZipFile(unfinished, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, path in files:
            info = zipfile.ZipInfo(name, EPOCH)
            info.external_attr, info.create_system = MODE, 3  # 3: Unix, whatever makes the zip
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, path.read_bytes(), compresslevel=9)
    unfinished.replace(out)


def main(arguments: list[str]) -> int:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("out", "function", "common"):
        parser.add_argument(name, type=Path)
    parser.add_argument("vendor", type=Path, nargs="?")
    given = parser.parse_args(arguments)
    zip_lambda(given.out, given.function, given.common, given.vendor)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
