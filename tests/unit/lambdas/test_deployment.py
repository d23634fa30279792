"""DeployModel's decisions."""

from dataclasses import replace

import pytest
from common.failures import ActionFailed, WrongConfiguration
from deployment_plan import BROKEN, BUSY, hosting_of, plan
from deployment_request import (
    DeploymentParams,
    Settings,
    check,
    config_request,
    deployment_config,
    model_request,
)

SETTINGS = Settings("kmm", "arn:aws:iam::0:role/sm", "arn:aws:kms:us-east-1:0:key/k")
TRAINED = {
    "serve_image": "repo@sha256:b",
    "model_data_url": "s3://models/training/job/output/model.tar.gz",
    "commit": "c0ffee",
}
DEV = DeploymentParams(execution_id="e-1", environment="dev")
SERVERLESS = replace(DEV, hosting="serverless")
PROD = replace(DEV, environment="prod", alarms=["errors", "latency"])


def next_step(status=None, *, config="old", was="instance", environment="dev", **wanted):
    endpoint = status and {
        "EndpointName": "ethnicity-pred-dev-kmm",
        "EndpointStatus": status,
        "EndpointConfigName": config,
        **wanted.pop("more", {}),
    }
    hosting = wanted.get("hosting", "instance")
    return plan(endpoint, was, config_name="new", environment=environment, hosting=hosting).name


def test_without_an_endpoint_one_is_created():
    assert next_step(None, was=None) == "create"


def test_an_endpoint_in_service_is_updated_under_its_stable_name():
    assert next_step("InService") == "update"


@pytest.mark.parametrize("status", sorted(BUSY))
def test_a_busy_endpoint_is_waited_for(status):
    assert next_step(status) == "wait"


@pytest.mark.parametrize("status", ["InService", "Creating", "Updating", "Failed"])
def test_a_redelivery_finds_its_work_done(status):
    assert next_step(status, config="new") == "done"


def test_a_redelivery_during_the_update_finds_its_work_done():
    pending = {"PendingDeploymentSummary": {"EndpointConfigName": "new"}}
    assert next_step("Updating", more=pending) == "done"


@pytest.mark.parametrize("status", sorted(BROKEN))
def test_a_broken_dev_endpoint_is_deleted_to_be_made_anew(status):
    assert next_step(status) == "delete"


def test_a_failed_prod_endpoint_never_served_and_is_deleted_to_be_made_anew():
    assert next_step("Failed", environment="prod") == "delete"


def test_a_prod_endpoint_whose_rollback_failed_is_left_to_people():
    with pytest.raises(ActionFailed, match="may still answer"):
        next_step("UpdateRollbackFailed", environment="prod")


def test_a_dev_endpoint_of_the_other_kind_is_deleted_to_be_made_anew():
    assert next_step("InService", was="instance", hosting="serverless") == "delete"
    assert next_step("InService", was="serverless", hosting="instance") == "delete"


def test_a_prod_endpoint_of_the_other_kind_is_never_deleted():
    with pytest.raises(WrongConfiguration, match="runs as serverless and cannot become instance"):
        next_step("InService", was="serverless", environment="prod")


def test_an_unknown_status_fails_the_job():
    with pytest.raises(ActionFailed, match="nobody here knows: 'Dreaming'"):
        next_step("Dreaming")


def test_an_instance_endpoint_is_isolated_and_its_volume_encrypted():
    config = config_request("new", TRAINED, DEV, SETTINGS, None)
    assert model_request("new", TRAINED, DEV, SETTINGS)["EnableNetworkIsolation"] is True
    assert config["KmsKeyId"] == SETTINGS.kms_key_arn
    variant = config["ProductionVariants"][0]
    assert (variant["VariantName"], variant["InitialInstanceCount"]) == ("AllTraffic", 1)
    assert variant["ContainerStartupHealthCheckTimeoutInSeconds"] == 300
    assert hosting_of(config) == "instance"


