"""What a channel held, kept ready: parsed once for all trainings that share a cache folder."""

import contextlib
import hashlib
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import PIL

from . import channel, data, images
from .channel import Dataset, channel_digest, read_channel
from .errors import BadInputError
from .export import write_whole
from .images import InputSpec

log = logging.getLogger("train")


def read(folder: Path, spec: InputSpec, cache: Path | None) -> Dataset:
    """Read the channel, from the cache where that holds this very data.

    The data itself is hashed each time, so no date can deceive. An entry that is of other data,
    of another program or damaged is made anew; a cache that cannot be written is done without.
    """
    if cache is None:
        return read_channel(folder, spec)
    try:
        digest = channel_digest(folder)
    except (BadInputError, OSError):
        return read_channel(folder, spec)  # and be told what is wrong
    found = _load(cache / folder.name, digest, spec)
    if found:
        log.info("channel=%s comes from the cache", folder.name)
        return found
    made = read_channel(folder, spec)
    if made.digest == digest:
        _store(cache / folder.name, made, spec)
    return made


def _load(entry: Path, digest: str, spec: InputSpec) -> Dataset | None:
    try:
        about = json.loads(entry.with_suffix(".json").read_bytes())
        if about["key"] != _key(digest, spec):
            return None
        if about.pop("check") != _check(entry, about):
            log.warning("the cache's %s is damaged; made anew", entry.name)
            return None
        pixels = np.load(entry.with_suffix(".npy"), mmap_mode="c", allow_pickle=False)
        return Dataset(np.asarray(pixels), about["values"], digest, about["groups"])
    except FileNotFoundError:
        return None
    except (OSError, EOFError, ValueError, LookupError, TypeError) as error:
        log.warning("the cache's %s cannot be read (%s); made anew", entry.name, error)
        return None


def _store(entry: Path, made: Dataset, spec: InputSpec) -> None:
    """Pixels first; the JSON file is what makes the entry complete."""
    key, part = _key(made.digest, spec), entry.with_suffix(".part")
    try:
        entry.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            np.save(file, made.images, allow_pickle=False)
        part.replace(entry.with_suffix(".npy"))
        about = {"key": key, "values": made.values, "groups": dict(made.groups)}
        text = json.dumps(about | {"check": _check(entry, about)})
        write_whole(entry.with_suffix(".json"), text.encode())
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink()
        log.warning("the cache cannot be written: %s", error)


def _key(digest: str, spec: InputSpec) -> str:
    """Tell apart what gives other pixels: data, their form, and the program that makes them."""
    modules = (channel, data, images)
    program = [hashlib.sha256(Path(str(m.__file__)).read_bytes()).hexdigest() for m in modules]
    told = json.dumps([digest, spec.size, spec.channels, PIL.__version__, *program])
    return hashlib.sha256(told.encode()).hexdigest()


def _check(entry: Path, about: Mapping[str, Any]) -> str:
    """SHA-256 of the whole entry: the pixels as they lie there, and what stands beside them."""
    with entry.with_suffix(".npy").open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
    digest.update(json.dumps(about, sort_keys=True).encode())
    return digest.hexdigest()
