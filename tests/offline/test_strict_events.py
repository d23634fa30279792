"""EventBridge matches, delivers and refuses as on AWS."""

from __future__ import annotations

import uuid

import pytest
from local_cloud.launcher import ACCOUNT, REGION, RunningCloud


@pytest.fixture(scope="module")
def bucket(cloud: RunningCloud) -> str:
    s3 = cloud.client("s3")
    name = f"events-{uuid.uuid4().hex[:8]}"
    s3.create_bucket(Bucket=name)
    s3.put_bucket_notification_configuration(
        Bucket=name, NotificationConfiguration={"EventBridgeConfiguration": {}}
    )
    return name


def test_a_wildcard_rule_starts_on_new_training_data_only(cloud, rule, bucket, eventually):
    receive = rule(
        {
            "source": ["aws.s3"],
            "detail-type": ["Object Created"],
            "detail": {
                "bucket": {"name": [bucket]},
                "object": {"key": [{"wildcard": "train/*.csv"}]},
            },
        }
    )
    s3 = cloud.client("s3")
    keys = ["train/labels.json", "validation/a.csv", "train.csv", "train/a.csv.tmp"]
    matching = ["train/a.csv", "train/deep/b.csv"]
    for key in [*keys, *matching]:
        s3.put_object(Bucket=bucket, Key=key, Body=b"")
    received = eventually(receive, len(matching))
    assert sorted(event["detail"]["object"]["key"] for event in received) == matching
    assert {event["detail-type"] for event in received} == {"Object Created"}
    assert receive() == []


def test_nobody_but_aws_speaks_as_aws(cloud, rule, eventually):
    receive = rule({"source": [{"prefix": ""}]})
    entry = {"Source": "aws.s3", "DetailType": "Object Created", "Detail": "{}"}
    answer = cloud.client("events").put_events(Entries=[entry, {**entry, "Source": "mine"}])
    assert answer["FailedEntryCount"] == 1
    assert answer["Entries"][0]["ErrorCode"] == "NotAuthorizedForSourceException"
    assert [event["source"] for event in eventually(receive, 1)] == ["mine"]


def test_a_queue_that_does_not_let_eventbridge_in_gets_nothing(cloud, rule, eventually):
    shut = rule({"source": ["to.both"]}, let_in=False)
    receive = rule({"source": ["to.both"]})
    entry = {"Source": "to.both", "DetailType": "t", "Detail": "{}"}
    cloud.client("events").put_events(Entries=[entry])
    assert len(eventually(receive, 1)) == 1
    assert shut() == []
    assert "does not let EventBridge in" in cloud.log.read_text()


def test_a_target_that_acts_as_a_role_needs_one_that_the_caller_may_pass(
    cloud, acting_as, allow, make_role, refusal
):
    role = make_role("starts-pipelines", trusts="events.amazonaws.com")
    cloud.client("events").put_rule(Name="with-role", EventPattern='{"source": ["x"]}')
    target = {"Id": "p", "Arn": f"arn:aws:codepipeline:{REGION}:{ACCOUNT}:some-pipeline"}
    put = {"Rule": "with-role", "Targets": [{**target, "RoleArn": role}]}
    client = acting_as("puts-targets", allow("events:PutTargets", "*"))("events")
    assert "iam:PassRole" in refusal(client.put_targets, **put)[2]
    without = refusal(client.put_targets, Rule="with-role", Targets=[target])
    message = f"RoleArn is required for target {target['Arn']}."
    assert without == (400, "ValidationException", message)
    cloud.client("events").put_targets(**put)
