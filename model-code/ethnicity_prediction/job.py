"""One training job: SageMaker's files in, the model artifact out."""

import hashlib
import json
import logging
from collections.abc import Callable, Mapping
from typing import Any

import torch

from . import artifact, checkpoint, config
from .device import best_device
from .fit import Fit
from .hosts import Group, read_group
from .images import InputSpec
from .material import Material, read
from .model import Network
from .paths import Paths
from .progress import Epoch, Progress

log = logging.getLogger("train")


def run(paths: Paths, environ: Mapping[str, str], should_stop: Callable[[], bool]) -> None:
    """Read, fit, measure, save; raise with a useful text where that cannot be done."""
    hyperparameters = config.parse(_read_json(paths, "hyperparameters"))
    group = read_group(paths.config)
    spec = InputSpec(hyperparameters.image_size, hyperparameters.channels)
    material = read(paths, hyperparameters, spec)
    torch.manual_seed(hyperparameters.seed)
    network = _network(material, hyperparameters)
    progress = _fit(paths, network, material, hyperparameters, group, should_stop)
    if not progress.history:
        raise InterruptedError("asked to stop before the first step: there is no model to save")
    if group.leads:
        version = environ.get("TRAINING_JOB_NAME") or "unnamed"
        facts = {"version": version, "hosts": group.size, "device": str(best_device())}
        artifact.save(paths.model, network, material, hyperparameters, progress, facts)


def _read_json(paths: Paths, name: str) -> dict[str, Any]:
    path = paths.config / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else {}


def _network(material: Material, given: config.Hyperparameters) -> Network:
    return Network(len(material.labels.values), given.channels, given.width, given.dropout)


def _fit(
    paths: Paths,
    network: Network,
    material: Material,
    given: config.Hyperparameters,
    group: Group,
    should_stop: Callable[[], bool],
) -> Progress:
    fit = Fit(network, given, material.prior, budget_s=given.budget_s, group=group)
    identity = _identity(material, given, group)
    resume = checkpoint.load(paths.checkpoints, identity)

    def on_epoch(epoch: Epoch, progress: Progress) -> None:
        log.info(_line(epoch))
        checkpoint.save(paths.checkpoints, progress, identity)

    group.join(fit.device)
    try:
        if not group.same(resume.step if resume else -1, fit.device):
            resume = None  # not every host has this checkpoint
        if resume:
            log.info("resumed epoch=%d step=%d", len(resume.history), resume.step)
        return fit.run(
            material.train,
            material.validation,
            resume=resume,
            should_stop=should_stop,
            on_epoch=on_epoch,
        )
    finally:
        group.leave()


def _line(epoch: Epoch) -> str:
    """One epoch as SageMaker's metric definitions read it."""
    return (
        f"epoch={epoch.epoch} train_loss={epoch.train_loss:.4f} "
        f"validation_accuracy={epoch.validation_accuracy:.4f} "
        f"validation_macro_recall={epoch.validation_macro_recall:.4f} "
        f"images_per_s={epoch.images_per_s:.0f} elapsed_s={epoch.elapsed_s:.1f}"
    )


def _identity(material: Material, given: config.Hyperparameters, group: Group) -> str:
    """A checkpoint fits a job with the same data, labels, hyperparameters and hosts."""
    text = json.dumps(
        [material.digest, material.labels.as_json(), given.as_json(), group.size], sort_keys=True
    )
    return hashlib.sha256(text.encode()).hexdigest()
