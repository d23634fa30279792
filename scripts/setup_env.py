#!/usr/bin/env python3
"""Makes a virtual environment that holds exactly what a lock file says; does nothing if it does.

Usage: setup_env.py FOLDER LOCK_FILE
The lock file's digest is kept in the folder, so a changed lock file rebuilds the environment.
"""

from __future__ import annotations

import hashlib
import shutil
import signal
import subprocess
import sys
import time
import venv
from pathlib import Path

STAMP = "lock.sha256"


def is_current(folder: Path, digest: str) -> bool:
    """Say whether the environment was made from this very lock file."""
    stamp = folder / STAMP
    return stamp.is_file() and stamp.read_text() == digest and (folder / "bin/python").exists()


def build(folder: Path, lock: Path, digest: str) -> None:
    """Make the environment afresh; a failed install leaves no stamp and is redone next time."""
    shutil.rmtree(folder, ignore_errors=True)
    venv.EnvBuilder(with_pip=True, symlinks=True).create(folder)
    # --no-deps: the lock names everything, and pip cannot match extras that it does not name.
    install = ["install", "--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes"]
    python = str(folder / "bin/python")
    subprocess.run([python, "-m", "pip", *install, "-r", str(lock)], check=True)
    (folder / STAMP).write_text(digest)


def main() -> int:
    """Bring one environment up to date and say what it took."""
    if sys.version_info < (3, 11):  # noqa: UP036 (this runs on whatever python3 is there)
        print(f"Python 3.11 or newer is needed, this is {sys.version.split()[0]}", file=sys.stderr)
        return 1
    folder, lock = Path(sys.argv[1]), Path(sys.argv[2])
    if folder.is_symlink():
        where = folder.readlink()
        print(f"{folder} is a link to {where}, another's environment; remove it", file=sys.stderr)
        return 1
    digest = hashlib.sha256(lock.read_bytes() + sys.version.encode()).hexdigest()
    if is_current(folder, digest):
        return 0
    started = time.monotonic()
    try:
        print(f"{folder}: installing {lock} …", flush=True)
        build(folder, lock, digest)
    except subprocess.CalledProcessError as error:
        print(f"{folder}: pip failed ({error}); is a package index reachable?", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"{folder}: interrupted; the next make installs it afresh", file=sys.stderr)
        return 128 + signal.SIGINT
    print(f"{folder}: ready after {time.monotonic() - started:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
