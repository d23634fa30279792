#!/usr/bin/env python3
"""Makes byo-staging.zip: what the CodeCommit repository shall hold, laid out as it will lie there.

Usage: zip_staging.py OUT
"""

from __future__ import annotations

import sys
from pathlib import Path

from zip_lambda import write_zip

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOK = "03.MLOps-BYO-LabNotebook.ipynb"
FOLDERS = (
    ("model-code", "model-code"),
    ("notebooks/test-data", "test-data"),
    ("notebooks/lab", "lab"),
)
SHARED = ("draw_glyphs.py", "pipeline_rows.py")  # scripts that the notebook calls, too


def members() -> dict[str, Path]:
    """Return archive name → file for everything that goes to the notebook instance."""
    named = {name: ROOT / "scripts" / name for name in SHARED}
    for folder, prefix in FOLDERS:
        for file in sorted((ROOT / folder).rglob("*")):
            name = file.relative_to(ROOT / folder)
            if file.is_file() and not any(map(_is_left_over, name.parts[:-1])):
                named[f"{prefix}/{name}"] = file
    notebook = ROOT / "notebooks" / NOTEBOOK
    if notebook.is_file():
        named[NOTEBOOK] = notebook
    return named


def _is_left_over(folder: str) -> bool:
    """Say whether a folder holds what running something left behind: caches, checkpoints."""
    return folder == "__pycache__" or folder.startswith(".")


def main() -> None:
    """Write the archive."""
    write_zip(Path(sys.argv[1]), members())


if __name__ == "__main__":
    main()
