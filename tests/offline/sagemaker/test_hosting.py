"""Endpoints: created, invoked, updated while they answer, rolled back, deleted."""

from __future__ import annotations

import concurrent.futures
import json
import threading
import time
from collections import Counter

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from .conftest import until

SERVERLESS = {"MemorySizeInMB": 2048, "MaxConcurrency": 1}


@pytest.fixture(scope="module")
def live(hosting, sagemaker):
    """An endpoint in service on version 1, for tests that leave it as it is."""
    name = hosting.endpoint(hosting.config({"version": "1"}, isolated=True))
    _wait(sagemaker, name)
    return name


def ask(runtime, name: str, body: bytes = b"1 2 3", **more):
    answer = runtime.invoke_endpoint(
        EndpointName=name, Body=body, ContentType="text/csv", Accept="application/json", **more
    )
    return answer, json.loads(answer["Body"].read())


def log_streams(logs, group: str):
    """The streams of a group, which the container's first line makes."""
    try:
        return logs.describe_log_streams(logGroupName=group)
    except logs.exceptions.ResourceNotFoundException:
        return {"logStreams": []}


def refused(call, **arguments) -> tuple[str, str]:
    with pytest.raises(ClientError) as raised:
        call(**arguments)
    error = raised.value.response["Error"]
    return error["Code"], error["Message"]


def test_an_endpoint_comes_into_service_and_answers(
    aws, hosting, sagemaker, runtime, settled, image
):
    config = hosting.config({"version": "1"})
    name = hosting.endpoint(config)
    assert sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"] == "Creating"
    endpoint = settled(name)
    assert (endpoint["EndpointStatus"], endpoint["EndpointConfigName"]) == ("InService", config)
    (variant,) = endpoint["ProductionVariants"]
    assert variant["DeployedImages"][0]["ResolvedImage"] == image
    answer, told = ask(runtime, name, CustomAttributes="trace")
    assert answer["InvokedProductionVariant"] == "AllTraffic"
    assert answer["ContentType"] == "application/json"
    assert answer["CustomAttributes"] == "seen"
    assert (told["version"], told["bytes"]) == ("1", 5)
    assert (told["content_type"], told["accept"]) == ("text/csv", "application/json")
    assert "AWS_SESSION_TOKEN" in told["environment"]
    group = f"/aws/sagemaker/Endpoints/{name}"
    (stream,) = until(
        lambda: log_streams(aws.client("logs"), group), lambda found: found["logStreams"]
    )["logStreams"]
    assert stream["logStreamName"].startswith("AllTraffic/i-")
    of_this = [{"Name": "EndpointName", "Value": name}]
    metrics = until(
        lambda: aws.client("cloudwatch").list_metrics(Dimensions=of_this),
        lambda found: found["Metrics"],
    )["Metrics"]
    assert {metric["MetricName"] for metric in metrics} == {
        "Invocations",
        "Invocation4XXErrors",
        "Invocation5XXErrors",
        "InvocationModelErrors",
        "ModelLatency",
    }
    sagemaker.delete_endpoint(EndpointName=name)
    assert refused(ask, runtime=runtime, name=name)[0] == "ValidationError"


def test_an_isolated_server_has_no_credentials(live, runtime):
    environment = ask(runtime, live)[1]["environment"]
    assert [name for name in environment if name.startswith("AWS_")] == [
        "AWS_DEFAULT_REGION",
        "AWS_REGION",
    ]


def test_an_unknown_endpoint_is_told_in_awss_words(runtime):
    code, message = refused(ask, runtime=runtime, name="nobody")
    assert code == "ValidationError"
    assert message == "Endpoint nobody of account 000000000000 not found."


def test_the_containers_own_error_comes_back_whole(live, runtime):
    with pytest.raises(runtime.exceptions.ModelError) as raised:
        ask(runtime, live, b"bad")
    answer = raised.value.response
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 424
    assert answer["OriginalStatusCode"] == 400
    assert answer["OriginalMessage"] == '{"error": "bad row"}'
    assert answer["LogStreamArn"].startswith(
        "arn:aws:logs:us-east-1:000000000000:log-group:/aws/sagemaker/Endpoints/"
    )
    assert answer["Error"]["Message"].startswith(
        'Received client error (400) from primary with message "{"error": "bad row"}". See https://'
    )


def test_a_payload_above_six_mebibytes_is_refused(live, runtime):
    code, message = refused(ask, runtime=runtime, name=live, body=b"x" * (6 * 1024 * 1024 + 1))
    assert code == "ValidationError"
    assert "at most 6291456 are allowed" in message


