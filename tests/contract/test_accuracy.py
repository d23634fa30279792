"""`make accuracy` trains each seed once and scores all on rows that no training saw."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import draw_glyphs
import pytest
from bench import accuracy
from bench.setup import Bench

RECIPE = {"epochs": 2, "width": 4, "augment": 0}


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    recipes = tmp_path / "recipes"
    recipes.mkdir()
    (recipes / "gray.json").write_text(json.dumps(RECIPE))
    monkeypatch.setattr(accuracy, "RECIPES", recipes)
    monkeypatch.setattr(accuracy, "RUNS", tmp_path / "runs")
    return Bench(tmp_path, rounds=1)


def test_seeds_are_trained_once_and_scored_on_the_test_part(bench: Bench, tmp_path: Path):
    data = tmp_path / "data"
    draw_glyphs.write_data(data, 5, {"train": 300, "validation": 100})
    (data / "validation").rename(data / "test")
    result = accuracy.measured(bench, "gray", data, [3, 4])
    assert result["rows"] == 100
    first, second = result["models"]
    assert first != second
    for name, of_mean in result["mean"].items():
        assert of_mean["value"] == pytest.approx((first[name] + second[name]) / 2)
        assert of_mean["low"] <= of_mean["high"]
        assert of_mean["low"] >= 0 and of_mean["high"] <= 1
    assert first["worst_recall"] <= first["macro_recall"]
    logs = [tmp_path / f"runs/gray/seed-{seed}/log" for seed in (3, 4)]
    written = [log.stat().st_mtime_ns for log in logs]
    again = accuracy.measured(bench, "gray", data, [3, 4])
    assert again == result
    card = json.loads((tmp_path / "runs/gray/seed-4/model/model.json").read_text())
    assert result["date"] == card["created"][:10]
    assert f"sha256:{result['data']}" == card["data"]["digest"]
    assert [log.stat().st_mtime_ns for log in logs] == written


def test_at_a_models_own_tau_the_frontier_is_the_model(bench: Bench, tmp_path: Path):
    (accuracy.RECIPES / "gray.json").write_text(json.dumps({"epochs": 8, "augment": 0}))
    data = tmp_path / "data"
    draw_glyphs.write_data(data, 5, {"train": 600, "validation": 100})
    (data / "validation").rename(data / "test")
    [model] = accuracy.measured(bench, "gray", data, [3])["models"]
    assert model["accuracy"] > 0.5
    artifact = tmp_path / "runs/gray/seed-3/model"
    rewrite(artifact / "report.json", lambda report: report["labels"][0], rows=10**6)
    for tau in (0.0, 0.3):
        rewrite(artifact / "model.json", lambda card: card["training"]["operating_point"], tau=tau)
        frontier = accuracy.measured(bench, "gray", data, [3])["frontier"]
        own = {point.pop("tau"): point for point in frontier}
        assert own[tau] == {name: model[name] for name in own[tau]}
        assert own[0.6]["accuracy"] < model["accuracy"]  # the first label is taken back


def rewrite(path: Path, part: Callable[[dict[str, Any]], dict[str, Any]], **values: float) -> None:
    """Change an entry of a file of JSON."""
    whole = json.loads(path.read_text())
    part(whole).update(values)
    path.write_text(json.dumps(whole))


@pytest.mark.parametrize("changed", ["recipe", "data", "program"])
def test_a_seed_is_trained_anew_for_another(bench: Bench, tmp_path: Path, changed: str):
    data, origin = tmp_path / "data", {"data": "1", "program": "1"}
    draw_glyphs.write_data(data, 5, {"train": 60})
    run = accuracy.trained(bench, "gray", data, 0, origin)
    before = json.loads((run / "run.json").read_text())
    (run / "log").write_text("of the first training")
    accuracy.trained(bench, "gray", data, 0, origin)
    assert (run / "log").read_text() == "of the first training"
    if changed == "recipe":
        (accuracy.RECIPES / "gray.json").write_text(json.dumps(RECIPE | {"epochs": 1}))
    accuracy.trained(
        bench, "gray", data, 0, origin | {changed: "2"} if changed in origin else origin
    )
    assert (run / "log").read_text() != "of the first training"
    assert json.loads((run / "run.json").read_text()) != before


def test_the_origin_is_the_contents_of_the_data_and_not_its_place(bench: Bench, tmp_path: Path):
    told = []
    for name, seed in (("one", 5), ("copy", 5), ("other", 6)):
        draw_glyphs.write_data(tmp_path / name, seed, {"train": 20})
        command = bench.ours("origin.py", tmp_path / name / "train", training=True)
        told.append(json.loads(bench.run(command)))
    assert told[0] == told[1]
    assert told[0]["data"] != told[2]["data"]
    assert told[0]["program"] == told[2]["program"]


def test_a_training_that_fails_says_where_its_log_is(bench: Bench, tmp_path: Path):
    (accuracy.RECIPES / "gray.json").write_text(json.dumps({"epochs": 0}))
    data = tmp_path / "data"
    draw_glyphs.write_data(data, 5, {"train": 60})
    with pytest.raises(accuracy.Refused, match=r"seed 0 ended with 1; its log is .*/log"):
        accuracy.trained(bench, "gray", data, 0, {})
