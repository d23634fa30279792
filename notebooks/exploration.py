"""What Predict_ethnicity.ipynb calls: the container's own training, run here, and its pictures."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from ethnicity_prediction import export, job
from ethnicity_prediction.metrics import evaluate
from ethnicity_prediction.paths import Paths
from ethnicity_prediction.predictor import Predictor
from lab.data_set import DataSet, Part


@dataclass(frozen=True)
class Trained:
    """A model as the container would have left it, and how it came to be."""

    name: str
    predictor: Predictor
    card: dict[str, Any]  # model.json


def train(
    name: str, data: DataSet, work: Path, train_csv: Path | None = None, **given: Any
) -> Trained:
    """Run the container's training job on a data set, with SageMaker's own folder layout.

    `given` are hyperparameters; `train_csv` takes the place of the data set's own training part.
    """
    root = work / name
    shutil.rmtree(root, ignore_errors=True)
    channels = {
        "train": train_csv or data.part_path("train"),
        "validation": data.part_path("validation"),
    }
    paths = Paths(root)
    for channel, csv_file in channels.items():
        paths.channel(channel).mkdir(parents=True)
        shutil.copy(csv_file, paths.channel(channel) / f"{channel}.csv")
    shutil.copy(data.folder / "train/labels.json", paths.channel("train"))
    paths.config.mkdir(parents=True)
    strings = {key: str(value) for key, value in given.items()}  # as SageMaker writes them
    (paths.config / "hyperparameters.json").write_text(json.dumps(strings))
    job.run(paths, {"TRAINING_JOB_NAME": name}, should_stop=lambda: False)
    predictor = export.load(paths.model)
    return Trained(name, predictor, dict(predictor.card))


def answers(model: Trained, part: Part) -> list[str]:
    """Return the model's label for each row of a part."""
    chosen = model.predictor.predict(part.images[..., None]).argmax(axis=1)
    return [model.predictor.labels.names[code] for code in chosen]


def score(model: Trained, part: Part) -> dict[str, Any]:
    """Return accuracy, macro recall, and recall and rows by label, as the training job counts."""
    return evaluate(part.labels, answers(model, part))


def confusion(model: Trained, part: Part, labels: list[str]) -> np.ndarray:
    """Return rows by true label and answered label, int64 [labels, labels]."""
    place = {label: i for i, label in enumerate(labels)}
    counts = np.zeros((len(labels), len(labels)), np.int64)
    for truth, said in zip(part.labels, answers(model, part), strict=True):
        counts[place[truth], place[said]] += 1
    return counts


def show_learning_curve(model: Trained) -> None:
    """Show loss and recall over the epochs, as the training job has logged them."""
    epochs = model.card["training"]["epochs"]
    numbers = [epoch["epoch"] for epoch in epochs]
    _, (left, right) = plt.subplots(1, 2, figsize=(11, 3.2))
    left.plot(numbers, [epoch["train_loss"] for epoch in epochs])
    left.set(title="training loss", xlabel="epoch")
    right.plot(numbers, [epoch["validation_accuracy"] for epoch in epochs], label="accuracy")
    right.plot(
        numbers, [epoch["validation_macro_recall"] for epoch in epochs], label="macro recall"
    )
    right.set(title="validation", xlabel="epoch", ylim=(0, 1))
    right.legend()
    plt.show()


def show_confusion(model: Trained, part: Part) -> None:
    """Show which label is taken for which."""
    labels = sorted(set(part.labels))
    counts = confusion(model, part, labels)
    _, axis = plt.subplots(figsize=(5, 4.4))
    axis.imshow(counts, cmap="Blues")
    for (row, column), count in np.ndenumerate(counts):
        colour = "white" if count > counts.max() / 2 else "black"
        axis.text(column, row, str(count), ha="center", va="center", color=colour)
    axis.set_xticks(range(len(labels)), labels)
    axis.set_yticks(range(len(labels)), labels)
    axis.set(xlabel="the model says", ylabel="it is", title=model.name)
    plt.show()