def test_an_unknown_variant_is_refused(live, runtime):
    code, message = refused(ask, runtime=runtime, name=live, TargetVariant="Blue")
    assert (code, "Blue" in message) == ("ValidationError", True)


def test_what_an_invocation_cannot_do_here_is_named(live, runtime):
    code, message = refused(ask, runtime=runtime, name=live, TargetModel="other.tar.gz")
    assert (code, "TargetModel" in message) == ("NotImplemented", True)
    with pytest.raises(ClientError) as raised:
        runtime.invoke_endpoint_async(EndpointName=live, InputLocation="s3://b/k")
    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501


def test_invoking_needs_the_right_on_this_endpoint(live, acting):
    arn = "arn:aws:sagemaker:us-east-1:000000000000:endpoint/"
    other = acting("invokes-another", (["sagemaker:InvokeEndpoint"], f"{arn}other"))
    code, message = refused(ask, runtime=other("sagemaker-runtime"), name=live)
    assert code == "AccessDeniedException"
    assert f"sagemaker:InvokeEndpoint on resource: {arn}{live}" in message
    this = acting("invokes-this", (["sagemaker:InvokeEndpoint"], f"{arn}{live}"))
    assert ask(this("sagemaker-runtime"), live)[1]["version"] == "1"


def test_a_crashed_server_is_started_again(hosting, sagemaker, runtime, settled):
    name = hosting.endpoint(hosting.config({"version": "1"}))
    settled(name)
    with pytest.raises(runtime.exceptions.ModelError) as raised:
        ask(runtime, name, b"die")
    assert raised.value.response["OriginalStatusCode"] == 0
    deadline = time.monotonic() + 10
    while True:
        try:
            assert ask(runtime, name)[1]["version"] == "1"
            break
        except runtime.exceptions.ModelError:
            assert time.monotonic() < deadline, "the server was not started again"
            time.sleep(0.1)


def test_an_unhealthy_endpoint_fails_in_awss_words(hosting, sagemaker, settled):
    name = hosting.endpoint(hosting.config({"exits": True}))
    endpoint = settled(name)
    assert endpoint["EndpointStatus"] == "Failed"
    assert endpoint["FailureReason"] == (
        "The primary container for production variant AllTraffic did not pass the ping health "
        "check. Please check CloudWatch logs for this endpoint."
    )
    code, message = refused(
        sagemaker.update_endpoint,
        EndpointName=name,
        EndpointConfigName=hosting.config({"version": "2"}),
    )
    assert (code, "in status Failed" in message) == ("ValidationException", True)


def test_the_old_fleet_answers_until_the_new_one_does(hosting, sagemaker, runtime, settled):
    first, second = hosting.config({"version": "1"}), hosting.config({"version": "2"})
    name = hosting.endpoint(first)
    settled(name)
    hammer = Hammer(runtime, name)
    until(lambda: Counter(hammer.seen), lambda seen: seen["1"] > 5)
    sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=second)
    during = sagemaker.describe_endpoint(EndpointName=name)
    assert (during["EndpointStatus"], during["EndpointConfigName"]) == ("Updating", first)
    assert during["PendingDeploymentSummary"]["EndpointConfigName"] == second
    assert (
        "Cannot update in-progress endpoint"
        in refused(sagemaker.delete_endpoint, EndpointName=name)[1]
    )
    endpoint = settled(name)
    until(lambda: Counter(hammer.seen), lambda seen: seen["2"] > 5)
    _, errors = hammer.stop()
    assert (endpoint["EndpointStatus"], endpoint["EndpointConfigName"]) == ("InService", second)
    assert "PendingDeploymentSummary" not in endpoint
    assert not errors
    assert ask(runtime, name)[1]["version"] == "2"


def test_an_unhealthy_update_is_rolled_back(hosting, sagemaker, runtime, settled):
    first, second = hosting.config({"version": "1"}), hosting.config({"exits": True})
    name = hosting.endpoint(first)
    settled(name)
    hammer = Hammer(runtime, name)
    sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=second)
    endpoint = settled(name)
    seen, errors = hammer.stop()
    assert (endpoint["EndpointStatus"], endpoint["EndpointConfigName"]) == ("InService", first)
    assert "did not pass the ping health check" in endpoint["FailureReason"]
    assert (errors, set(seen)) == ([], {"1"})


def canary(alarm: str, wait_s: int = 60) -> dict:
    return {
        "BlueGreenUpdatePolicy": {
            "TrafficRoutingConfiguration": {
                "Type": "CANARY",
                "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": 50},
                "WaitIntervalInSeconds": wait_s,
            },
            "TerminationWaitInSeconds": 10,
            "MaximumExecutionTimeoutInSeconds": 3600,
        },
        "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": alarm}]},
    }


