"""CloudFormation makes, refuses and deletes what AWS does, down to buckets, keys and functions."""

from __future__ import annotations

import base64
import hashlib
import json
import textwrap
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from local_cloud.launcher import ACCOUNT, REGION, RunningCloud

WAIT = {"Delay": 0.1, "MaxAttempts": 100}
IAM = ["CAPABILITY_NAMED_IAM"]
Resources = dict[str, Any]


class Stack:
    """A stack of one test, by its resources alone."""

    def __init__(self, cloud: RunningCloud) -> None:
        self.client = cloud.client("cloudformation")
        self.name = f"stack-{uuid.uuid4().hex[:8]}"

    def create(self, resources: Resources) -> str:
        """Create it and return the status that it ends in."""
        self.client.create_stack(
            StackName=self.name,
            TemplateBody=json.dumps({"Resources": resources}),
            Capabilities=IAM,
        )
        return self.settled()

    def update(self, resources: Resources) -> str:
        self.client.update_stack(
            StackName=self.name,
            TemplateBody=json.dumps({"Resources": resources}),
            Capabilities=IAM,
        )
        return self.settled()

    def delete(self) -> str:
        """Delete it and return the status that it ends in."""
        self.client.delete_stack(StackName=self.stack_id)
        return self.settled()

    def settled(self) -> str:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            [stack] = self.client.describe_stacks(StackName=self.name_or_id())["Stacks"]
            self.stack_id = stack["StackId"]
            if not stack["StackStatus"].endswith("IN_PROGRESS"):
                return str(stack["StackStatus"])
            time.sleep(0.05)
        raise TimeoutError(self.name)

    def name_or_id(self) -> str:
        return getattr(self, "stack_id", self.name)

    def reasons(self) -> str:
        events = self.client.describe_stack_events(StackName=self.stack_id)["StackEvents"]
        return " ".join(event.get("ResourceStatusReason", "") for event in events)


@pytest.fixture
def stack(cloud: RunningCloud) -> Stack:
    return Stack(cloud)


@pytest.fixture
def bucket_name() -> str:
    return f"of-stack-{uuid.uuid4().hex[:8]}"


