"""`train` as SageMaker runs it: embedded data, interruptions, failures."""

from __future__ import annotations

import csv
import json
import re
import signal
from pathlib import Path

import pytest
from container_process import lay_out, log_of, start, train, wait_for
from draw_glyphs import NAMES, write_data

FEW = {"train": 300, "validation": 60, "smoketest": 5}


@pytest.fixture(scope="module")
def few_glyphs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("few")
    write_data(folder, 7, FEW)
    return folder


def job(root: Path, data: Path, hyperparameters: dict[str, str] | None = None, **resources) -> Path:
    """A job's folder, its channels linked to the data."""
    lay_out(root, hyperparameters, **resources)
    (root / "input/data").mkdir(parents=True)
    for channel in ("train", "validation"):
        (root / "input/data" / channel).symlink_to(data / channel)
    return root


def test_the_embedded_data_is_learnt_with_the_defaults(trained_on_glyphs: Path):
    card = json.loads((trained_on_glyphs / "model/model.json").read_text())
    assert card["version"] == "glyphs-1"
    assert card["labels"] == list(NAMES)
    assert card["sensitive"] is False
    assert card["metrics"]["accuracy"] >= 0.97
    assert min(card["metrics"]["recall"].values()) >= 0.93


def test_the_log_gives_sagemaker_its_metrics(trained_on_glyphs: Path):
    log = log_of(trained_on_glyphs, "train")
    card = json.loads((trained_on_glyphs / "model/model.json").read_text())
    for metric in ("train_loss", "validation_accuracy", "validation_macro_recall"):
        assert re.findall(rf"{metric}=([0-9.]+)", log), metric
    last = re.findall(r"validation_accuracy=([0-9.]+)", log)[-1]
    assert float(last) == pytest.approx(card["metrics"]["accuracy"], abs=1e-4)
    assert re.search(
        r"epoch=1 train_loss=\S+ validation_accuracy=\S+ validation_macro_recall=", log
    )


def test_nothing_but_the_artifact_is_left_in_the_model_folder(trained_on_glyphs: Path):
    names = sorted(path.name for path in (trained_on_glyphs / "model").iterdir())
    assert names == ["model.json", "model.onnx", "report.html", "report.json"]
    assert not (trained_on_glyphs / "output/failure").exists()


def test_sigterm_saves_the_best_so_far(model_python: Path, few_glyphs: Path, tmp_path: Path):
    root = job(tmp_path, few_glyphs, {"epochs": "1000", "patience": "1000"})
    process = start(model_python, "train", root)
    wait_for("epoch=2 ", root)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 0
    card = json.loads((root / "model/model.json").read_text())
    assert 2 <= len(card["training"]["epochs"]) < 1000


def test_a_killed_job_goes_on_from_its_checkpoint(
    model_python: Path, few_glyphs: Path, tmp_path: Path
):
    root = job(tmp_path, few_glyphs, {"epochs": "6", "patience": "1000"})
    process = start(model_python, "train", root)
    wait_for("epoch=3 ", root)
    process.kill()
    process.wait()
    assert not (root / "model").exists()
    assert train(model_python, root) == 0
    assert re.search(r"resumed epoch=[234567]", log_of(root, "train"))
    card = json.loads((root / "model/model.json").read_text())
    epochs = [epoch["epoch"] for epoch in card["training"]["epochs"]]
    assert epochs == list(range(1, len(epochs) + 1))


@pytest.mark.parametrize(
    ("hyperparameters", "spoil", "reason"),
    [
        ({}, "nothing", "no .csv file in the channel 'train'"),
        ({"epochs": "x", "colour": "red"}, None, "epochs is 'x'; it must be a whole number"),
        ({}, "range", "train.csv: row 2: pixel 1 is 300, not in 0-255"),
    ],
)
def test_a_failure_is_told_in_the_failure_file(
    model_python: Path, few_glyphs: Path, tmp_path: Path, hyperparameters, spoil, reason
):
    lay_out(tmp_path, hyperparameters)
    channel = tmp_path / "input/data/train"
    channel.mkdir(parents=True)
    if spoil != "nothing":
        with (few_glyphs / "train/train.csv").open(newline="") as file:
            rows = list(csv.reader(file))
        if spoil == "range":
            rows[2][4] = "300" + rows[2][4][rows[2][4].index(" ") :]
        with (channel / "train.csv").open("w", newline="") as file:
            csv.writer(file).writerows(rows)
    assert train(model_python, tmp_path) == 1
    told = (tmp_path / "output/failure").read_text()
    assert reason in told
    assert len(told) <= 1024
    assert not (tmp_path / "model").exists()
