"""`train` as SageMaker runs it: embedded data, interruptions, failures."""

from __future__ import annotations

import csv
import json
import re
import shutil
from pathlib import Path

import pytest
from containers import Images, host_of, lay_out, log_of, start, train, wait_for
from draw_glyphs import NAMES, write_data

FEW = {"train": 300, "validation": 60, "smoketest": 5}


@pytest.fixture(scope="module")
def few_glyphs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("few")
    write_data(folder, 7, FEW)
    return folder


def job(
    images: Images,
    root: Path,
    data: Path,
    hyperparameters: dict[str, str] | None = None,
    **resources,
) -> Path:
    """A job's folder, with the data in its channels."""
    lay_out(root, images, hyperparameters, **resources)
    for channel in ("train", "validation"):
        shutil.copytree(data / channel, root / "input/data" / channel)
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
    for metric in ("train_loss", "validation_accuracy", "validation_macro_recall", "eta_s"):
        assert re.findall(rf"{metric}=([0-9.]+)", log), metric
    last = re.findall(r"validation_accuracy=([0-9.]+)", log)[-1]
    assert float(last) == pytest.approx(card["metrics"]["accuracy"], abs=1e-4)
    assert re.search(
        r"epoch=1 train_loss=\S+ validation_accuracy=\S+ validation_macro_recall=", log
    )


def test_nothing_but_the_artifact_is_left_in_the_model_folder(trained_on_glyphs: Path):
    names = sorted(path.name for path in (trained_on_glyphs / "model").iterdir())
    assert names == [
        "model.json",
        "model.onnx",
        "report.html",
        "report.json",
        "weights.safetensors",
    ]
    assert not (trained_on_glyphs / "output/failure").exists()


def test_sigterm_saves_the_best_so_far(images: Images, few_glyphs: Path, tmp_path: Path):
    root = job(images, tmp_path, few_glyphs, {"epochs": "1000", "patience": "1000"})
    container = start(images, ["train"], root)
    wait_for("epoch=2 ", root)
    container.terminate()
    assert container.wait(60) == 0
    card = json.loads((root / "model/model.json").read_text())
    assert 2 <= len(card["training"]["epochs"]) < 1000


def test_a_killed_job_goes_on_from_its_checkpoint(images: Images, few_glyphs: Path, tmp_path: Path):
    root = job(images, tmp_path, few_glyphs, {"epochs": "6", "patience": "1000"})
    container = start(images, ["train"], root)
    wait_for("epoch=3 ", root)
    container.kill()
    assert not (root / "model").exists()
    assert train(images, root) == 0
    assert re.search(r"resumed epoch=[234567]", log_of(root, "train"))
    card = json.loads((root / "model/model.json").read_text())
    epochs = [epoch["epoch"] for epoch in card["training"]["epochs"]]
    assert epochs == list(range(1, len(epochs) + 1))


def test_two_hosts_train_one_model(images: Images, few_glyphs: Path, tmp_path: Path):
    hosts = images.host_names
    roots = [
        job(images, tmp_path / host, few_glyphs, {"epochs": "2"}, current_host=host, hosts=hosts)
        for host in hosts
    ]
    containers = [
        start(images, ["train"], root, **host_of(images, host, tmp_path.name))
        for host, root in zip(hosts, roots, strict=True)
    ]
    codes = [container.wait(120) for container in containers]
    assert codes == [0, 0], [log_of(root, "train") for root in roots]
    assert (roots[0] / "model/model.onnx").exists()
    assert not (roots[1] / "model").exists()
    assert "epoch=2 " in log_of(roots[0], "train")


@pytest.mark.parametrize(
    ("hyperparameters", "spoil", "reason"),
    [
        ({}, "nothing", "no .csv file in the channel 'train'"),
        ({"epochs": "x", "colour": "red"}, None, "epochs is 'x'; it must be a whole number"),
        ({}, "range", "train.csv: row 2: pixel 1 is 300, not in 0-255"),
    ],
)
def test_a_failure_is_told_in_the_failure_file(
    images: Images, few_glyphs: Path, tmp_path: Path, hyperparameters, spoil, reason
):
    lay_out(tmp_path, images, hyperparameters)
    channel = tmp_path / "input/data/train"
    channel.mkdir(parents=True)
    if spoil != "nothing":
        with (few_glyphs / "train/train.csv").open(newline="") as file:
            rows = list(csv.reader(file))
        if spoil == "range":
            rows[2][4] = "300" + rows[2][4][rows[2][4].index(" ") :]
        with (channel / "train.csv").open("w", newline="") as file:
            csv.writer(file).writerows(rows)
    assert train(images, tmp_path) == 1
    told = (tmp_path / "output/failure").read_text()
    assert reason in told
    assert len(told) <= 1024
    assert not (tmp_path / "model").exists()