def bucket(name: str, **properties: Any) -> Resources:
    return {"Bucket": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": name, **properties}}}


def test_a_buckets_properties_read_back(cloud, stack, bucket_name):
    key = {"Type": "AWS::KMS::Key", "Properties": {"KeyPolicy": open_key_policy()}}
    by_default = {
        "SSEAlgorithm": "aws:kms",
        "KMSMasterKeyID": {"Fn::GetAtt": ["Key", "Arn"]},
    }
    rules = [
        {
            "Id": "old",
            "Status": "Enabled",
            "NoncurrentVersionExpiration": {"NoncurrentDays": 90},
            "ExpiredObjectDeleteMarker": True,
        },
        {"Id": "all", "Status": "Enabled", "Prefix": "tmp/", "ExpirationInDays": 7},
        {
            "Id": "broken",
            "Status": "Enabled",
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 3},
        },
    ]
    resources = {
        "Key": key,
        **bucket(
            bucket_name,
            BucketEncryption={
                "ServerSideEncryptionConfiguration": [
                    {"BucketKeyEnabled": True, "ServerSideEncryptionByDefault": by_default}
                ]
            },
            LifecycleConfiguration={"Rules": rules},
            VersioningConfiguration={"Status": "Enabled"},
            OwnershipControls={"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
            Tags=[{"Key": "made-by", "Value": "test"}],
        ),
    }
    assert stack.create(resources) == "CREATE_COMPLETE"
    s3 = cloud.client("s3")
    encryption = s3.get_bucket_encryption(Bucket=bucket_name)
    [rule] = encryption["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["BucketKeyEnabled"] is True
    assert rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"
    key_arn = rule["ApplyServerSideEncryptionByDefault"]["KMSMasterKeyID"]
    lifecycle = s3.get_bucket_lifecycle_configuration(Bucket=bucket_name)["Rules"]
    by_id = {rule["ID"]: rule for rule in lifecycle}
    assert by_id["old"]["NoncurrentVersionExpiration"] == {"NoncurrentDays": 90}
    assert by_id["old"]["Expiration"] == {"ExpiredObjectDeleteMarker": True}
    assert by_id["all"]["Filter"] == {"Prefix": "tmp/"}
    assert by_id["all"]["Expiration"] == {"Days": 7}
    assert by_id["broken"]["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 3}
    assert s3.get_bucket_versioning(Bucket=bucket_name)["Status"] == "Enabled"
    tags = s3.get_bucket_tagging(Bucket=bucket_name)["TagSet"]
    assert {"Key": "made-by", "Value": "test"} in tags
    assert s3.put_object(Bucket=bucket_name, Key="k", Body=b"")["SSEKMSKeyId"] == key_arn


def test_a_bucket_that_a_template_stops_describing_falls_back_to_the_default(
    cloud, stack, bucket_name
):
    rules = {"Rules": [{"Id": "all", "Status": "Enabled", "ExpirationInDays": 7}]}
    stack.create(
        bucket(
            bucket_name,
            LifecycleConfiguration=rules,
            VersioningConfiguration={"Status": "Enabled"},
        )
    )
    suspended = bucket(bucket_name, VersioningConfiguration={"Status": "Suspended"})
    assert stack.update(suspended) == "UPDATE_COMPLETE"
    s3 = cloud.client("s3")
    assert s3.get_bucket_versioning(Bucket=bucket_name)["Status"] == "Suspended"
    with pytest.raises(Exception, match="NoSuchLifecycleConfiguration"):
        s3.get_bucket_lifecycle_configuration(Bucket=bucket_name)


def test_a_bucket_property_that_is_not_emulated_fails_the_stack(stack, bucket_name):
    resources = bucket(bucket_name, ReplicationConfiguration={"Role": "r", "Rules": []})
    assert stack.create(resources) == "ROLLBACK_COMPLETE"
    assert "ReplicationConfiguration is not emulated" in stack.reasons()


def test_a_bucket_that_is_not_empty_stops_its_stacks_deletion(cloud, stack, bucket_name):
    stack.create(bucket(bucket_name, VersioningConfiguration={"Status": "Enabled"}))
    s3 = cloud.client("s3")
    version = s3.put_object(Bucket=bucket_name, Key="k", Body=b"kept")["VersionId"]
    s3.delete_object(Bucket=bucket_name, Key="k")
    assert stack.delete() == "DELETE_FAILED"
    assert "The bucket you tried to delete is not empty" in stack.reasons()
    assert s3.get_object(Bucket=bucket_name, Key="k", VersionId=version)["Body"].read() == b"kept"
    for kind in ("Versions", "DeleteMarkers"):
        for item in s3.list_object_versions(Bucket=bucket_name).get(kind, []):
            s3.delete_object(Bucket=bucket_name, Key="k", VersionId=item["VersionId"])
    assert stack.delete() == "DELETE_COMPLETE"


def test_a_retained_bucket_outlives_its_stack_with_what_it_holds(cloud, stack, bucket_name):
    resources = bucket(bucket_name)
    resources["Bucket"]["DeletionPolicy"] = "Retain"
    stack.create(resources)
    cloud.client("s3").put_object(Bucket=bucket_name, Key="k", Body=b"")
    assert stack.delete() == "DELETE_COMPLETE"
    cloud.client("s3").head_object(Bucket=bucket_name, Key="k")


@pytest.mark.parametrize("empty_on_delete", [False, True])
def test_an_image_repository_is_deleted_with_images_only_on_demand(cloud, stack, empty_on_delete):
    name = f"images-{uuid.uuid4().hex[:8]}"
    properties = {"RepositoryName": name, "ImageTagMutability": "IMMUTABLE"}
    if empty_on_delete:
        properties["EmptyOnDelete"] = True
    stack.create({"Images": {"Type": "AWS::ECR::Repository", "Properties": properties}})
    push_empty_image(cloud, name, "v1")
    assert stack.delete() == ("DELETE_COMPLETE" if empty_on_delete else "DELETE_FAILED")
    assert ("is not empty" in stack.reasons()) is not empty_on_delete


def test_a_tag_cannot_be_moved_where_tags_are_immutable(cloud):
    name = f"immutable-{uuid.uuid4().hex[:8]}"
    cloud.client("ecr").create_repository(repositoryName=name, imageTagMutability="IMMUTABLE")
    assert push_empty_image(cloud, name, "v1") == 201
    assert push_empty_image(cloud, name, "v1", label="other") >= 400


def test_a_key_rotates_has_an_alias_and_outlives_its_stack_for_its_window(cloud, stack):
    alias = f"alias/of-stack-{uuid.uuid4().hex[:8]}"
    stack.create(
        {
            "Key": {
                "Type": "AWS::KMS::Key",
                "Properties": {
                    "KeyPolicy": open_key_policy(),
                    "EnableKeyRotation": True,
                    "PendingWindowInDays": 7,
                },
            },
            "Alias": {
                "Type": "AWS::KMS::Alias",
                "Properties": {"AliasName": alias, "TargetKeyId": {"Ref": "Key"}},
            },
        }
    )
    kms = cloud.client("kms")
    key = kms.describe_key(KeyId=alias)["KeyMetadata"]["KeyId"]
    assert kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"] is True
    assert stack.delete() == "DELETE_COMPLETE"
    about = kms.describe_key(KeyId=key)["KeyMetadata"]
    assert about["KeyState"] == "PendingDeletion"
    left = about["DeletionDate"].timestamp() - about["CreationDate"].timestamp()
    assert round(left / 86_400) == 7


def test_a_log_group_needs_a_key_that_cloudwatch_logs_may_use(stack):
    logs = {
        "Effect": "Allow",
        "Principal": {"Service": f"logs.{REGION}.amazonaws.com"},
        "Action": ["kms:GenerateDataKey*", "kms:Decrypt"],
        "Resource": "*",
        "Condition": {
            "ArnLike": {
                "kms:EncryptionContext:aws:logs:arn": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:*"
            }
        },
    }
    policy = open_key_policy()
    resources = {
        "Key": {"Type": "AWS::KMS::Key", "Properties": {"KeyPolicy": policy}},
        "Group": {
            "Type": "AWS::Logs::LogGroup",
            "Properties": {
                "LogGroupName": f"/strict/{uuid.uuid4().hex[:8]}",
                "KmsKeyId": {"Fn::GetAtt": ["Key", "Arn"]},
            },
        },
    }
    assert stack.create(resources) == "ROLLBACK_COMPLETE"
    assert "is not allowed to be used with Arn" in stack.reasons()
    stack.delete()
    policy["Statement"].append(logs)
    stack.name += "-again"
    del stack.stack_id
    assert stack.create(resources) == "CREATE_COMPLETE"


def test_a_function_whose_zip_is_not_there_fails_the_stack(stack, bucket_name):
    role = {
        "Type": "AWS::IAM::Role",
        "Properties": {
            "AssumeRolePolicyDocument": {
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Effect": "Allow",
                        "Principal": {"Service": "lambda.amazonaws.com"},
                        "Action": "sts:AssumeRole",
                    }
                ],
            }
        },
    }
    function = {
        "Type": "AWS::Lambda::Function",
        "Properties": {
            "Runtime": "python3.13",
            "Handler": "a.b",
            "Role": {"Fn::GetAtt": ["Role", "Arn"]},
            "Code": {"S3Bucket": {"Ref": "Bucket"}, "S3Key": "not-uploaded.zip"},
        },
    }
    resources = {"Role": role, "Function": function, **bucket(bucket_name)}
    assert stack.create(resources) == "ROLLBACK_COMPLETE"
    assert "S3 Error Code: NoSuchKey" in stack.reasons()


@pytest.fixture
def alarmed(cloud: RunningCloud) -> Callable[..., list[dict[str, Any]]]:
    """Make an alarm, a topic and a queue behind it, set the alarm off; returns what arrives."""

    def run(stack: Stack, key_statements: list[dict[str, Any]] | None = None) -> list[Any]:
        name = f"alarm-{uuid.uuid4().hex[:8]}"
        topic: dict[str, Any] = {"Type": "AWS::SNS::Topic", "Properties": {}}
        resources = {"Topic": topic, **queue_behind_topic(name), "Alarm": alarm(name)}
        if key_statements is not None:
            policy = open_key_policy()
            policy["Statement"] += key_statements
            resources["Key"] = {"Type": "AWS::KMS::Key", "Properties": {"KeyPolicy": policy}}
            topic["Properties"]["KmsMasterKeyId"] = {"Fn::GetAtt": ["Key", "Arn"]}
        assert stack.create(resources) == "CREATE_COMPLETE"
        [about] = cloud.client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"]
        assert about["Threshold"] == 1
        cloud.client("cloudwatch").set_alarm_state(
            AlarmName=name, StateValue="ALARM", StateReason="test"
        )
        sqs = cloud.client("sqs")
        url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
        messages = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1).get("Messages", [])
        return [json.loads(json.loads(message["Body"])["Message"]) for message in messages]

    return run


