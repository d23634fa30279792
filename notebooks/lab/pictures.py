"""The lab's pictures: what is in the data, and what the model says."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from PIL import Image

from lab.data_set import DataSet, Part

AGE_BAND = 30  # years


def show_samples(part: Part, of_each: int = 8) -> None:
    """Show a few images of each label, one label a row."""
    labels = sorted(set(part.labels))
    figure, axes = plt.subplots(
        len(labels), of_each, figsize=(of_each, len(labels) * 1.1), squeeze=False
    )
    for line, label in zip(axes, labels, strict=True):
        rows = [i for i, each in enumerate(part.labels) if each == label][:of_each]
        for axis, row in zip(line, rows, strict=False):
            axis.imshow(part.images[row], cmap="gray", vmin=0, vmax=255)
        for axis in line:
            axis.set_axis_off()
        line[0].set_title(label, loc="left", fontsize=10)
    figure.suptitle(f"{part.path.name}: {len(part.labels)} rows, the first of each label")
    plt.show()


def show_counts(data: DataSet, parts: Sequence[str] = ("train", "validation")) -> None:
    """Show how many rows each label has, by gender and by age where the data tells them."""
    figure, axes = plt.subplots(
        1, len(parts), figsize=(5.5 * len(parts), 3.6), squeeze=False, layout="constrained"
    )
    for axis, name in zip(axes[0], parts, strict=True):
        part = data.part(name)
        labels = sorted(set(part.labels))
        left = [0] * len(labels)
        for group, rows in groups_of(part).items():
            widths = [rows[label] for label in labels]
            axis.barh(labels, widths, left=left, label=group)
            left = [a + b for a, b in zip(left, widths, strict=True)]
        axis.set_title(f"{name}: {len(part.labels)} rows")
    handles, groups = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, groups, loc="outside lower center", ncols=3, fontsize=9)
    plt.show()


def groups_of(part: Part) -> dict[str, Counter[str]]:
    """Return group → label → rows; a group is a gender and an age band, as far as both are told."""
    count = len(part.labels)
    genders = part.columns.get("gender", [""] * count)
    ages = part.columns.get("age", [""] * count)
    groups: dict[str, Counter[str]] = {}
    for label, gender, age in zip(part.labels, genders, ages, strict=True):
        told = [f"gender {gender}"] if gender else []
        if age:
            low = int(age) // AGE_BAND * AGE_BAND
            told.append(f"age {low}-{low + AGE_BAND - 1}")
        groups.setdefault(", ".join(told) or "all", Counter())[label] += 1
    return dict(sorted(groups.items()))


def show_answers(
    answers: Mapping[str, Mapping[str, Any]], folder: Path = Path("test-data")
) -> None:
    """Show each test image with the model's answer, and the true label where it is another."""
    truth = true_labels(folder)
    columns = 7
    lines = -(-len(answers) // columns)
    _, axes = plt.subplots(lines, columns, figsize=(2 * columns, 2.4 * lines), squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    for axis, (name, answer) in zip(axes.flat, answers.items(), strict=False):
        said = answer["predict"]
        is_right = said == truth[name]
        text = f"{said} {answer['probabilities'][said]:.0%}"
        axis.imshow(Image.open(folder / name), cmap="gray")
        axis.set_title(
            text if is_right else f"{text}\nis {truth[name]}",
            fontsize=10,
            color="black" if is_right else "firebrick",
        )
    right = sum(answer["predict"] == truth[name] for name, answer in answers.items())
    print(f"{right} of {len(answers)} test images were answered right")
    plt.show()


def true_labels(folder: Path = Path("test-data")) -> dict[str, str]:
    """Return file name → label of the test images."""
    with (folder / "labels.csv").open(newline="") as file:
        return {row["file"]: row["label"] for row in csv.DictReader(file)}


def show_recall(runs: Mapping[str, Mapping[str, float]]) -> None:
    """Show the recall of each label, side by side for several models."""
    labels = sorted({label for recall in runs.values() for label in recall})
    figure, axis = plt.subplots(figsize=(8, 3.4), layout="constrained")
    width = 0.8 / len(runs)
    for number, (name, recall) in enumerate(runs.items()):
        places = [i + number * width for i in range(len(labels))]
        axis.bar(places, [recall.get(label, 0.0) for label in labels], width, label=name)
    axis.set_xticks([i + 0.4 - width / 2 for i in range(len(labels))], labels)
    axis.set_ylim(0, 1)
    axis.set_ylabel("recall")
    figure.legend(loc="outside lower center", ncols=len(runs))
    plt.show()
