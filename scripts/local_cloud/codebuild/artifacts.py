"""Takes a build's source out of a ZIP and puts its artifacts into one."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

from local_cloud.codebuild.buildspec import Artifacts
from local_cloud.docker_cli.context import pattern_of


class ArtifactError(Exception):
    """The artifacts that the buildspec names are not there; in CodeBuild's words."""


def unpack(archive: bytes, folder: Path) -> None:
    """Unpack a source. Files lose their mode on the way, as they do from CodeCommit on AWS."""
    with zipfile.ZipFile(io.BytesIO(archive)) as source:
        source.extractall(folder)


def pack(source: Path, artifacts: Artifacts) -> bytes:
    """Put the chosen files into a ZIP; raises ArtifactError if none matches."""
    base = (source / artifacts.base_directory).resolve()
    if not base.is_dir():
        raise ArtifactError(f"no matching base directory path found for {artifacts.base_directory}")
    chosen = select(base, artifacts)
    if not chosen:
        raise ArtifactError("no matching artifact paths found")
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in chosen:
            name = path.name if artifacts.discard_paths else path.relative_to(base).as_posix()
            archive.write(path, name)
    return content.getvalue()


def select(base: Path, artifacts: Artifacts) -> list[Path]:
    """Return the files under `base` that a pattern names and no exclusion does."""
    wanted = [pattern_of(pattern.removeprefix("./")) for pattern in artifacts.files]
    unwanted = [pattern_of(pattern.removeprefix("./")) for pattern in artifacts.exclude_paths]
    return [
        path
        for path in sorted(base.rglob("*"))
        if path.is_file()
        and any(rule.fullmatch(path.relative_to(base).as_posix()) for rule in wanted)
        and not any(rule.fullmatch(path.relative_to(base).as_posix()) for rule in unwanted)
    ]
