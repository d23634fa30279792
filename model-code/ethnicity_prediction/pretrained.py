"""A network that has learnt before: an earlier training's weights as this one's beginning."""

import hashlib
import json
import logging
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import nn

from . import weights
from .errors import MalformedError
from .export import CARD_FILE, WEIGHTS_FILE
from .model import AUXILIARY

ARCHIVE = "model.tar.gz"  # as SageMaker leaves it in S3
HEAD = "head."  # the part of a network that belongs to its labels
log = logging.getLogger("train")


@dataclass(frozen=True)
class Pretrained:
    """Weights by name, and the card of the model that they are of."""

    card: Mapping[str, Any]  # empty where only weights were given
    weights: Mapping[str, np.ndarray]
    digest: str  # SHA-256 of the weights' file

    @property
    def origin(self) -> dict[str, str]:
        return {"version": self.version, "digest": f"sha256:{self.digest}"}

    @property
    def version(self) -> str:
        return str(self.card.get("version", "unnamed"))


def read_pretrained(folder: Path) -> Pretrained | None:
    """What the channel holds; None where a job has no such channel."""
    if not folder.is_dir():
        return None
    files = {
        name: _member(folder / ARCHIVE, name)
        if (folder / ARCHIVE).is_file()
        else _file(folder / name)
        for name in (CARD_FILE, WEIGHTS_FILE)
    }
    card, content = files[CARD_FILE], files[WEIGHTS_FILE]
    if content is None:
        raise MalformedError(
            f"the channel {folder.name!r} lacks {WEIGHTS_FILE}: give it the {ARCHIVE} of an "
            f"earlier training, or {WEIGHTS_FILE} out of it, best with {CARD_FILE}"
        )
    told = _card(card, folder.name) if card is not None else {}
    return Pretrained(told, weights.from_bytes(content), hashlib.sha256(content).hexdigest())


def begin_with(network: nn.Module, given: Pretrained, label_values: Sequence[str]) -> None:
    """Load the weights; the last layer is kept only where the labels are the same.

    Bare weights do not tell theirs: of as many labels as here, they are taken to be the same.
    """
    same_labels = _labels_are(label_values, network, given)
    wanted = {
        name: tuple(value.shape)
        for name, value in network.state_dict().items()
        if not name.startswith(AUXILIARY if same_labels else (AUXILIARY, HEAD))
    }
    differing = [
        name
        for name, shape in wanted.items()
        if name not in given.weights or given.weights[name].shape != shape
    ]
    if differing:
        raise MalformedError(_why_it_does_not_fit(network, given, differing))
    taken = {name: torch.from_numpy(given.weights[name].copy()) for name in wanted}
    network.load_state_dict(taken, strict=False)
    log.info(
        "pretrained version=%s tensors=%d head=%s",
        given.version,
        len(taken),
        "kept" if same_labels else "new, for other labels",
    )


def _labels_are(label_values: Sequence[str], network: nn.Module, given: Pretrained) -> bool:
    if given.card:
        return list(given.card["label_values"]) == list(label_values)
    heads = {n: tuple(v.shape) for n, v in network.state_dict().items() if n.startswith(HEAD)}
    return heads == {n: v.shape for n, v in given.weights.items() if n.startswith(HEAD)}


def _card(content: bytes, channel: str) -> Mapping[str, Any]:
    try:
        told = json.loads(content)
        told["label_values"]
    except (ValueError, LookupError, TypeError) as error:
        raise MalformedError(f"{channel}: {CARD_FILE} is no model card ({error!r})") from error
    return cast(Mapping[str, Any], told)


def _file(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


def _member(archive: Path, name: str) -> bytes | None:
    try:
        with tarfile.open(archive, "r:gz") as tar:
            names = {member.name.removeprefix("./"): member for member in tar if member.isfile()}
            file = tar.extractfile(names[name]) if name in names else None
            return file.read() if file else None
    except (tarfile.TarError, OSError, EOFError) as error:
        raise MalformedError(f"{archive.name} cannot be read: {error}") from error


def _why_it_does_not_fit(network: nn.Module, given: Pretrained, differing: list[str]) -> str:
    name, values = differing[0], network.state_dict()
    there = given.weights[name].shape if name in given.weights else "none"
    told = given.card.get("training", {}).get("hyperparameters", {})
    shape = {key: told[key] for key in ("width", "channels") if key in told}
    return (
        f"the pretrained network is another: {len(differing)} of {len(values)} tensors differ, "
        f"{name} is {there} there and {tuple(values[name].shape)} here. Train with its "
        f"hyperparameters {shape or 'width and channels'}, or without the channel pretrained"
    )
