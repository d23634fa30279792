"""Layers: a folder's files as a reproducible tar, and the digests that name it."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Layer:
    """The compressed tar of a build step and its two digests."""

    content: bytes
    digest: str  # of the content: what the registry calls it
    diff_id: str  # of the tar before compression: what the image's configuration calls it
    created_by: str


def digest_of(content: bytes) -> str:
    """Return the digest by which a registry addresses content."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def pack(folder: Path, created_by: str) -> Layer:
    """Pack a folder; owner root and no times, so that equal files make an equal layer."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path in sorted(folder.rglob("*")):
            member = archive.gettarinfo(path, arcname=path.relative_to(folder).as_posix())
            member.uid = member.gid = 0
            member.uname = member.gname = "root"
            member.mtime = 0
            if member.isreg():
                archive.addfile(member, io.BytesIO(path.read_bytes()))
            else:
                archive.addfile(member)
    content = gzip.compress(plain.getvalue(), mtime=0)
    return Layer(content, digest_of(content), digest_of(plain.getvalue()), created_by)
