"""The quality and fairness gate: intervals, counting, verdict, report."""

import random

import pytest
from common.failures import WrongConfiguration
from gate import Thresholds, measure, missed, thresholds
from intervals import Estimate, difference, mean, wilson
from report_html import report_html
from tally import Tally, age_band

# ---- intervals


@pytest.mark.parametrize(
    ("hits", "rows", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (1, 1, 0.2065, 1.0)],
)
def test_wilson_intervals_are_those_of_the_textbook(hits, rows, low, high):
    estimate = wilson(hits, rows)
    assert estimate.value == hits / rows
    assert (estimate.low, estimate.high) == (
        pytest.approx(low, abs=1e-4),
        pytest.approx(high, abs=1e-4),
    )


def test_a_difference_has_newcombes_interval():
    gap = difference(wilson(56, 70), wilson(48, 80))  # Newcombe 1998, table II, method 10
    assert gap.value == pytest.approx(0.2)
    assert (gap.low, gap.high) == (pytest.approx(0.0524, abs=1e-4), pytest.approx(0.3339, abs=1e-4))


def test_a_mean_of_many_is_surer_than_each():
    one = wilson(30, 60)
    four = mean([one] * 4)
    assert four.value == one.value
    assert four.high - four.low == pytest.approx((one.high - one.low) / 2)


def test_weights_need_not_sum_to_one():
    a, b = Estimate(0.0, 0.0, 0.1), Estimate(1.0, 0.9, 1.0)
    assert mean([a, b], [30, 10]).value == pytest.approx(0.25)


def test_the_interval_of_a_macro_recall_covers_the_truth_as_often_as_it_says():
    draw, truths, rows, covered, runs = random.Random(1), [0.95, 0.7, 0.4], 40, 0, 400
    for _ in range(runs):
        hits = [sum(draw.random() < truth for _ in range(rows)) for truth in truths]
        found = mean([wilson(h, rows) for h in hits])
        covered += found.low <= sum(truths) / 3 <= found.high
    assert 0.92 <= covered / runs <= 0.99


# ---- counting


@pytest.mark.parametrize(
    ("age", "band"),
    [
        ("0", "0-9"),
        ("9", "0-9"),
        ("10", "10-19"),
        ("59.5", "50-59"),
        ("60", "60+"),
        ("116", "60+"),
        ("20-29", "20-29"),
        ("adult", "adult"),
    ],
)
def test_ages_fall_into_bands_and_bands_of_the_data_stay(age, band):
    assert age_band(age) == band


def counted(*cells, labels=("A", "B")):
    """A tally of cells (label, predicted, rows, gender, age)."""
    tally = Tally(labels=list(labels))
    for label, predicted, rows, gender, age in cells:
        for _ in range(rows):
            tally.add(label, predicted, gender, age)
    return tally


def test_a_tally_counts_rows_labels_and_groups_and_survives_json():
    tally = counted(("A", "A", 3, "0", "25"), ("A", "B", 1, "1", None), (None, "A", 2, None, None))
    assert (tally.rows, tally.labelled, tally.right) == (6, 4, 3)
    assert tally.of_label("A") == (4, 3)
    assert tally.groups == {
        "gender": {"0": {"A": [3, 3]}, "1": {"A": [1, 0]}},
        "age": {"20-29": {"A": [3, 3]}},
    }
    assert Tally.from_json(tally.to_json()) == tally


# ---- thresholds


def limits(**given):
    return thresholds({"macro_recall": 0.6, **given})


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, "must set macro_recall or worst_label_recall"),
        ({"gender_recall_gap": 0.1}, "must set macro_recall or worst_label_recall"),
        ({"macro_recall": 60}, "'macro_recall' must be from 0 to 1, got 60"),
        ({"macro_recall": -0.1}, "must set|must be from 0 to 1"),
        ({"macro_recal": 0.6}, "unknown 'macro_recal'"),
        ({"macro_recall": "high"}, "'macro_recall' must be a number"),
        ({"macro_recall": float("nan")}, "must set|must be from 0 to 1"),
        ({"macro_recall": 0.6, "min_group_rows": 0}, "'min_group_rows' must be a whole number"),
    ],
)
def test_thresholds_that_would_judge_nothing_or_cannot_be_meant_are_refused(given, told):
    with pytest.raises(WrongConfiguration, match=told):
        thresholds(given)


