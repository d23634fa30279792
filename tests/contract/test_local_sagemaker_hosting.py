"""The local SageMaker's rules of hosting: life of an endpoint, deployments, configurations."""

from __future__ import annotations

import pytest
from local_cloud.sagemaker import rollout
from local_cloud.sagemaker.endpoint import Endpoint, IllegalTransition
from local_cloud.sagemaker.fleet import Fleet, NotServing, Traffic, UnknownVariant
from local_cloud.sagemaker.hosting_rules import BadConfig, check_config, check_succession
from local_cloud.sagemaker.rollout import BadDeployment, Step
from local_cloud.sagemaker.server import ModelServer, TooManyRequests, Variant
from local_cloud.shapes import response_faults, service_model

ARN = "arn:aws:sagemaker:us-east-1:000000000000:endpoint/glyphs"
DESCRIBE = service_model("sagemaker").operation_model("DescribeEndpoint")
INSTANCES = {
    "VariantName": "AllTraffic",
    "ModelName": "m",
    "InstanceType": "ml.m5.large",
    "InitialInstanceCount": 1,
}
SERVERLESS = {
    "VariantName": "AllTraffic",
    "ModelName": "m",
    "ServerlessConfig": {"MemorySizeInMB": 2048, "MaxConcurrency": 5},
}
MODELS = {"m": {"ModelName": "m", "EnableNetworkIsolation": False}}


def config(name: str, *variants: dict) -> dict:
    return {"EndpointConfigName": name, "ProductionVariants": list(variants or [INSTANCES])}


def endpoint_in_service() -> Endpoint:
    endpoint = Endpoint("glyphs", ARN, config("one"), {}, 100.0)
    endpoint.created_in_service(101.0)
    endpoint.describe()
    return endpoint


def test_an_endpoint_is_first_seen_being_created():
    endpoint = Endpoint("glyphs", ARN, config("one"), {}, 100.0)
    endpoint.created_in_service(101.0)
    assert endpoint.describe()["EndpointStatus"] == "Creating"
    assert endpoint.describe()["EndpointStatus"] == "InService"


def test_an_update_shows_both_configurations_and_then_the_new_one():
    endpoint = endpoint_in_service()
    endpoint.update(config("two"), rollout.DEFAULT, 102.0)
    during = endpoint.describe()
    assert (during["EndpointStatus"], during["EndpointConfigName"]) == ("Updating", "one")
    assert during["PendingDeploymentSummary"]["EndpointConfigName"] == "two"
    assert response_faults(DESCRIBE, during) == []
    endpoint.updated(103.0)
    after = endpoint.describe()
    assert (after["EndpointStatus"], after["EndpointConfigName"]) == ("InService", "two")
    assert "PendingDeploymentSummary" not in after
    assert after["LastDeploymentConfig"] == rollout.DEFAULT


def test_a_rollback_ends_on_the_old_configuration_and_says_why():
    endpoint = endpoint_in_service()
    endpoint.update(config("two"), {}, 102.0)
    endpoint.roll_back("the alarm rang", 103.0)
    assert endpoint.describe()["EndpointStatus"] == "Updating"
    assert endpoint.describe()["EndpointStatus"] == "RollingBack"
    endpoint.rolled_back(104.0)
    after = endpoint.describe()
    assert (after["EndpointStatus"], after["EndpointConfigName"]) == ("InService", "one")
    assert after["FailureReason"] == "the alarm rang"
    endpoint.update(config("three"), {}, 105.0)
    endpoint.updated(106.0)
    endpoint.describe()
    assert "FailureReason" not in endpoint.describe()


def test_a_rollback_without_an_old_fleet_leaves_only_deletion():
    endpoint = endpoint_in_service()
    endpoint.update(config("two"), {}, 102.0)
    endpoint.roll_back("r", 103.0)
    endpoint.rollback_failed("r and worse", 104.0)
    endpoint.describe()
    assert endpoint.describe()["EndpointStatus"] == "UpdateRollbackFailed"
    with pytest.raises(IllegalTransition):
        endpoint.update(config("three"), {}, 105.0)
    endpoint.delete(106.0)


@pytest.mark.parametrize(("ending", "serves"), [("updated", "two"), ("rolled_back", "one")])
def test_whoever_sees_the_end_of_an_update_sees_what_serves(ending, serves, monkeypatch):
    endpoint = endpoint_in_service()
    endpoint.update(config("two"), {}, 102.0)
    if ending == "rolled_back":
        endpoint.roll_back("it failed", 103.0)
    seen = []
    enter = Endpoint._enter

    def entered(self, status, now):
        enter(self, status, now)
        seen.append((status, self.config_name, self.pending))

    monkeypatch.setattr(Endpoint, "_enter", entered)
    getattr(endpoint, ending)(104.0)
    assert seen == [("InService", serves, None)]


def test_a_failed_endpoint_can_only_be_deleted():
    endpoint = Endpoint("glyphs", ARN, config("one"), {}, 100.0)
    endpoint.failed("x" * 2000, 101.0)
    endpoint.describe()
    assert len(endpoint.describe()["FailureReason"]) == 1024
    with pytest.raises(IllegalTransition):
        endpoint.update(config("two"), {}, 102.0)


def routing(kind: str, wait: int = 60, **size: int | str) -> dict:
    member = {"CANARY": "CanarySize", "LINEAR": "LinearStepSize"}.get(kind)
    steps = {member: {"Type": "CAPACITY_PERCENT", **size}} if member and size else {}
    traffic = {"Type": kind, "WaitIntervalInSeconds": wait, **steps}
    return {"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": traffic}}


