"""The training's report and the gate's count alike, though no line of code is shared."""

import intervals
import pytest
import tally
from ethnicity_prediction import groups, metrics


@pytest.mark.parametrize("age", ["0", "9.5", "10", "59", "60", "116", "20-29", "unknown", "-1"])
def test_a_row_is_of_the_same_group_in_both_reports(age):
    assert groups.group_of("age", age) == tally.age_band(age)


@pytest.mark.parametrize(("right", "rows"), [(0, 1), (1, 1), (3, 7), (48, 80), (4000, 4100)])
def test_a_recall_has_the_same_interval_in_both_reports(right, rows):
    ours, theirs = metrics.wilson(right, rows), intervals.wilson(right, rows)
    assert ours == {"value": theirs.value, "low": theirs.low, "high": theirs.high}