def queue_behind_topic(name: str) -> Resources:
    lets_in = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": "*",
    }
    policy = {"Version": "2012-10-17", "Statement": [lets_in]}
    return {
        "Queue": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": name}},
        "QueuePolicy": {
            "Type": "AWS::SQS::QueuePolicy",
            "Properties": {"Queues": [{"Ref": "Queue"}], "PolicyDocument": policy},
        },
        "Subscription": {
            "Type": "AWS::SNS::Subscription",
            "Properties": {
                "TopicArn": {"Ref": "Topic"},
                "Protocol": "sqs",
                "Endpoint": {"Fn::GetAtt": ["Queue", "Arn"]},
            },
        },
    }


def alarm(name: str) -> dict[str, Any]:
    properties = {
        "AlarmName": name,
        "Namespace": "Strict",
        "MetricName": "Errors",
        "Statistic": "Sum",
        "Period": 60,
        "EvaluationPeriods": 1,
        "Threshold": 1,
        "ComparisonOperator": "GreaterThanOrEqualToThreshold",
        "AlarmActions": [{"Ref": "Topic"}],
    }
    return {"Type": "AWS::CloudWatch::Alarm", "Properties": properties}


def for_service(service: str, **condition: Any) -> dict[str, Any]:
    return {
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
        "Resource": "*",
        **condition,
    }