@pytest.fixture
def guarded(aws, hosting, settled):
    """An endpoint of two instances, and an alarm on its server errors."""
    first = hosting.config({"version": "1"}, InitialInstanceCount=2)
    name = hosting.endpoint(first)
    alarm = f"prod-{name}"
    aws.client("cloudwatch").put_metric_alarm(
        AlarmName=alarm,
        Namespace="AWS/SageMaker",
        MetricName="Invocation5XXErrors",
        Dimensions=[
            {"Name": "EndpointName", "Value": name},
            {"Name": "VariantName", "Value": "AllTraffic"},
        ],
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=3,
        DatapointsToAlarm=2,
        Threshold=1,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
        TreatMissingData="notBreaching",
    )
    settled(name)
    return name, first, alarm


def test_a_canary_takes_its_share_and_then_everything(
    guarded, hosting, sagemaker, runtime, settled
):
    name, _, alarm = guarded
    second = hosting.config({"version": "2"}, InitialInstanceCount=2)
    hammer = Hammer(runtime, name)
    sagemaker.update_endpoint(
        EndpointName=name, EndpointConfigName=second, DeploymentConfig=canary(alarm, 100)
    )
    endpoint = settled(name)
    _, errors = hammer.stop()
    assert endpoint["EndpointConfigName"] == second, endpoint.get("FailureReason")
    assert endpoint["LastDeploymentConfig"] == canary(alarm, 100)
    assert not errors
    mixed = Counter(hammer.between("2", "1"))
    count = sum(mixed.values())
    standard_error = 0.5 / count**0.5
    assert abs(mixed["2"] / count - 0.5) < 5 * standard_error, mixed


def test_an_alarm_during_the_canary_rolls_back(guarded, hosting, sagemaker, runtime, settled):
    name, first, alarm = guarded
    second = hosting.config({"version": "2", "status": 500}, InitialInstanceCount=2)
    hammer = Hammer(runtime, name)
    sagemaker.update_endpoint(
        EndpointName=name, EndpointConfigName=second, DeploymentConfig=canary(alarm, 600)
    )
    endpoint = settled(name)
    _, errors = hammer.stop()
    assert (endpoint["EndpointStatus"], endpoint["EndpointConfigName"]) == ("InService", first)
    assert alarm in endpoint["FailureReason"]
    assert errors, "the canary's own errors are what the alarm saw"
    assert ask(runtime, name)[1]["version"] == "1"


def test_an_alarm_must_exist_and_be_visible_to_the_execution_role(guarded, aws, hosting, sagemaker):
    name, *_ = guarded
    second = hosting.config({"version": "2"}, InitialInstanceCount=2)
    for alarm, said in (("prod-none", "does not exist"), ("hidden", "cloudwatch:DescribeAlarms")):
        code, message = refused(
            sagemaker.update_endpoint,
            EndpointName=name,
            EndpointConfigName=second,
            DeploymentConfig=canary(alarm),
        )
        assert (code, said in message) == ("ValidationException", True), message


def test_what_may_not_follow_is_refused(live, hosting, sagemaker):
    current = sagemaker.describe_endpoint(EndpointName=live)["EndpointConfigName"]
    other = hosting.config({"version": "2"}, VariantName="Other")
    serverless = hosting.config({"version": "2"}, ServerlessConfig=SERVERLESS)
    for config, said in (
        (current, "already uses"),
        ("nowhere", "Could not find endpoint configuration"),
        (other, "must have the same production variants"),
        (serverless, "Cannot convert the endpoint from instance-based to serverless"),
    ):
        code, message = refused(
            sagemaker.update_endpoint, EndpointName=live, EndpointConfigName=config
        )
        assert (code, said in message) == ("ValidationException", True), message


def test_an_update_needs_the_old_configuration_to_be_there(hosting, sagemaker, settled):
    first, second = hosting.config({"version": "1"}), hosting.config({"version": "2"})
    name = hosting.endpoint(first)
    settled(name)
    sagemaker.delete_endpoint_config(EndpointConfigName=first)
    _, message = refused(sagemaker.update_endpoint, EndpointName=name, EndpointConfigName=second)
    assert message.startswith("Could not find endpoint configuration")
    assert message.endswith(f'endpoint-config/{first}".')