# ---- the verdict


def verdict(tally, **given):
    wanted = limits(**given)
    return missed(measure(tally, wanted), wanted)


GOOD = [("A", "A", 90, "0", "25"), ("A", "B", 10, "1", "25"), ("B", "B", 100, "0", "65")]


def test_a_good_model_passes():
    assert verdict(counted(*GOOD), worst_label_recall=0.5) == []


def test_quality_must_be_shown_and_not_only_hoped_for():
    few = counted(("A", "A", 24, None, None), ("A", "B", 8, None, None), ("B", "B", 32, None, None))
    [fault] = verdict(few, macro_recall=0.85)  # 0.875, but surely no more than 0.79
    assert "macro recall 0.875 (95 % interval 0.7" in fault
    assert "must be at least 0.85" in fault
    many = counted(*[(a, b, 100 * n, None, None) for a, b, n in (("A", "A", 24), ("A", "B", 8))])
    assert verdict(many, macro_recall=0.7) == []


def test_accuracy_alone_lets_nobody_through():
    lazy = counted(("A", "A", 950, None, None), ("B", "A", 50, None, None))
    faults = verdict(lazy, worst_label_recall=0.3)  # accuracy is 0.95
    assert len(faults) == 2
    assert faults[0].startswith("macro recall 0.500")
    assert faults[1].startswith("recall of label 'B' 0.000")


def test_a_group_left_out_of_training_is_told_as_such():
    left_out = counted(*GOOD, ("C", "A", 60, None, None))
    faults = verdict(left_out, macro_recall=0.1, worst_label_recall=0.3)
    assert len(faults) == 1
    assert "recall of label 'C' 0.000" in faults[0]
    assert "in 60 rows must be at least 0.3; the model was never trained on it" in faults[0]


def test_a_label_with_too_few_rows_is_shown_and_not_judged():
    tally = counted(*GOOD, ("C", "A", 29, None, None), labels="ABC")
    measures = measure(tally, limits(worst_label_recall=0.3))
    assert [entry["judged"] for entry in measures["labels"]] == [True, True, False]
    assert verdict(tally, worst_label_recall=0.3) == []


def test_too_little_data_to_judge_stops_the_model():
    [fault] = verdict(counted(("A", "A", 29, None, None)))
    assert "no label has 30 rows" in fault
    assert verdict(counted(("A", "A", 29, None, None)), min_group_rows=29, macro_recall=0.5) == []
    assert verdict(Tally(labels=["A"]))


def gender(right_0, right_1, rows=200):
    cells = [("A", "A", right_0, "0"), ("A", "B", rows - right_0, "0")]
    cells += [("A", "A", right_1, "1"), ("A", "B", rows - right_1, "1"), ("B", "B", 40, "0")]
    return counted(*[(*cell, None) for cell in cells])


def test_a_sure_gap_between_genders_stops_the_model():
    [fault] = verdict(gender(190, 100), gender_recall_gap=0.2)
    assert "between gender '0' and '1' must be at most 0.2" in fault


def test_a_gap_within_the_noise_stops_nobody():
    assert verdict(gender(19, 15, rows=20), gender_recall_gap=0.1, min_group_rows=20) == []


def test_a_small_group_is_shown_and_not_judged():
    tally = counted(("A", "A", 200, "0", None), ("A", "B", 20, "1", None))
    found = measure(tally, limits())["groups"]["gender"]
    assert [(g["group"], g["judged"]) for g in found["groups"]] == [("0", True), ("1", False)]
    assert found["gap"] is None
    assert verdict(tally, gender_recall_gap=0.01) == []


