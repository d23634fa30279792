#!/usr/bin/env python3
"""Resolves every tool's requirements .in file into its .txt with hashes, for Python 3.11 to 3.13.

Usage: lock.py [FILE.in …]   (all of them by default)
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "scripts/requirements"  # model-code has lock_requirements.py: torch is special
COMPILE = ("uv", "pip", "compile", "--quiet", "--universal", "--generate-hashes")
OPTIONS = ("--no-emit-index-url", "--no-header", "--python-version", "3.11")


def main() -> int:
    """Resolve the given files, or all; the exit code is uv's."""
    given = [Path(name).resolve() for name in sys.argv[1:]]
    sources = given or sorted(FOLDER.glob("*.in"))
    for source in sources:
        target = source.with_suffix(".txt").relative_to(ROOT)
        print(target, flush=True)
        uv = [sys.executable, "-m", *COMPILE, *OPTIONS]
        done = subprocess.run([*uv, str(source.relative_to(ROOT)), "-o", str(target)], cwd=ROOT)
        if done.returncode:
            return done.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main())
