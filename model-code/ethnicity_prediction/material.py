"""What a job learns from and is measured on: channels in, arrays out."""

import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
import torch

from . import cache
from .channel import Dataset, joined_digest
from .config import Hyperparameters
from .errors import MalformedError
from .fit import Part
from .hosts import Group
from .images import InputSpec
from .labels import Labels, Naming, labels_of, read_naming
from .objective import classes_of, group_codes
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
    train: Part  # this host's own rows where the channel is sharded
    validation: Part
    held_out: HeldOut
    digest: str
    counts: np.ndarray  # rows of each label to learn from, on all hosts, int [L]
    tasks: tuple[int, ...] = ()  # classes of each auxiliary task

    @property
    def rows(self) -> int:
        return int(self.counts.sum())

    @property
    def prior(self) -> np.ndarray:
        """Share of each label in the training part, float [L]."""
        return self.counts / self.rows


def read_material(
    paths: Paths, given: Hyperparameters, group: Group, device: torch.device
) -> Material:
    """Read the channels; without one for validation, a stratified part of train is held out."""
    spec = InputSpec(given.image_size, given.channels)
    train = cache.read(paths.channel("train"), spec, paths.cache)
    naming = read_naming(paths.channel("train"))
    log.info("read channel=train rows=%d", len(train.values))
    if paths.channel("validation").is_dir():
        channel, other = "validation", cache.read(paths.channel("validation"), spec, paths.cache)
        held = np.arange(len(other.values))
        log.info("read channel=validation rows=%d", len(held))
    else:
        channel, rng = "train", np.random.default_rng(given.seed)
        codes = train.codes(labels_of(train.values, naming).values)
        kept, held = stratified(codes, given.validation_fraction, rng)
        train, other = train.take(kept), train.take(held)
        log.info("no validation channel: held out rows=%d", len(held))
    naming, rows, digest, classes = _of_all_hosts(train, naming, group, device)
    classes = classes if given.auxiliary_weight else {}
    if given.auxiliary_weight and not classes:
        raise MalformedError(
            f"auxiliary_weight is {given.auxiliary_weight}, but the training data tells neither "
            "genders nor ages: set it to 0, or add such columns"
        )
    labels = labels_of(rows, naming)
    log.info("labels=%s", ",".join(labels.names))
    if len(labels.values) < 2:
        raise MalformedError(f"the training data has one label only: {labels.names[0]}")
    return Material(
        labels,
        Part(
            train.images,
            train.codes(labels.values),
            group_codes(train.groups, classes, len(train.values)),
        ),
        Part(other.images, other.codes(labels.values)),
        HeldOut(channel, (held + 1).tolist(), list(map(naming.name, other.values)), other.groups),
        digest,
        np.array([rows[value] for value in labels.values]),
        tuple(map(len, classes.values())),
    )


def _of_all_hosts(
    train: Dataset, naming: Naming, group: Group, device: torch.device
) -> tuple[Naming, Counter[str], str, dict[str, list[str]]]:
    """Naming, rows of each label, digest, groups of training data that hosts may have shared out.

    labels.json is then on one host only, as any other file is.
    """
    mine = {
        **{"counts": Counter(train.values), "digest": train.digest, "naming": asdict(naming)},
        "groups": {kind: sorted(set(texts)) for kind, texts in train.groups.items()},
    }
    hosts = group.everyone(mine, device)
    digests = [told["digest"] for told in hosts]
    if not group.sharded:
        if len(set(digests)) > 1:
            raise MalformedError(
                f"the hosts have different data in the channel train (SHA-256 {digests}), which is "
                "not sharded: start the training again once nobody writes to it"
            )
        hosts, digests = hosts[:1], digests[:1]
    namings = [Naming(**told["naming"]) for told in hosts]
    rows = sum((Counter(told["counts"]) for told in hosts), Counter[str]())
    found = next((each for each in namings if each != Naming()), Naming())
    kinds = sorted({kind for told in hosts for kind in told["groups"]})
    texts = {kind: [t for told in hosts for t in told["groups"].get(kind, ())] for kind in kinds}
    return found, rows, joined_digest(digests), classes_of(texts)
