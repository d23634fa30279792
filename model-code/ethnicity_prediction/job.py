"""One training job: SageMaker's files in, the model artifact out."""

import hashlib
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from . import artifact, checkpoint, config
from .device import best_device
from .fit import Fit
from .hosts import Group, read_group
from .material import Material, read_material
from .memory import keep_freed
from .model import Network
from .paths import Paths
from .pretrained import Pretrained, begin_with, read_pretrained
from .program import program_digest
from .progress import Epoch, Progress

log = logging.getLogger("train")


@dataclass(frozen=True)
class Job:
    """What stays the same from a job's first line to its last."""

    paths: Paths
    given: config.Hyperparameters
    group: Group
    device: torch.device

    def network(self, material: Material, earlier: Pretrained | None) -> Network:
        """The network to begin with, drawn from the seed or taken from an earlier training."""
        torch.manual_seed(self.given.seed)
        labels, given = material.labels.values, self.given
        network = Network(
            len(labels), given.channels, given.width, given.dropout, sum(material.tasks)
        )
        if earlier:
            begin_with(network, earlier, labels)
        return network

    def fit(
        self, network: Network, material: Material, identity: str, should_stop: Callable[[], bool]
    ) -> Progress:
        """Fit from the first host's checkpoint on, if it has one of this identity."""
        keep_freed()
        fit = Fit(
            network,
            self.given,
            material.prior,
            budget_s=self.given.budget_s,
            tasks=material.tasks,
            group=self.group,
            device=self.device,
        )
        saved = checkpoint.read(self.paths.checkpoints) if self.group.leads else b""
        resume = checkpoint.load(self.group.heard_from(0, saved, self.device), identity)
        if resume:
            log.info("resumed epoch=%d step=%d", len(resume.history), resume.step)
        elif saved:
            log.info("the checkpoint there is of another job or program: not taken")

        def on_epoch(epoch: Epoch, progress: Progress) -> None:
            log.info(_line(epoch, progress.eta_s))
            checkpoint.save(self.paths.checkpoints, progress, identity)

        return fit.run(
            material.train,
            material.validation,
            resume=resume,
            should_stop=should_stop,
            on_epoch=on_epoch,
        )

    def identity(self, material: Material, earlier: Pretrained | None) -> str:
        """A checkpoint fits a job of the same program, data, labels, hosts, start, hyperparameters.

        What is set after the fitting may differ: so a finished training is judged anew in seconds.
        """
        given, hosts = self.given.of_fitting(), self.group.size
        facts = [program_digest(), material.digest, material.labels.as_json(), given, hosts]
        text = json.dumps([*facts, earlier.origin if earlier else None], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def run(
    paths: Paths,
    environ: Mapping[str, str],
    should_stop: Callable[[], bool],
    give_up: Callable[[str], None] = log.error,
) -> None:
    """Read, fit, measure, save; raise with a useful text where that cannot be done.

    `give_up` must end the process: see Group.joined.
    """
    group = read_group(paths.config)
    given = config.parse(_read_json(paths, "hyperparameters"), group.size)
    job = Job(paths, given, group, best_device())
    log.info("device=%s hosts=%d", job.device, group.size)
    with job.group.joined(job.device, given.peer_timeout_s, give_up):
        material = read_material(paths, given, job.group, job.device)
        earlier = read_pretrained(paths.channel("pretrained"))
        network = job.network(material, earlier)
        identity = job.identity(material, earlier)
        progress = job.fit(network, material, identity, should_stop)
    if not progress.history:
        raise InterruptedError("asked to stop before the first step: there is no model to save")
    if job.group.leads:
        facts = {
            "version": environ.get("TRAINING_JOB_NAME") or "unnamed",
            "hosts": job.group.size,
            "device": str(job.device),
            "pretrained": earlier.origin if earlier else None,
        }
        artifact.save(paths.model, network, material, given, progress, facts)


def _read_json(paths: Paths, name: str) -> dict[str, Any]:
    path = paths.config / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else {}


def _line(epoch: Epoch, eta_s: float) -> str:
    """One epoch as SageMaker's metric definitions read it."""
    return (
        f"epoch={epoch.epoch} train_loss={epoch.train_loss:.4f} "
        f"validation_accuracy={epoch.validation_accuracy:.4f} "
        f"validation_macro_recall={epoch.validation_macro_recall:.4f} "
        f"images_per_s={epoch.images_per_s:.0f} elapsed_s={epoch.elapsed_s:.1f} "
        f"eta_s={eta_s:.1f}"
    )
