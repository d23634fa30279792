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


def run(
    paths: Paths,
    environ: Mapping[str, str],
    should_stop: Callable[[], bool],
    give_up: Callable[[str], None] = log.error,
) -> None:
    """Read, fit, measure, save; raise with a useful text where that cannot be done.

    `give_up` must end the process: see Group.joined.
    """
    given = config.parse(_read_json(paths, "hyperparameters"))
    group, device = read_group(paths.config), best_device()
    with group.joined(device, given.peer_timeout_s, give_up):
        spec = InputSpec(given.image_size, given.channels)
        material = read(paths, given, spec, group, device)
        torch.manual_seed(given.seed)
        network = Network(len(material.labels.values), given.channels, given.width, given.dropout)
        progress = _fit(paths, network, material, given, group, device, should_stop)
    if not progress.history:
        raise InterruptedError("asked to stop before the first step: there is no model to save")
    if group.leads:
        version = environ.get("TRAINING_JOB_NAME") or "unnamed"
        facts = {"version": version, "hosts": group.size, "device": str(device)}
        artifact.save(paths.model, network, material, given, progress, facts)


def _read_json(paths: Paths, name: str) -> dict[str, Any]:
    path = paths.config / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else {}


def _fit(
    paths: Paths,
    network: Network,
    material: Material,
    given: config.Hyperparameters,
    group: Group,
    device: torch.device,
    should_stop: Callable[[], bool],
) -> Progress:
    fit = Fit(network, given, material.prior, budget_s=given.budget_s, group=group, device=device)
    identity = _identity(material, given, group)
    saved = checkpoint.read(paths.checkpoints) if group.leads else b""
    resume = checkpoint.load(group.heard_from(0, saved, device), identity)
    if resume:
        log.info("resumed epoch=%d step=%d", len(resume.history), resume.step)

    def on_epoch(epoch: Epoch, progress: Progress) -> None:
        log.info(_line(epoch))
        checkpoint.save(paths.checkpoints, progress, identity)

    return fit.run(
        material.train,
        material.validation,
        resume=resume,
        should_stop=should_stop,
        on_epoch=on_epoch,
    )


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
