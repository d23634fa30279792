"""What a job learns from and is measured on: channels in, arrays out."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from . import cache
from .config import Hyperparameters
from .errors import MalformedError
from .fit import Part
from .images import InputSpec
from .labels import Labels, labels_of, read_naming
from .paths import Paths
from .split import stratified

log = logging.getLogger("train")


@dataclass(frozen=True)
class HeldOut:
    """What is known of the rows that measure the model, besides their images."""

    channel: str  # that they come from, …
    rows: list[int]  # … and their places there, from 1
    truth: list[str]  # names of their labels, known to the model or not
    groups: Mapping[str, list[str]]  # "gender", "age": texts, "" where the data does not tell


@dataclass(frozen=True)
class Material:
    """All rows of a job, dealt out."""

    labels: Labels
    train: Part
    validation: Part
    held_out: HeldOut
    digest: str

    @property
    def rows(self) -> int:
        return len(self.train.codes)

    @property
    def prior(self) -> np.ndarray:
        """Share of each label in the training part, float [L]."""
        return np.bincount(self.train.codes, minlength=len(self.labels.values)) / self.rows


def read(paths: Paths, given: Hyperparameters, spec: InputSpec) -> Material:
    """Read the channels; without one for validation, a stratified part of train is held out."""
    train = cache.read(paths.channel("train"), spec, paths.cache)
    digest, naming = train.digest, read_naming(paths.channel("train"))
    labels = labels_of(train.values, naming)
    log.info("read channel=train rows=%d labels=%s", len(train.values), ",".join(labels.names))
    if len(labels.values) < 2:
        raise MalformedError(f"the training data has one label only: {labels.names[0]}")
    if paths.channel("validation").is_dir():
        channel, other = "validation", cache.read(paths.channel("validation"), spec, paths.cache)
        held = np.arange(len(other.values))
        log.info("read channel=validation rows=%d", len(held))
    else:
        channel, rng = "train", np.random.default_rng(given.seed)
        kept, held = stratified(train.codes(labels.values), given.validation_fraction, rng)
        train, other = train.take(kept), train.take(held)
        log.info("no validation channel: held out rows=%d", len(held))
    truth = [naming.name(value) for value in other.values]
    return Material(
        labels,
        Part(train.images, train.codes(labels.values)),
        Part(other.images, other.codes(labels.values)),
        HeldOut(channel, (held + 1).tolist(), truth, other.groups),
        digest,
    )
