"""The images of one docker daemon, as files: blobs by digest, and what each name stands for."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local_cloud import unpacked as layout
from local_cloud.docker_cli.layers import Layer, digest_of

CONFIG_TYPE = "application/vnd.docker.container.image.v1+json"
LAYER_TYPE = "application/vnd.docker.image.rootfs.diff.tar.gzip"
MANIFEST_TYPE = "application/vnd.docker.distribution.manifest.v2+json"
REFERENCE = re.compile(
    r"(?P<repository>(?:[a-z0-9.-]+(?::\d+)?/)?[a-z0-9]+(?:[._/-]+[a-z0-9]+)*)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?"
)


class NoSuchImage(Exception):
    """A name stands for no image of this daemon."""

    def __init__(self, name: str) -> None:
        super().__init__(f"No such image: {name}")


class BadReference(Exception):
    """A name is none that Docker takes."""

    def __init__(self, name: str) -> None:
        super().__init__(f'invalid tag "{name}": invalid reference format')


@dataclass(frozen=True)
class Image:
    """An image: its id is the digest of its configuration."""

    id: str
    config: bytes
    manifest: bytes


def normalized(reference: str) -> str:
    """Return `repository:tag`, the tag `latest` where none is given; BadReference otherwise."""
    parsed = REFERENCE.fullmatch(reference)
    if parsed is None:
        raise BadReference(reference)
    return f"{parsed['repository']}:{parsed['tag'] or 'latest'}"


class Store:
    """What a daemon keeps under its folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.names_file = root / "names.json"
        (root / "blobs").mkdir(parents=True, exist_ok=True)

    def add(self, config: dict[str, Any], layers: list[Layer]) -> Image:
        """Keep a new image and unpack it."""
        encoded = json.dumps(config, sort_keys=True).encode()
        for content in [encoded, *(layer.content for layer in layers)]:
            self._blob(digest_of(content)).write_bytes(content)
        described = [
            {"mediaType": LAYER_TYPE, "size": len(layer.content), "digest": layer.digest}
            for layer in layers
        ]
        image_id = digest_of(encoded)
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": {"mediaType": CONFIG_TYPE, "size": len(encoded), "digest": image_id},
            "layers": described,
        }
        folder = self.folder(image_id)
        if not folder.exists():
            layout.write_unpacked(folder, encoded, [layer.content for layer in layers])
            (folder / "manifest.json").write_bytes(json.dumps(manifest, indent=3).encode())
        return self.image(image_id)

    def image(self, image_id: str) -> Image:
        """Read an image by its id."""
        folder = self.folder(image_id)
        config = (folder / "config.json").read_bytes()
        return Image(image_id, config, (folder / "manifest.json").read_bytes())

    def folder(self, image_id: str) -> Path:
        """Return where an image lies unpacked."""
        return self.root / "images" / image_id.replace(":", "-")

    def blob(self, digest: str) -> bytes:
        """Return a layer or a configuration."""
        return self._blob(digest).read_bytes()

    def tag(self, name: str, image_id: str) -> None:
        """Let a name stand for an image."""
        self._write_names(self.names() | {normalized(name): image_id})

    def untag(self, name: str) -> None:
        """Forget a name; an image without one is deleted."""
        names = self.names()
        image_id = names.pop(normalized(name), None)
        if image_id is None:
            raise NoSuchImage(name)
        self._write_names(names)
        if image_id not in names.values():
            shutil.rmtree(self.folder(image_id))

    def find(self, name: str) -> Image:
        """Find an image by name or by (the start of) its id; NoSuchImage if there is none."""
        image_id = self.names().get(normalized(name)) if REFERENCE.fullmatch(name) else None
        if image_id is None:
            wanted = name.removeprefix("sha256:")
            known = (f.name.replace("-", ":", 1) for f in self._folders())
            image_id = next((i for i in known if i[7:].startswith(wanted) and wanted), None)
        if image_id is None:
            raise NoSuchImage(name)
        return self.image(image_id)

    def names(self) -> dict[str, str]:
        """Return name → image id."""
        if not self.names_file.exists():
            return {}
        names: dict[str, str] = json.loads(self.names_file.read_text())
        return names

    def _folders(self) -> list[Path]:
        folder = self.root / "images"
        return sorted(folder.iterdir()) if folder.exists() else []

    def _blob(self, digest: str) -> Path:
        return self.root / "blobs" / digest.replace(":", "-")

    def _write_names(self, names: dict[str, str]) -> None:
        self.names_file.write_text(json.dumps(names, indent=1))