def test_groups_are_compared_at_the_same_mix_of_labels():
    # Gender 0 has mostly the easy label, 1 the hard one; within each label both do as well.
    easy, hard = (("E", "E", "H"), 0.9), (("H", "H", "E"), 0.5)
    cells = []
    for group, counts in (("0", (200, 40)), ("1", (40, 200))):
        for ((label, right, wrong), share), rows in zip((easy, hard), counts, strict=True):
            hits = round(rows * share)
            cells += [(label, right, hits, group, None), (label, wrong, rows - hits, group, None)]
    found = measure(counted(*cells, labels="EH"), limits())["groups"]["gender"]
    shares = [round(g["value"], 2) for g in found["groups"]]
    assert shares == [0.83, 0.57]
    assert found["gap"]["value"] == pytest.approx(0)


def test_groups_with_too_few_rows_of_common_labels_are_not_compared():
    apart = counted(
        ("A", "A", 100, "0", None), ("B", "B", 100, "1", None), ("A", "B", 3, "1", None)
    )
    assert measure(apart, limits())["groups"]["gender"]["gap"] is None


def test_the_widest_of_many_gaps_needs_more_proof():
    two = counted(("A", "A", 60, None, "5"), ("A", "A", 45, None, "15"), ("A", "B", 15, None, "15"))
    seven = counted(
        ("A", "A", 60, None, "5"),
        ("A", "A", 45, None, "15"),
        ("A", "B", 15, None, "15"),
        *[("A", "A", 54, None, str(age)) for age in (25, 35, 45, 55, 65)],
        *[("A", "B", 6, None, str(age)) for age in (25, 35, 45, 55, 65)],
    )
    gaps = [measure(t, limits())["groups"]["age"]["gap"] for t in (two, seven)]
    assert gaps[0]["value"] == gaps[1]["value"] == 0.25
    assert gaps[1]["low"] < gaps[0]["low"]
    assert gaps[1]["pairs"] == 21


def test_random_noise_rarely_stops_a_fair_model():
    draw, stopped = random.Random(2), 0
    for _ in range(60):
        tally = Tally(labels=["A", "B"])
        for _ in range(400):
            label = draw.choice("AB")
            predicted = label if draw.random() < 0.8 else "AB".replace(label, "")
            tally.add(label, predicted, draw.choice("01"), str(draw.randrange(90)))
        stopped += bool(verdict(tally, age_recall_gap=0.0))  # 21 pairs of age bands
    assert stopped <= 3


# ---- the report


def page(tally, **more):
    wanted = limits(worst_label_recall=0.3)
    measures = measure(tally, wanted)
    faults = missed(measures, wanted)
    facts = dict.fromkeys(["environment", "endpoint_name", "serve_image", "commit"], "x")
    facts |= {"data": "s3://d/v/", "execution_id": "e", "created": "2026", "note": None}
    facts |= {"passed": not faults, "missed": faults, "thresholds": {"worst_label_recall": 0.3}}
    return report_html({**facts, "model": {"name": "glyphs", "version": "job"}, **measures, **more})


def test_the_report_is_one_file_without_script_or_anything_fetched():
    html = page(counted(*GOOD))
    for foreign in ("<script", "http://", "https://", "src=", "@import", "url("):
        assert foreign not in html
    assert "prefers-color-scheme:dark" in html
    assert html.count("<svg") == 3
    assert "Passed" in html


def test_a_report_that_passes_says_what_could_not_be_judged():
    html = page(counted(*GOOD, ("C", "A", 20, None, None)))
    assert "Passed" in html
    assert "Too few rows to judge: C (20)" in html


def test_the_report_names_what_was_missed():
    html = page(counted(*GOOD, ("C", "A", 60, None, None)))
    assert "Stopped" in html
    assert "never trained on: C" in html


def test_names_from_the_data_cannot_break_out_of_the_report():
    evil = '<img src=x onerror="alert(1)">'
    html = page(
        counted((evil, evil, 40, evil, evil), (evil, evil, 40, f"{evil}2", "9"), labels=[evil]),
        note=evil,
        model={"name": evil},
    )
    assert "in favour of &lt;img" in html
    assert "<img" not in html
    assert "&lt;img" in html


def test_a_report_can_be_made_of_data_without_labels_or_groups():
    html = page(counted((None, "A", 5, None, None)))
    assert "no rows" in html
    assert "does not tell gender" in html


def test_defaults_judge_nothing_by_themselves():
    assert Thresholds().macro_recall < 0
