"""Where the local cloud keeps its files: one folder, laid out here and nowhere else."""

from __future__ import annotations

import os
from pathlib import Path


def root() -> Path:
    """Return the state folder of this local cloud."""
    return Path(os.environ["LOCAL_CLOUD_STATE"])


def folder(*parts: str) -> Path:
    """Return a folder under the state folder, made if it is missing."""
    path = root().joinpath(*parts)
    path.mkdir(parents=True, exist_ok=True)
    return path
