"""The local CloudWatch's alarms: by period, by datapoints, and with data missing."""

from __future__ import annotations

import pytest
from local_cloud.alarms import judge

ALARM = {
    "ComparisonOperator": "GreaterThanOrEqualToThreshold",
    "Period": 60,
    "EvaluationPeriods": 3,
    "DatapointsToAlarm": 2,
    "Threshold": 1.0,
    "TreatMissingData": "notBreaching",
}
NOW = 1000.0


def state(points, scale: float = 1.0, **changes):
    return judge({**ALARM, **changes}, points, sum, (NOW, scale))


@pytest.mark.parametrize(
    ("ages_s", "expected"),
    [
        ([], "OK"),
        ([5], "OK"),
        ([5, 6, 7], "OK"),
        ([5, 65], "ALARM"),
        ([65, 125], "ALARM"),
        ([5, 125], "ALARM"),
        ([125, 185], "OK"),
    ],
)
def test_two_of_three_periods_must_breach(ages_s, expected):
    assert state([(NOW - age, 1) for age in ages_s]) == expected


@pytest.mark.parametrize(
    ("missing", "expected"),
    [
        ("notBreaching", "OK"),
        ("breaching", "ALARM"),
        ("missing", "INSUFFICIENT_DATA"),
        ("ignore", None),
    ],
)
def test_no_data_is_treated_as_the_alarm_says(missing, expected):
    assert state([], TreatMissingData=missing) == expected


def test_periods_shrink_with_the_time_scale():
    points = [(NOW - 0.1, 1), (NOW - 0.7, 1)]
    assert state(points) == "OK"
    assert state(points, scale=0.01) == "ALARM"


def test_every_period_counts_if_the_alarm_does_not_say_how_many():
    points = [(NOW - 5, 1), (NOW - 65, 1)]
    assert state(points, DatapointsToAlarm=None) == "OK"
    assert state([*points, (NOW - 125, 1)], DatapointsToAlarm=None) == "ALARM"


def test_a_comparison_that_is_unknown_changes_nothing():
    assert state([(NOW, 1)], ComparisonOperator="LessThanLowerThreshold") is None