def test_an_alarm_tells_its_topic_and_the_topic_its_subscribers(stack, alarmed):
    [told] = alarmed(stack)
    assert told["NewStateValue"] == "ALARM"


def test_an_alarm_does_not_reach_a_topic_whose_key_it_may_not_use(cloud, stack, alarmed):
    assert alarmed(stack, []) == []
    assert "does not let CloudWatch in" in cloud.log.read_text()


def test_an_alarm_reaches_a_topic_whose_key_it_may_use(stack, alarmed):
    condition = {"StringEquals": {"aws:SourceAccount": ACCOUNT}}
    assert alarmed(stack, [for_service("cloudwatch.amazonaws.com", Condition=condition)])


def test_capabilities_are_asked_for_one_by_one(cloud, refusal):
    create = cloud.client("cloudformation").create_stack
    role = {"Type": "AWS::IAM::Role", "Properties": {"RoleName": "named"}}
    named = {"StackName": "needs", "TemplateBody": json.dumps({"Resources": {"Role": role}})}
    status, code, message = refusal(create, **named, Capabilities=["CAPABILITY_IAM"])
    assert (status, code) == (400, "InsufficientCapabilitiesException")
    assert "CAPABILITY_NAMED_IAM" in message
    table = {"Type": "AWS::Serverless::SimpleTable"}
    sam = {"Transform": "AWS::Serverless-2016-10-31", "Resources": {"Table": table}}
    expanded = {"StackName": "expands", "TemplateBody": json.dumps(sam)}
    status, code, message = refusal(create, **expanded, Capabilities=IAM)
    assert code == "InsufficientCapabilitiesException"
    assert "CAPABILITY_AUTO_EXPAND" in message


