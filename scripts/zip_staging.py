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
IGNORED = {"__pycache__", ".pytest_cache", ".ipynb_checkpoints"}


def members() -> dict[str, Path]:
    """Return archive name → file for everything that goes to the notebook instance."""
    named = {"draw_glyphs.py": ROOT / "scripts/draw_glyphs.py"}
    for folder, prefix in (("model-code", "model-code"), ("notebooks/test-data", "test-data")):
        for file in sorted((ROOT / folder).rglob("*")):
            if file.is_file() and not IGNORED & set(file.parts):
                named[f"{prefix}/{file.relative_to(ROOT / folder)}"] = file
    notebook = ROOT / "notebooks" / NOTEBOOK
    if notebook.is_file():
        named[NOTEBOOK] = notebook
    return named


def main() -> None:
    """Write the archive."""
    write_zip(Path(sys.argv[1]), members())


if __name__ == "__main__":
    main()
