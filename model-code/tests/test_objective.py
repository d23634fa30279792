"""The loss: labels by their shares, gender and age beside them, and rows that do not tell."""

from pathlib import Path

import numpy as np
import pytest
from tiny import TINY, draw, prepare, write_pixel_csv

torch = pytest.importorskip("torch")

from ethnicity_prediction import export, job, weights  # noqa: E402
from ethnicity_prediction.config import parse  # noqa: E402
from ethnicity_prediction.errors import MalformedError  # noqa: E402
from ethnicity_prediction.hosts import Group  # noqa: E402
from ethnicity_prediction.material import read_material  # noqa: E402
from ethnicity_prediction.model import Network  # noqa: E402
from ethnicity_prediction.objective import (  # noqa: E402
    UNKNOWN,
    Objective,
    classes_of,
    group_codes,
)
from ethnicity_prediction.paths import Paths  # noqa: E402
from torch.nn import functional  # noqa: E402

GROUPS = {"gender": ["0", "1", "", "1"], "age": ["31", "7", "39", "unknown"]}
PRIOR = np.full(3, 1 / 3)


def objective(*tasks: int, **given: str) -> Objective:
    config = parse(TINY | {"label_smoothing": "0", "balance": "0"} | given)
    return Objective(config, PRIOR, tasks, torch.device("cpu"))


def test_groups_are_those_of_the_report():
    assert classes_of(GROUPS) == {"age": ["0-9", "30-39", "unknown"], "gender": ["0", "1"]}


def test_what_all_rows_share_is_nothing_to_learn():
    assert classes_of({"gender": ["1", "1", ""], "age": ["", "", ""]}) == {}


def test_a_row_that_does_not_tell_has_no_code():
    codes = group_codes(GROUPS, classes_of(GROUPS), 4)
    assert codes.tolist() == [[1, 0], [0, 1], [1, UNKNOWN], [2, 1]]
    assert group_codes(GROUPS, {}, 4).shape == (4, 0)


def test_the_loss_is_the_labels_and_a_share_of_each_task():
    torch.manual_seed(0)
    outputs, codes = torch.randn(4, 7), torch.tensor([0, 1, 2, 1])
    groups = torch.tensor([[0, 1], [1, UNKNOWN], [1, 0], [0, UNKNOWN]])
    of_labels, total = objective(2, 2, auxiliary_weight="0.25")(outputs, codes, groups)
    first = functional.cross_entropy(outputs[:, 3:5], groups[:, 0])
    second = functional.cross_entropy(outputs[[0, 2], 5:], groups[[0, 2], 1])
    assert of_labels == pytest.approx(float(functional.cross_entropy(outputs[:, :3], codes)))
    assert total == pytest.approx(float(of_labels + 0.25 * (first + second)))


def test_a_batch_in_which_nobody_tells_is_learnt_from_all_the_same():
    outputs = torch.zeros(2, 5, requires_grad=True)
    groups = torch.full((2, 1), UNKNOWN)
    loss, total = objective(2, auxiliary_weight="1")(outputs, torch.tensor([0, 1]), groups)
    total.backward()
    assert total == loss
    assert torch.isfinite(outputs.grad).all()


def test_a_network_tells_labels_alone_once_it_is_trained():
    network, images = Network(3, 1, 4, 0.0, auxiliary=5), torch.zeros(2, 1, 48, 48)
    assert network.train()(images).shape == (2, 8)
    assert network.eval()(images).shape == (2, 3)


def trained_with_groups(root: Path, rows: int = 60, **given: str) -> Path:
    prepare(root, train=rows, validation=30, auxiliary_weight="0.2", **given)
    people = ((30, 0), (61, 1), (7, 1))  # as many as labels, in the same turns: easily learnt
    write_pixel_csv(root / "input/data/train/train.csv", draw(rows), people)
    job.run(Paths(root), {}, lambda: False)
    return root / "model"


def test_what_was_learnt_beside_is_not_in_the_model(tmp_path: Path):
    model = trained_with_groups(tmp_path)
    kept = weights.from_bytes((model / export.WEIGHTS_FILE).read_bytes())
    assert kept.keys() == Network(3, 1, 4, 0.0).state_dict().keys()
    predictor = export.load(model)
    assert predictor.predict(np.zeros((2, 48, 48, 1), np.uint8)).shape == (2, 3)
    assert predictor.card["metrics"]["accuracy"] > 0.9


def test_an_earlier_training_may_begin_one_that_learns_more(trained: Path, tmp_path: Path, caplog):
    channel = tmp_path / "input/data/pretrained"
    channel.mkdir(parents=True)
    for name in (export.CARD_FILE, export.WEIGHTS_FILE):
        (channel / name).write_bytes((trained / "model" / name).read_bytes())
    caplog.set_level("INFO", "train")
    trained_with_groups(tmp_path, epochs="1")
    assert "head=kept" in caplog.text


def test_to_learn_groups_that_the_data_does_not_tell_is_refused(tmp_path: Path):
    prepare(tmp_path, train=30, validation=0, auxiliary_weight="0.2")
    with pytest.raises(MalformedError, match=r"auxiliary_weight is 0\.2, but the training data"):
        job.run(Paths(tmp_path), {}, lambda: False)


def test_hosts_that_share_out_the_data_know_the_groups_of_all(tmp_path: Path, monkeypatch):
    prepare(tmp_path, train=30, validation=9)
    other = {
        **{"counts": {"flat": 5}, "digest": "d", "naming": {}},
        "groups": {"gender": ["0", "1"], "age": ["61"]},
    }
    monkeypatch.setattr(Group, "everyone", lambda self, mine, device: [mine, other])
    group = Group(0, ("algo-1", "algo-2"), sharded=True)
    given = parse(TINY | {"auxiliary_weight": "0.2"})
    material = read_material(Paths(tmp_path), given, group, torch.device("cpu"))
    assert material.tasks == (2, 2)  # ages 30-39 and 60+, both genders
    assert set(map(tuple, material.train.groups.tolist())) == {(0, 0)}