def test_a_long_template_goes_by_url_up_to_one_megabyte(cloud, refusal):
    cloudformation, s3 = cloud.client("cloudformation"), cloud.client("s3")
    s3.create_bucket(Bucket="long-templates")

    def template(length: int) -> str:
        topic = {"Type": "AWS::SNS::Topic"}
        body = {"Metadata": {"Long": ""}, "Resources": {"Topic": topic}}
        body["Metadata"]["Long"] = "x" * (length - len(json.dumps(body)))
        return json.dumps(body)

    def by_url(length: int) -> str:
        s3.put_object(Bucket="long-templates", Key="template.json", Body=template(length))
        return f"{cloud.url}/long-templates/template.json"

    request = {"StackName": "long-template"}
    fault = refusal(cloudformation.create_stack, **request, TemplateBody=template(51_201))
    assert fault[:2] == (400, "ValidationError")
    assert "Member must have length less than or equal to 51200" in fault[2]
    fault = refusal(cloudformation.create_stack, **request, TemplateURL=by_url(1_000_001))
    assert fault[1] == "ValidationError"
    cloudformation.create_stack(**request, TemplateURL=by_url(1_000_000))
    waiter = cloudformation.get_waiter("stack_create_complete")
    waiter.wait(StackName="long-template", WaiterConfig=WAIT)


def test_yaml_aliases_are_refused(cloud, refusal):
    body = textwrap.dedent(
        """
        Resources:
          One: &topic {Type: AWS::SNS::Topic}
          Two: *topic
        """
    )
    create = cloud.client("cloudformation").create_stack
    fault = refusal(create, StackName="aliases", TemplateBody=body)
    assert fault[1] == "ValidationError"
    assert "YAML aliases are not allowed" in fault[2]


def open_key_policy() -> dict[str, Any]:
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
        "Action": "kms:*",
        "Resource": "*",
    }
    return {"Version": "2012-10-17", "Statement": [statement]}


def push_empty_image(cloud: RunningCloud, repository: str, tag: str, label: str = "") -> int:
    """Push a manifest without layers as docker does; returns the registry's status."""
    data = cloud.client("ecr").get_authorization_token()["authorizationData"][0]
    headers = {"Authorization": f"Basic {data['authorizationToken']}"}
    assert base64.b64decode(data["authorizationToken"]).startswith(b"AWS:")

    def send(method: str, path: str, body: bytes = b"", kind: str = "") -> int:
        more = {**headers, **({"Content-Type": kind} if kind else {})}
        request = urllib.request.Request(cloud.url + path, body, more, method=method)
        try:
            with urllib.request.urlopen(request) as answer:
                headers["Location"] = answer.headers.get("Location", "")
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code

    config = json.dumps({"label": label}).encode()
    digest = "sha256:" + hashlib.sha256(config).hexdigest()
    send("POST", f"/v2/{repository}/blobs/uploads/")
    send("PUT", f"{headers.pop('Location')}?digest={digest}", config)
    media_type = "application/vnd.docker.distribution.manifest.v2+json"
    manifest = {
        "schemaVersion": 2,
        "mediaType": media_type,
        "config": {
            "mediaType": "application/vnd.docker.container.image.v1+json",
            "digest": digest,
            "size": len(config),
        },
        "layers": [],
    }
    headers.pop("Location", None)
    return send(
        "PUT", f"/v2/{repository}/manifests/{tag}", json.dumps(manifest).encode(), media_type
    )
