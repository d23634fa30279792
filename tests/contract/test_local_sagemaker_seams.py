"""What the seams under alarms, metrics and CloudFormation's threads do to ministack."""

from __future__ import annotations

import time

import pytest
from local_cloud import seams
from ministack.services import cloudwatch
from ministack.services.cloudformation import stacks


@pytest.fixture
def alarm(monkeypatch):
    """An alarm on one endpoint's errors, judged by a function that sums its points."""
    monkeypatch.setattr(cloudwatch, "_evaluate_alarm", cloudwatch._evaluate_alarm)
    seen: list[float] = []

    def judge(alarm, points, statistic):
        seen.append(statistic([sample for _, sample in points]) if points else 0.0)
        return "ALARM" if seen[-1] >= 3 else "OK"

    seams.judge_alarms_by(judge)
    record = {
        "AlarmName": "seam",
        "Namespace": "AWS/SageMaker",
        "MetricName": "Invocation5XXErrors",
        "Dimensions": [{"Name": "EndpointName", "Value": "mine"}],
        "Statistic": "Sum",
        "StateValue": "INSUFFICIENT_DATA",
        "ActionsEnabled": False,
    }
    cloudwatch.cloudformation_put_metric_alarm(record)
    yield seen
    cloudwatch.reset()


def test_an_alarm_sees_its_own_dimensions_alone(alarm):
    for endpoint, count in (("mine", 2.0), ("other", 5.0)):
        dimensions = {"EndpointName": endpoint}
        seams.put_metric("AWS/SageMaker", "Invocation5XXErrors", dimensions, "None", {1.0: count})
    seams.judge_all_alarms()
    assert (alarm[-1], seams.alarm_state("seam")) == (2.0, "OK")
    mine = {"EndpointName": "mine"}
    seams.put_metric("AWS/SageMaker", "Invocation5XXErrors", mine, "None", {1.0: 1.0})
    seams.judge_all_alarms()
    assert (alarm[-1], seams.alarm_state("seam")) == (3.0, "ALARM")
    changed = [entry["HistorySummary"] for entry in cloudwatch._history_entries()]
    assert changed[-1] == "Alarm updated from OK to ALARM"
    assert cloudwatch._alarms["seam"]["StateUpdatedTimestamp"] <= time.time()
    assert seams.alarm_state("nobody") is None


def test_a_type_that_waits_is_provisioned_off_the_loop(monkeypatch):
    monkeypatch.setattr(stacks, "_runs_on_worker_thread", stacks._runs_on_worker_thread)
    assert not stacks._runs_on_worker_thread("AWS::Made::Up")
    seams.provision_in_thread("AWS::Made::Up")
    assert stacks._runs_on_worker_thread("AWS::Made::Up")
    assert stacks._runs_on_worker_thread("AWS::CloudFormation::Stack")
    assert not stacks._runs_on_worker_thread("AWS::S3::Bucket")