def test_a_serverless_endpoint_is_asked_for_nothing_that_it_cannot_do():
    config = config_request("new", TRAINED, SERVERLESS, SETTINGS, None)
    variant = config["ProductionVariants"][0]
    assert model_request("new", TRAINED, SERVERLESS, SETTINGS)["EnableNetworkIsolation"] is False
    assert variant["ServerlessConfig"] == {"MemorySizeInMB": 2048, "MaxConcurrency": 5}
    assert set(variant) == {"VariantName", "ModelName", "ServerlessConfig"}
    assert "KmsKeyId" not in config
    assert hosting_of(config) == "serverless"


def test_the_config_remembers_which_one_it_replaces():
    tags = config_request("new", TRAINED, DEV, SETTINGS, "old")["Tags"]
    assert {"Key": "previous-endpoint-config", "Value": "old"} in tags
    assert len(config_request("new", TRAINED, DEV, SETTINGS, None)["Tags"]) == 3


def test_no_picture_that_is_sent_is_kept():
    assert "DataCaptureConfig" not in config_request("new", TRAINED, DEV, SETTINGS, None)


def test_without_alarms_sagemaker_deploys_in_its_own_way():
    assert deployment_config(DEV) is None


def test_one_instance_is_replaced_all_at_once_and_baked():
    policy = deployment_config(replace(PROD, bake_s=600))["BlueGreenUpdatePolicy"]
    assert policy["TrafficRoutingConfiguration"]["Type"] == "ALL_AT_ONCE"
    assert policy["TerminationWaitInSeconds"] == 600


@pytest.mark.parametrize("count", range(2, 101))
def test_a_canary_is_at_least_one_instance_and_at_most_half_the_fleet(count):
    for percent in (1, 10, 33, 50):
        given = replace(PROD, instance_count=count, canary_percent=percent)
        routing = deployment_config(given)["BlueGreenUpdatePolicy"]["TrafficRoutingConfiguration"]
        assert routing["Type"] == "CANARY"
        assert 1 <= routing["CanarySize"]["Value"] <= count / 2


def test_a_guarded_deployment_is_rolled_back_by_its_alarms():
    alarms = deployment_config(PROD)["AutoRollbackConfiguration"]["Alarms"]
    assert alarms == [{"AlarmName": "errors"}, {"AlarmName": "latency"}]


def test_a_watch_that_outlasts_the_pipelines_patience_is_refused_with_what_to_change():
    check(replace(PROD, deadline_minutes=45, instance_count=1, canary_wait_s=1_800, bake_s=1_800))
    long = replace(PROD, deadline_minutes=45, instance_count=2, canary_wait_s=1_800, bake_s=1_800)
    with pytest.raises(WrongConfiguration, match=r"3600 seconds .* only 45 minutes") as refused:
        check(long)
    for parameter in ("CanaryWaitSeconds", "BakeSeconds", "EndpointDeadlineMinutes"):
        assert parameter in str(refused.value)


def test_the_deployment_may_take_longer_than_all_its_waits():
    slow = replace(PROD, instance_count=4, canary_wait_s=3_600, bake_s=3_600)
    policy = deployment_config(slow)["BlueGreenUpdatePolicy"]
    assert 7_200 < policy["MaximumExecutionTimeoutInSeconds"] <= 28_800


@pytest.mark.parametrize(
    ("params", "told"),
    [
        (replace(PROD, hosting="serverless"), "for dev only"),
        (replace(PROD, alarms=[]), "'alarms' must name"),
        (replace(PROD, alarms=["x"] * 11), "takes 10"),
    ],
)
def test_combinations_that_cannot_work_are_refused(params, told):
    with pytest.raises(WrongConfiguration, match=told):
        check(params)


@pytest.mark.parametrize("params", [DEV, SERVERLESS, PROD])
def test_combinations_that_work_are_let_through(params):
    check(params)
