"""One training job: SageMaker's files in, the model artifact out."""

import hashlib
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import torch

from . import cache, checkpoint, config, export, images
from .channel import Dataset
from .convert import to_onnx
from .errors import MalformedError
from .fit import Fit, Part
from .hosts import Group, read_group
from .labels import Labels, labels_of, read_naming
from .metrics import calibration_error, evaluate
from .model import Classifier, Network
from .operating_point import OperatingPoint, choose
from .paths import Paths
from .predictor import Predictor
from .progress import Epoch, Progress
from .split import stratified

MODEL_NAME = "ethnicity-prediction"
log = logging.getLogger("train")


@dataclass(frozen=True)
class Material:
    """What a job learns from and is measured on."""

    labels: Labels
    train: Part
    validation: Part
    held_out: list[str]  # label values of the validation rows, known to the model or not
    digest: str
    rows: int

    @property
    def prior(self) -> np.ndarray:
        """Share of each label in the training part, float [L]."""
        return np.bincount(self.train.codes, minlength=len(self.labels.values)) / self.rows


def run(paths: Paths, environ: Mapping[str, str], should_stop: Callable[[], bool]) -> None:
    """Read, fit, measure, save; raise with a useful text where that cannot be done."""
    hyperparameters = config.parse(_read_json(paths, "hyperparameters"))
    group = read_group(paths.config)
    spec = images.InputSpec(hyperparameters.image_size, hyperparameters.channels)
    material = _material(paths, hyperparameters, spec)
    torch.manual_seed(hyperparameters.seed)
    network = _network(material, hyperparameters)
    progress = _fit(paths, network, material, hyperparameters, group, should_stop)
    if not progress.history:
        raise InterruptedError("asked to stop before the first step: there is no model to save")
    if group.leads:
        network.load_state_dict(progress.best)
        network.cpu().eval()
        _save(paths, network, material, hyperparameters, spec, progress, environ)


def _read_json(paths: Paths, name: str) -> dict[str, Any]:
    path = paths.config / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else {}


def _network(material: Material, given: config.Hyperparameters) -> Network:
    return Network(len(material.labels.values), given.channels, given.width, given.dropout)


def _material(paths: Paths, given: config.Hyperparameters, spec: images.InputSpec) -> Material:
    data = cache.read(paths.channel("train"), spec, paths.cache)
    labels = labels_of(data.values, read_naming(paths.channel("train")))
    if len(labels.values) < 2:
        raise MalformedError(f"the training data has one label only: {labels.names[0]}")
    codes = data.codes(labels.values)
    log.info("read channel=train rows=%d labels=%s", len(codes), ",".join(labels.names))
    if paths.channel("validation").is_dir():
        other = cache.read(paths.channel("validation"), spec, paths.cache)
        log.info("read channel=validation rows=%d", len(other.values))
        return _with_validation(data, codes, other, labels)
    rng = np.random.default_rng(given.seed)
    kept, held = stratified(codes, given.validation_fraction, rng)
    log.info("no validation channel: held out rows=%d", len(held))
    return Material(
        labels,
        Part(data.images[kept], codes[kept]),
        Part(data.images[held], codes[held]),
        [data.values[i] for i in held],
        data.digest,
        len(kept),
    )


def _with_validation(data: Dataset, codes: np.ndarray, other: Dataset, labels: Labels) -> Material:
    return Material(
        labels,
        Part(data.images, codes),
        Part(other.images, other.codes(labels.values)),
        other.values,
        data.digest,
        len(codes),
    )


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


def _save(
    paths: Paths,
    network: Network,
    material: Material,
    given: config.Hyperparameters,
    spec: images.InputSpec,
    progress: Progress,
    environ: Mapping[str, str],
) -> None:
    classifier, point = _at_operating_point(network, material, given.views)
    graph = to_onnx(classifier, spec)
    card: dict[str, Any] = {
        "name": MODEL_NAME,
        "version": environ.get("TRAINING_JOB_NAME") or "unnamed",
        **material.labels.as_json(),
        "image_size": spec.size,
        "channels": spec.channels,
        "preprocessing": images.DESCRIPTION,
    }
    card["metrics"] = _measure(Predictor(graph, card, torch.get_num_threads()), material)
    card["data"] = {"digest": f"sha256:{material.digest}", "rows": material.rows}
    card["training"] = {
        "hyperparameters": given.as_json(),
        "framework": f"torch {torch.__version__}",
        "seconds": round(progress.elapsed_s, 1),
        "steps": progress.step,
        "operating_point": asdict(point),
        "epochs": [asdict(epoch) for epoch in progress.history],
    }
    card["created"] = datetime.now(UTC).isoformat(timespec="seconds")
    export.save(paths.model, graph, card)
    log.info("saved model=%s bytes=%d", paths.model, len(graph))


def _at_operating_point(
    network: Network, material: Material, views: int
) -> tuple[Classifier, OperatingPoint]:
    """The network as it will be served, with what the validation part says about its answers."""
    held = material.validation
    logits = Classifier(network, views).predict_logits(held.images)
    point = choose(logits, held.codes, material.prior)
    log.info("operating point tau=%.2f temperature=%.3f", point.tau, point.temperature)
    offset = torch.as_tensor(point.tau * np.log(material.prior))
    return Classifier(network, views, offset, point.temperature), point


def _measure(predictor: Predictor, material: Material) -> dict[str, Any]:
    """What the artifact itself, as it will be served, scores on the validation part."""
    probabilities = predictor.predict(material.validation.images)
    chosen = probabilities.argmax(axis=1)
    naming = dict(zip(predictor.labels.values, predictor.labels.names, strict=True))
    truth = [naming.get(value, value) for value in material.held_out]
    metrics = evaluate(truth, [predictor.labels.names[code] for code in chosen])
    metrics["calibration_error"] = calibration_error(probabilities, material.validation.codes)
    log.info(
        "final validation_accuracy=%.4f validation_macro_recall=%.4f",
        metrics["accuracy"],
        metrics["macro_recall"],
    )
    for label, recall in metrics["recall"].items():
        log.info("final label=%s recall=%.4f rows=%d", label, recall, metrics["rows"][label])
    return metrics
