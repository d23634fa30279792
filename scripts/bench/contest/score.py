"""What trained models know of a folder of labelled rows: `score.py TEST MODEL …`; prints JSON.

For each model and for their mean: accuracy, macro recall, recall of the worst label, expected
calibration error; with the mean, the 2.5 and 97.5 % quantiles (low, high) of what it is of rows
drawn again and again (Efron, 1979). Besides, the frontier: what the mean would be, had all models
another trade-off between labels than each has chosen on its validation part; and whether a
training on this machine has bfloat16.
"""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from ethnicity_prediction import export
from ethnicity_prediction.channel import read_channel
from ethnicity_prediction.device import best_device, has_bf16
from ethnicity_prediction.metrics import calibration_error, label_recalls

DRAWS = 2000
ROWS = 256  # at once
TAUS = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6]  # of the frontier
Measure = Callable[[np.ndarray, np.ndarray], float]  # probabilities [N, L], codes [N]


MEASURES: dict[str, Measure] = {
    "accuracy": lambda p, codes: float((p.argmax(axis=1) == codes).mean()),
    "macro_recall": lambda p, codes: float(label_recalls(codes, p.argmax(axis=1)).mean()),
    "worst_recall": lambda p, codes: float(label_recalls(codes, p.argmax(axis=1)).min()),
    "calibration_error": calibration_error,
}
RIGHT = ("accuracy", "macro_recall", "worst_recall")  # which depend on the order of labels alone


def answers(model: Path, test: Path) -> tuple[np.ndarray, np.ndarray]:
    """(probabilities [N, L], codes [N]); a label that the model does not know ends it."""
    predictor = export.load(model, os.cpu_count() or 1)
    data = read_channel(test, predictor.spec)
    codes = data.codes(predictor.labels.values)
    if (codes < 0).any():
        sys.exit(f"{test} has labels that {model} does not know: they are no test of it")
    starts = range(0, len(codes), ROWS)
    return np.concatenate([predictor.predict(data.images[i : i + ROWS]) for i in starts]), codes


def with_tau(model: Path, probabilities: np.ndarray, tau: float) -> np.ndarray:
    """What orders the labels [N, L] if tau is another than the model's own.

    Probabilities are softmax((z - tau log prior) / temperature), and the validation part, which is
    stratified, has the training part's prior.
    """
    card = json.loads((model / export.CARD_FILE).read_text())
    rows = json.loads((model / export.REPORT_FILE).read_text())["labels"]
    counts = np.array([label["rows"] for label in rows if label["known"]])
    point = card["training"]["operating_point"]
    own = point["temperature"] * np.log(np.maximum(probabilities, np.finfo(np.float32).tiny))
    return own - (tau - point["tau"]) * np.log(counts / counts.sum())


def main() -> None:
    """Score all models on the same rows."""
    test, *models = map(Path, sys.argv[1:])
    told, truths = zip(*(answers(model, test) for model in models), strict=True)
    codes, dice = truths[0], np.random.default_rng(0)
    draws = [dice.integers(0, len(codes), len(codes)) for _ in range(DRAWS)]
    mean = {}
    for name, measure in MEASURES.items():
        drawn = [np.mean([measure(p[rows], codes[rows]) for p in told]) for rows in draws]
        low, high = np.percentile(drawn, (2.5, 97.5)).tolist()
        value = float(np.mean([measure(p, codes) for p in told]))
        mean[name] = {"value": value, "low": low, "high": high}
    each = [{name: measure(p, codes) for name, measure in MEASURES.items()} for p in told]
    frontier = []
    for tau in TAUS:
        shifted = [with_tau(model, p, tau) for model, p in zip(models, told, strict=True)]
        means = {name: np.mean([MEASURES[name](z, codes) for z in shifted]) for name in RIGHT}
        frontier.append({"tau": tau, **means})
    found = {"rows": len(codes), "bfloat16": has_bf16(best_device())}
    print(json.dumps({**found, "models": each, "mean": mean, "frontier": frontier}))


if __name__ == "__main__":
    main()
