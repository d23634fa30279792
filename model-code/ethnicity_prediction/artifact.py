"""From the trained network to the artifact: what it answers, how well, and where it comes from."""

import logging
import platform
import resource
import sys
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import PIL
import torch

from . import export, images, weights
from .config import Hyperparameters
from .convert import to_onnx
from .images import InputSpec
from .material import Material
from .metrics import calibration_error, evaluate
from .model import AUXILIARY, Classifier, Network
from .operating_point import OperatingPoint, choose
from .predictor import Predictor
from .progress import Progress
from .report import Answers, make_report, pictures
from .report_html import report_html

MODEL_NAME = "ethnicity-prediction"
log = logging.getLogger("train")


def save(
    folder: Path,
    network: Network,
    material: Material,
    given: Hyperparameters,
    progress: Progress,
    facts: Mapping[str, Any],
) -> None:
    """Model, card and report of the best weights; `facts`: version, hosts, device, pretrained."""
    network.load_state_dict(progress.best)
    network.cpu().eval()
    spec = InputSpec(given.image_size, given.channels)
    classifier, point = _at_operating_point(network, material, given)
    graph = to_onnx(classifier, spec)
    card: dict[str, Any] = {
        "name": MODEL_NAME,
        "version": facts["version"],
        **material.labels.as_json(),
        "image_size": spec.size,
        "channels": spec.channels,
        "preprocessing": images.DESCRIPTION,
    }
    answers = _ask(Predictor(graph, card, torch.get_num_threads()), material)
    card["metrics"] = _measure(answers)
    card["data"] = {"digest": f"sha256:{material.digest}", "rows": material.rows}
    card["training"] = {**_training(given, progress, point), "pretrained": facts["pretrained"]}
    card["created"] = datetime.now(UTC).isoformat(timespec="seconds")
    report = make_report(card, answers, _surroundings(facts))
    page = report_html(report, pictures(card, material.validation.images[answers.worst]))
    export.save(folder, graph, card, _beside(network, report, page))
    log.info("saved model=%s bytes=%d", folder, len(graph))


def _beside(network: Network, report: Mapping[str, Any], page: str) -> dict[str, bytes]:
    arrays = {
        name: value.numpy()
        for name, value in network.state_dict().items()
        if not name.startswith(AUXILIARY)
    }
    return {
        export.WEIGHTS_FILE: weights.to_bytes(arrays),
        export.REPORT_FILE: export.as_json(report),
        export.PAGE_FILE: page.encode(),
    }


def _at_operating_point(
    network: Network, material: Material, given: Hyperparameters
) -> tuple[Classifier, OperatingPoint]:
    """The network as it will be served, with what the validation part says about its answers."""
    held = material.validation
    logits = Classifier(network, given.views).predict_logits(held.images)
    point = choose(logits, held.codes, material.prior, given.least_recall)
    log.info("operating point tau=%.2f temperature=%.3f", point.tau, point.temperature)
    offset = torch.as_tensor(point.tau * np.log(material.prior))
    return Classifier(network, given.views, offset, point.temperature), point


def _ask(predictor: Predictor, material: Material) -> Answers:
    """What the artifact itself, as it will be served, answers on the validation part."""
    held, part = material.held_out, material.validation
    probabilities = predictor.predict(part.images)
    labels = predictor.labels.names
    return Answers(
        held.truth, part.codes, probabilities, labels, held.groups, held.channel, held.rows
    )


def _measure(answers: Answers) -> dict[str, Any]:
    metrics = evaluate(answers.truth, answers.predicted)
    metrics["calibration_error"] = calibration_error(answers.probabilities, answers.codes)
    log.info(
        "final validation_accuracy=%.4f validation_macro_recall=%.4f",
        metrics["accuracy"],
        metrics["macro_recall"],
    )
    for label, recall in metrics["recall"].items():
        log.info("final label=%s recall=%.4f rows=%d", label, recall, metrics["rows"][label])
    return metrics


def _training(given: Hyperparameters, progress: Progress, point: OperatingPoint) -> dict[str, Any]:
    best = progress.best_epoch
    return {
        "hyperparameters": given.as_json(),
        "framework": f"torch {torch.__version__}",
        "seconds": round(progress.elapsed_s, 1),
        "steps": progress.step,
        "operating_point": asdict(point),
        "epochs": [asdict(epoch) for epoch in progress.history],
        "best_epoch": best.epoch if best else None,
    }


def _surroundings(facts: Mapping[str, Any]) -> dict[str, Any]:
    """What the numbers may depend on, besides data and hyperparameters."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # KiB, on macOS bytes
    return {
        "hosts": facts["hosts"],
        "device": facts["device"],
        "peak_memory_mb": round(peak / (1024**2 if sys.platform == "darwin" else 1024)),
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": np.__version__,
            "onnxruntime": onnxruntime.__version__,
            "pillow": PIL.__version__,
        },
    }
