"""What is set after the fitting, on the validation part alone: the trade-off and the confidence."""

from dataclasses import dataclass
from functools import partial

import numpy as np

from .metrics import label_recalls

TAUS = np.linspace(0.0, 0.6, 31)
TEMPERATURES = np.geomspace(0.25, 4.0, 81)


@dataclass(frozen=True)
class OperatingPoint:
    """Logits z become softmax((z - tau log prior) / temperature)."""

    tau: float = 0.0
    temperature: float = 1.0


def choose(
    logits: np.ndarray, codes: np.ndarray, prior: np.ndarray, least_recall: float = 0.0
) -> OperatingPoint:
    """Read the trade-off off the validation part: float [N, L], int [N], float [L].

    tau is the one whose accuracy and macro recall have the greatest sum, so that neither is bought
    with the other (Menon et al., "Long-tail learning via logit adjustment", 2021). With a
    `least_recall` it is the most accurate one that gives every label so much, or, if none does,
    the one that gives the worst label most. The temperature is the likeliest one (Guo et al., "On
    calibration of modern neural networks", 2017); where no row is wrong, a doubt is left. Rows with
    a label that the model does not know, code -1, say nothing about any of this.
    """
    known = codes >= 0
    if not known.any():
        return OperatingPoint()
    logits, codes = logits[known].astype(np.float64), codes[known]
    worth = partial(_worth, codes=codes, least_recall=least_recall)
    tau = max(TAUS, key=lambda tau: (*worth(_shifted(logits, prior, tau).argmax(axis=1)), -tau))
    shifted, targets = _shifted(logits, prior, tau), _targets(codes, len(prior))
    temperature = min(TEMPERATURES, key=lambda t: _negative_likelihood(shifted / t, targets))
    return OperatingPoint(float(tau), float(temperature))


def _shifted(logits: np.ndarray, prior: np.ndarray, tau: float) -> np.ndarray:
    return logits - tau * np.log(prior)


def _worth(predicted: np.ndarray, codes: np.ndarray, least_recall: float) -> tuple[float, float]:
    """What is compared first, and what where that is the same."""
    accuracy, recalls = float((predicted == codes).mean()), label_recalls(codes, predicted)
    if not least_recall:
        return 0.0, accuracy + float(recalls.mean())
    return min(float(recalls.min()), least_recall), accuracy


def _negative_likelihood(logits: np.ndarray, targets: np.ndarray) -> float:
    highest = logits.max(axis=1, keepdims=True)
    total = highest + np.log(np.exp(logits - highest).sum(axis=1, keepdims=True))
    return float((targets * (total - logits)).sum(axis=1).mean())


def _targets(codes: np.ndarray, labels: int) -> np.ndarray:
    """Float [N, L]: of n rows of a label one more, wrong, is supposed, so nothing is certain.

    Platt, "Probabilistic outputs for support vector machines", 1999, section 2.2: (n+1)/(n+2).
    """
    rows = np.bincount(codes, minlength=labels)[codes]
    right = (rows + 1) / (rows + 2)
    targets = np.repeat(((1 - right) / (labels - 1))[:, None], labels, axis=1)
    targets[np.arange(len(codes)), codes] = right
    return targets