def test_without_a_policy_all_traffic_moves_at_once():
    plan = rollout.plan({}, 1)
    assert plan.steps == (Step(1.0, 0),)
    assert (plan.termination_wait_s, plan.timeout_s, plan.alarms) == (0, 600, ())


@pytest.mark.parametrize(
    ("instances", "percent", "share"), [(2, 50, 0.5), (2, 10, 0.5), (4, 25, 0.25), (3, 50, 1 / 3)]
)
def test_a_canary_is_a_whole_number_of_instances(instances, percent, share):
    plan = rollout.plan(routing("CANARY", Value=percent), instances)
    assert plan.steps == (Step(share, 60), Step(1.0, 60))


def test_a_linear_shift_takes_equal_steps():
    shares = [step.share for step in rollout.plan(routing("LINEAR", Value=25), 4).steps]
    assert shares == [0.25, 0.5, 0.75, 1.0]


@pytest.mark.parametrize(
    ("deployment", "instances", "said"),
    [
        (routing("CANARY", Value=60), 4, "at most 50%"),
        (routing("CANARY", Value=50), 1, "cannot be shifted in steps"),
        (routing("CANARY", Type="INSTANCE_COUNT", Value=2), 3, "at most 50%"),
        (routing("LINEAR", Value=5), 4, "at least 10%"),
        (routing("CANARY"), 4, "CanarySize is required"),
        (routing("CANARY", Value=50), None, "not supported for serverless"),
        (routing("ALL_AT_ONCE", wait=700), 1, "raise it above"),
    ],
)
def test_what_aws_cannot_shift_is_refused(deployment, instances, said):
    with pytest.raises(BadDeployment, match=said):
        rollout.plan(deployment, instances)


def test_a_size_of_another_kind_is_refused():
    deployment = routing("CANARY", Value=50)
    traffic = deployment["BlueGreenUpdatePolicy"]["TrafficRoutingConfiguration"]
    traffic["LinearStepSize"] = traffic["CanarySize"]
    with pytest.raises(BadDeployment, match="LinearStepSize is not allowed"):
        rollout.plan(deployment, 4)


@pytest.mark.parametrize(
    ("variants", "said"),
    [
        ([INSTANCES, INSTANCES], "unique"),
        ([SERVERLESS, {**INSTANCES, "VariantName": "B"}], "only have one"),
        ([{"VariantName": "A", "ModelName": "m"}], "InstanceType is required"),
        ([{**SERVERLESS, "InitialInstanceCount": 1}], "InitialInstanceCount is not supported"),
        (
            [{**SERVERLESS, "ServerlessConfig": {"MemorySizeInMB": 1500, "MaxConcurrency": 1}}],
            "1500",
        ),
        ([{**INSTANCES, "InitialVariantWeight": 0}], "weight above 0"),
    ],
)
def test_a_configuration_that_aws_refuses_is_refused(variants, said):
    with pytest.raises(BadConfig, match=said):
        check_config(config("c", *variants), MODELS)


def test_a_serverless_variant_cannot_be_isolated():
    isolated = {"m": {"ModelName": "m", "EnableNetworkIsolation": True}}
    check_config(config("c", INSTANCES), isolated)
    with pytest.raises(BadConfig, match="network isolation"):
        check_config(config("c", SERVERLESS), isolated)


def test_kinds_and_variants_stay_the_same_over_an_update():
    check_succession(config("one"), config("two"))
    with pytest.raises(BadConfig, match="Cannot convert the endpoint from serverless to instance"):
        check_succession(config("one", SERVERLESS), config("two"))
    with pytest.raises(BadConfig, match="same production variants"):
        check_succession(config("one"), config("two", {**INSTANCES, "VariantName": "B"}))


class Running(ModelServer):
    """A model server of which only the variant and the count of requests matter."""

    def __init__(self, tmp_path, **definition) -> None:
        variant = Variant("glyphs", {**INSTANCES, **definition}, {})
        super().__init__(variant, engine=None, session=None, folder=tmp_path)


def test_traffic_follows_the_weights(tmp_path):
    servers = [
        Running(tmp_path, VariantName="A", InitialVariantWeight=3.0),
        Running(tmp_path, VariantName="B", InitialVariantWeight=1.0),
    ]
    fleet = Fleet(servers)
    chosen = [fleet.choose("", at / 100).variant.name for at in range(100)]
    assert (chosen.count("A"), chosen.count("B")) == (75, 25)
    assert fleet.choose("B", 0.0) is servers[1]
    with pytest.raises(UnknownVariant):
        fleet.choose("C", 0.0)


def test_traffic_is_shared_shifted_back_and_ended(tmp_path):
    traffic, blue, green = Traffic(), Fleet([Running(tmp_path)]), Fleet([Running(tmp_path)])
    traffic.serve(blue)

    def answered() -> list[Fleet]:
        fleets = []
        for _ in range(400):
            with traffic.server() as server:
                fleets.append(blue if server is blue.servers[0] else green)
        return fleets

    assert set(map(id, answered())) == {id(blue)}
    traffic.shift(green, 0.25)
    assert 50 < sum(fleet is green for fleet in answered()) < 150
    traffic.shift(green, 1.0)
    assert set(map(id, answered())) == {id(green)}
    traffic.shift_back()
    assert set(map(id, answered())) == {id(blue)}
    assert traffic.end() is blue
    with pytest.raises(NotServing), traffic.server():
        pass


def test_a_serverless_variant_counts_its_requests(tmp_path):
    server = Running(tmp_path, **SERVERLESS | {"ServerlessConfig": {"MaxConcurrency": 2}})
    server.enter()
    server.enter()
    with pytest.raises(TooManyRequests):
        server.enter()
    server.leave()
    server.enter()