def test_a_serverless_variant_serves_one_at_a_time(aws, hosting, settled):
    config = hosting.config({"version": "1", "seconds": 0.5}, ServerlessConfig=SERVERLESS)
    name = hosting.endpoint(config)
    endpoint = settled(name)
    assert endpoint["ProductionVariants"][0]["CurrentServerlessConfig"] == SERVERLESS
    runtime = boto3.client(
        "sagemaker-runtime",
        endpoint_url=aws.url,
        region_name="us-east-1",
        aws_access_key_id=aws.access_key,
        aws_secret_access_key=aws.secret_key,
        config=Config(retries={"total_max_attempts": 1}),
    )
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        answers = [pool.submit(ask, runtime, name) for _ in range(2)]
    errors = [answer.exception() for answer in answers if answer.exception()]
    assert [error.response["Error"]["Code"] for error in errors] == ["ThrottlingException"]
    code, message = refused(ask, runtime=runtime, name=name, body=b"x" * (4 * 1024 * 1024 + 1))
    assert (code, "4194304" in message) == ("ValidationError", True)


def test_serverless_and_isolation_do_not_go_together(hosting):
    code, message = refused(
        hosting.config, model={"version": "1"}, isolated=True, ServerlessConfig=SERVERLESS
    )
    assert (code, "network isolation" in message) == ("ValidationException", True)


def test_a_model_needs_its_data_and_its_image(aws, sagemaker, image, role):
    data = {"Image": image, "ModelDataUrl": "s3://ml-data/nothing.tar.gz"}
    for container, said in (
        (data, "Could not access model data at s3://ml-data/nothing.tar.gz"),
        ({"Image": f"{image[:-4]}beef"}, "Could not access image"),
    ):
        code, message = refused(
            sagemaker.create_model,
            ModelName="incomplete",
            ExecutionRoleArn=role,
            PrimaryContainer=container,
        )
        assert (code, said in message) == ("ValidationException", True), message


def test_names_are_used_once_and_looked_up_by_arn(live, hosting, sagemaker, image, role):
    config = sagemaker.describe_endpoint(EndpointName=live)["EndpointConfigName"]
    arn = "arn:aws:sagemaker:us-east-1:000000000000"
    assert refused(sagemaker.create_endpoint, EndpointName=live, EndpointConfigName=config) == (
        "ValidationException",
        f'Cannot create already existing endpoint "{arn}:endpoint/{live}".',
    )
    assert refused(sagemaker.describe_model, ModelName="Nobody") == (
        "ValidationException",
        f'Could not find model "{arn}:model/nobody".',
    )
    assert refused(sagemaker.describe_endpoint, EndpointName="nobody") == (
        "ValidationException",
        f'Could not find endpoint "{arn}:endpoint/nobody".',
    )
    again = {
        "ModelName": config,
        "ExecutionRoleArn": role,
        "PrimaryContainer": {"Image": image},
    }
    assert "Cannot create already existing model" in refused(sagemaker.create_model, **again)[1]


def test_deleting_an_endpoint_takes_it_and_its_server_away(hosting, sagemaker, settled):
    name = hosting.endpoint(hosting.config({"version": "1"}))
    arn = settled(name)["EndpointArn"]
    assert arn in [e["EndpointArn"] for e in sagemaker.list_endpoints(MaxResults=100)["Endpoints"]]
    sagemaker.delete_endpoint(EndpointName=name)
    deadline = time.monotonic() + 10
    while True:
        try:
            status = sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"]
        except ClientError as error:
            assert "Could not find endpoint" in str(error)
            return
        assert status == "Deleting"
        assert time.monotonic() < deadline, "the endpoint is still there"
        time.sleep(0.05)


class Hammer:
    """Invokes an endpoint again and again; remembers each answer in order."""

    def __init__(self, runtime, name: str) -> None:
        self.seen: list[str] = []
        self.errors: list[Exception] = []
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(runtime, name))
        self._thread.start()

    def _run(self, runtime, name: str) -> None:
        while not self._end.wait(0.005):
            try:
                self.seen.append(ask(runtime, name)[1]["version"])
            except Exception as error:
                self.errors.append(error)

    def stop(self) -> tuple[Counter, list[Exception]]:
        self._end.set()
        self._thread.join()
        return Counter(self.seen), self.errors

    def between(self, first: str, last: str) -> list[str]:
        """Return the answers from the first one of a version to the last one of another."""
        end = len(self.seen) - self.seen[::-1].index(last)
        return self.seen[self.seen.index(first) : end]


def _wait(sagemaker, name: str) -> None:
    deadline = time.monotonic() + 20
    while sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"] == "Creating":
        assert time.monotonic() < deadline
        time.sleep(0.05)
