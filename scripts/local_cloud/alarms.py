"""CloudWatch alarms as strict as on AWS: by dimensions, period by period, and as time goes by.

ministack pools every dimension of a metric, knows no missing data and looks only when somebody
puts a metric. Alarm actions other than SNS topics, and metric maths, are ministack's to refuse.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from local_cloud import seams
from local_cloud.background import spawn, time_scale

logger = logging.getLogger("local_cloud")

LONGEST_WAIT_S = 5.0
PERIOD_S = 60.0
COMPARE: dict[str, Callable[[float, float], bool]] = {
    "GreaterThanOrEqualToThreshold": lambda value, threshold: value >= threshold,
    "GreaterThanThreshold": lambda value, threshold: value > threshold,
    "LessThanThreshold": lambda value, threshold: value < threshold,
    "LessThanOrEqualToThreshold": lambda value, threshold: value <= threshold,
}

Point = tuple[float, Any]
"""A data point: its time (epoch seconds) and what a statistic is made from."""
Statistic = Callable[[Sequence[Any]], float | None]


_sources: list[Callable[[], None]] = []


def install() -> None:
    """Judge ministack's alarms by this module, again and again."""
    seams.judge_alarms_by(lambda alarm, points, statistic: judge(alarm, points, statistic, _now()))
    spawn("alarms", _keep_judging, threading.Event())


def before_judging(put_metrics: Callable[[], None]) -> None:
    """Let a service put the metrics that it has gathered before the alarms are looked at."""
    _sources.append(put_metrics)


def judge_now() -> None:
    """Bring every alarm up to date."""
    for put_metrics in _sources:
        put_metrics()
    seams.judge_all_alarms()


def judge(
    alarm: dict[str, Any], points: Sequence[Point], statistic: Statistic, now: tuple[float, float]
) -> str | None:
    """Return the state of an alarm; None to leave it as it is. now: (epoch seconds, time scale)."""
    compare = COMPARE.get(alarm["ComparisonOperator"])
    if compare is None:
        return None
    windows = int(alarm["EvaluationPeriods"])
    values = _values(points, statistic, float(alarm["Period"]) * now[1], windows, now[0])
    missing = alarm.get("TreatMissingData") or "missing"
    if all(value is None for value in values):
        if missing in ("missing", "ignore"):
            return "INSUFFICIENT_DATA" if missing == "missing" else None
        return "ALARM" if missing == "breaching" else "OK"
    breaching = sum(
        missing == "breaching" if value is None else compare(value, alarm["Threshold"])
        for value in values
    )
    return "ALARM" if breaching >= int(alarm.get("DatapointsToAlarm") or windows) else "OK"


def _values(
    points: Sequence[Point], statistic: Statistic, period_s: float, windows: int, now: float
) -> list[float | None]:
    """Return the statistic of each of the last periods, the one under way first."""
    held: list[list[Any]] = [[] for _ in range(windows)]
    for at, sample in points:
        index = int((now - at) // period_s)
        if 0 <= index < windows:
            held[index].append(sample)
    return [statistic(samples) if samples else None for samples in held]


def _now() -> tuple[float, float]:
    return time.time(), time_scale()


def _keep_judging(stop: threading.Event) -> None:
    wait = min(LONGEST_WAIT_S, PERIOD_S * time_scale() / 4)
    while not stop.wait(wait):
        try:
            judge_now()
        except Exception:
            logger.exception("alarms could not be judged")
