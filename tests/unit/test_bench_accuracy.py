"""The table of trained seeds and its verdicts; what training gives is not tested here."""

import json

import pytest
from bench.accuracy import GOALS, NAMES, RECIPES, RESULTS, Refused, interval, measured, page, table
from bench.setup import Bench

GOOD = {"accuracy": 0.86, "macro_recall": 0.81, "worst_recall": 0.5, "calibration_error": 0.01}


def result(mean=GOOD, minutes=(9.0, 10.0), **more):
    return {
        "date": "2026-01-02",
        **{"cpus": 2, "rows": 2336, "seeds": [0, 1]},
        **{"minutes": list(minutes), "models": [GOOD, GOOD]},
        **{"epochs": [38, 38], "bfloat16": True},
        "mean": {n: {"value": v, "low": v - 0.01, "high": v + 0.01} for n, v in mean.items()},
        **more,
    }


def verdicts(**given) -> dict[str, str]:
    return dict(zip(NAMES, table("gray", result(**given))[-1][1:], strict=True))


def test_what_reaches_every_goal_is_said_to():
    assert set(verdicts().values()) == {"reached"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("accuracy", 0.8349),
        ("macro_recall", 0.7849),
        ("worst_recall", 0.4499),
        ("calibration_error", 0.0301),
    ],
)
def test_a_mean_beyond_its_goal_is_not_reached(name, value):
    found = verdicts(mean=GOOD | {name: value})
    assert found.pop(name) == "NOT reached"
    assert set(found.values()) == {"reached"}


def test_the_slowest_seed_counts():
    assert verdicts(minutes=(9.0, 15.1))["minutes"] == "NOT reached"


def test_each_seed_has_a_line_and_the_mean_its_interval_and_spread():
    seeds = [GOOD, GOOD | {"accuracy": 0.88}]
    _, first, second, mean, interval, spread, *_ = table("gray", result(models=seeds))
    assert first == ("seed 0", "0.860", "0.810", "0.500", "0.010", "9.0")
    assert (second[0], mean[1], mean[5]) == ("seed 1", "0.870", "9.5")
    assert interval[1:3] == ("0.850 to 0.870", "0.800 to 0.820")
    assert spread == ("standard deviation over seeds", "0.014", "0.000", "0.000", "0.000", "0.7")


def test_one_seed_has_no_spread():
    one = result(minutes=(9.0,), models=[GOOD], seeds=[0])
    assert set(table("gray", one)[4][1:]) == {"one seed only"}


def test_an_interval_turns_what_drawing_again_adds_the_other_way():
    drawn = {"value": 0.026, "low": 0.025, "high": 0.038}  # an error that is drawn greater
    assert interval(drawn) == pytest.approx((0.014, 0.027))
    assert interval({"value": 0.01, "low": 0.008, "high": 0.03}) == pytest.approx((0.0, 0.012))
    assert interval({"value": 0.99, "low": 0.95, "high": 1.0}) == pytest.approx((0.98, 1.0))


def test_the_page_tells_what_was_measured_where_the_entry_knows_it():
    told = {"data": "d" * 64, "program": "p" * 64}
    assert f"Program `{'p' * 12}`, training data `{'d' * 12}`" in page({"gray": result(**told)})
    assert "Program" not in page({"gray": result()})


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({}, "2 CPUs that multiply bfloat16, 38 epochs;"),
        ({"epochs": [29, 30]}, "2 CPUs that multiply bfloat16, 29 to 30 epochs;"),
        ({"bfloat16": False}, "2 CPUs that do not multiply bfloat16, 38 epochs;"),
    ],
)
def test_the_page_tells_how_far_the_minutes_went(told, said):
    assert said in page({"gray": result(**told)})


def test_the_page_shows_the_frontier_where_the_entry_has_one():
    point = {"tau": 0.2, "accuracy": 0.84, "macro_recall": 0.78, "worst_recall": 0.4125}
    assert "| 0.2 | 0.840 | 0.780 | 0.412 |" in page({"gray": result(frontier=[point])})
    assert "trade-offs between" not in page({"gray": result()})


def test_data_without_a_test_part_is_refused(tmp_path):
    (tmp_path / "train").mkdir()
    (tmp_path / "train/train.csv").write_text("ethnicity,pixels\n")
    with pytest.raises(Refused, match=r"test has no CSV; DATA= must hold train/ and test/"):
        measured(Bench(tmp_path, 1), "gray", tmp_path, [0])


def test_every_recipe_has_goals_for_every_figure():
    assert {path.stem for path in RECIPES.glob("*.json")} == set(GOALS)
    assert all(set(goals) == set(NAMES) for goals in GOALS.values())


def test_the_page_is_that_of_the_kept_results():
    results = json.loads(RESULTS.read_text())
    assert RESULTS.with_suffix(".md").read_text() == page(results)
    for recipe, kept in results.items():
        assert kept["recipe"] == json.loads((RECIPES / f"{recipe}.json").read_text())
