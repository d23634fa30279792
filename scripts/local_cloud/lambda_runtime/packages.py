"""The folders a function's process sees: its own code, and what AWS's runtime brings along."""

from __future__ import annotations

import base64
import functools
import importlib.metadata
import io
import os
import re
import stat
import tempfile
import threading
import zipfile
from pathlib import Path

from local_cloud import state

RUNTIME_BRINGS = "boto3"
_linking = threading.Lock()


class UnreadableCode(Exception):
    """A file of the zip that Lambda's user could not read."""


@functools.cache
def runtime_packages() -> Path:
    """Return a folder with boto3 and what it needs, and nothing else of this environment.

    They have the local cloud's own versions, which AWS's runtime may not bring yet.
    """
    folder = state.folder("lambda", "runtime")
    with _linking:  # the cache lets several first callers in
        for source in sorted(_closure(RUNTIME_BRINGS)):
            link = folder / source.name
            if not link.exists():
                link.unlink(missing_ok=True)
                link.symlink_to(source)
    return folder


def task_root(code_sha256: str, code_zip: bytes) -> Path:
    """Return the folder that holds a function's code, unpacked once for each digest."""
    digest = base64.b64decode(code_sha256).hex()
    folder = state.folder("lambda", "code") / digest
    if not folder.exists():
        partial = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{digest[:12]}-"))
        with zipfile.ZipFile(io.BytesIO(code_zip)) as archive:
            archive.extractall(partial)
        try:
            partial.rename(folder)
        except OSError:  # another environment of the function was faster
            if not folder.exists():
                raise
    return folder


def refuse_unreadable(code_zip: bytes) -> None:
    """Raise UnreadableCode for a file whose mode lets only its owner read it.

    Lambda runs as another user than the one that unpacked the zip; Python's own
    `ZipFile.writestr` writes such modes (0600).
    """
    with zipfile.ZipFile(io.BytesIO(code_zip)) as archive:
        for entry in archive.infolist():
            mode = entry.external_attr >> 16
            if mode and not mode & stat.S_IROTH:
                raise UnreadableCode(f"[Errno 13] Permission denied: '/var/task/{entry.filename}'")


def _closure(name: str, seen: frozenset[str] = frozenset()) -> set[Path]:
    """Return the top-level files and folders of a distribution and of all it requires."""
    distribution = importlib.metadata.distribution(name)
    root = Path(str(distribution.locate_file("")))
    tops = {Path(os.fspath(file)).parts[0] for file in distribution.files or ()}
    found = {root / top for top in tops if top not in {"..", "__pycache__"}}
    for requirement in distribution.requires or ():
        needed = re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0]
        if "extra ==" not in requirement and needed not in seen:
            found |= _closure(needed, seen | {name, needed})
    return found
