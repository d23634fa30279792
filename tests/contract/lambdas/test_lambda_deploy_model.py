"""DeployModel and GetStatus together: one endpoint, stable, through every deployment."""

import json

import pytest
from fake_aws import ARN

DEPLOY, STATUS = "Ethnicity-Pred-DeployModel", "Ethnicity-Pred-GetStatus"
ENDPOINT = "ethnicity-pred-dev-kmm"
NEW = "ethnicity-pred-kmm-31111111-2222-3333-4444-555555555555"
OLD = "ethnicity-pred-kmm-99999999-2222-3333-4444-555555555555"
TRAINED = {
    "kind": "trained-model",
    "training_job_name": "job",
    "model_data_url": "s3://models/training/job/output/model.tar.gz",
    "serve_image": "repo@sha256:b",
    "metrics": {},
    "commit": "c0ffee",
    "data_bucket": "data",
    "execution_id": "e-1",
}
INSTANCE = {"VariantName": "AllTraffic", "ModelName": OLD, "InstanceType": "ml.t2.medium"}
SERVERLESS = {
    "VariantName": "AllTraffic",
    "ModelName": OLD,
    "ServerlessConfig": {"MemorySizeInMB": 2048, "MaxConcurrency": 5},
}


@pytest.fixture
def deploying(event, put_input):
    """The event of DeployToDevEnv, with its input."""

    def make(**kwargs):
        asking = event("deploy-to-dev", **kwargs)
        put_input(asking, TRAINED)
        return asking

    return make


@pytest.fixture
def serving(aws):
    """An endpoint that an older run has deployed."""

    def make(status="InService", variant=INSTANCE, name=ENDPOINT, **more):
        aws.models[OLD] = {"ModelName": OLD, "PrimaryContainer": {}, "ExecutionRoleArn": "x" * 20}
        aws.configs[OLD] = {"EndpointConfigName": OLD, "ProductionVariants": [variant]}
        aws.put_endpoint(name, OLD, status, **more)

    return make


def test_the_first_deployment_creates_model_config_and_endpoint(
    invoke, deploying, ending, output, aws
):
    invoke(DEPLOY, asking := deploying())
    assert aws.operations()[-5:-2] == ["CreateModel", "CreateEndpointConfig", "CreateEndpoint"]
    assert aws.endpoints[ENDPOINT]["EndpointConfigName"] == NEW
    assert ending(asking)["outputVariables"] == {
        "EndpointName": ENDPOINT,
        "EndpointConfigName": NEW,
    }
    assert output(asking) == {
        "kind": "endpoint-deployment",
        "environment": "dev",
        "endpoint_name": ENDPOINT,
        "endpoint_config_name": NEW,
        "previous_endpoint_config_name": None,
        "model_name": NEW,
        "model_data_url": TRAINED["model_data_url"],
        "training_job_name": "job",
        "serve_image": "repo@sha256:b",
        "commit": "c0ffee",
        "data_bucket": "data",
        "execution_id": "5d1c0f6e-3a57-4b0b-9e0d-6f3b7a1c2d3e",
    }


def test_everything_made_carries_the_tags_of_the_run(invoke, deploying, aws):
    invoke(DEPLOY, deploying())
    for operation in ("CreateModel", "CreateEndpointConfig", "CreateEndpoint"):
        [request] = aws.called(operation)
        assert [tag["Key"] for tag in request["Tags"]] == [
            "pipeline-execution-id",
            "commit",
            "unique-id",
        ]


def test_a_later_deployment_updates_the_same_endpoint(invoke, deploying, serving, output, aws):
    serving()
    invoke(DEPLOY, asking := deploying())
    assert aws.called("UpdateEndpoint") == [{"EndpointName": ENDPOINT, "EndpointConfigName": NEW}]
    assert not aws.called("CreateEndpoint")
    assert output(asking)["previous_endpoint_config_name"] == OLD


def test_a_prod_deployment_is_a_canary_guarded_by_alarms(invoke, deploying, serving, aws):
    serving(name="ethnicity-pred-prod-kmm")
    params = {"environment": "prod", "instance_count": 4, "alarms": ["errors", "latency"]}
    invoke(DEPLOY, deploying(params=params))
    [request] = aws.called("UpdateEndpoint")
    guard = request["DeploymentConfig"]
    routing = guard["BlueGreenUpdatePolicy"]["TrafficRoutingConfiguration"]
    assert routing["CanarySize"] == {"Type": "INSTANCE_COUNT", "Value": 1}
    assert len(guard["AutoRollbackConfiguration"]["Alarms"]) == 2


def test_a_prod_endpoint_of_the_other_kind_is_refused(invoke, deploying, serving, ending, aws):
    serving(name="ethnicity-pred-prod-kmm", variant=SERVERLESS)
    params = {"environment": "prod", "alarms": ["errors"]}
    invoke(DEPLOY, asking := deploying(params=params))
    assert ending(asking)["type"] == "ConfigurationError"
    assert "cannot become instance" in ending(asking)["message"]
    assert not {"DeleteEndpoint", "CreateModel"} & set(aws.operations())


@pytest.mark.parametrize("before", [{"variant": SERVERLESS}, {"status": "Failed"}])
def test_a_dev_endpoint_that_cannot_be_updated_is_deleted_waited_for_and_made_anew(
    invoke, deploying, serving, ending, output, aws, before
):
    serving(**before)
    invoke(DEPLOY, first := deploying())
    assert aws.endpoints[ENDPOINT]["EndpointStatus"] == "Deleting"
    assert not aws.called("CreateModel")
    token = ending(first)["continuationToken"]
    invoke(DEPLOY, second := deploying(job_id="2", token=token))
    token = ending(second)["continuationToken"]
    assert len(aws.called("DeleteEndpoint")) == 1
    del aws.endpoints[ENDPOINT]
    invoke(DEPLOY, third := deploying(job_id="3", token=token))
    assert aws.endpoints[ENDPOINT]["EndpointConfigName"] == NEW  # named after the first job
    assert output(third)["previous_endpoint_config_name"] == OLD


@pytest.mark.parametrize("status", ["Creating", "Updating", "RollingBack", "SystemUpdating"])
def test_a_busy_endpoint_is_waited_for_and_nothing_is_made(
    invoke, deploying, serving, ending, aws, status
):
    serving(status)
    invoke(DEPLOY, asking := deploying())
    assert f"{ENDPOINT} is {status}" in ending(asking)["executionDetails"]["summary"]
    assert ending(asking)["continuationToken"]
    assert not aws.called("CreateModel")


def test_an_endpoint_that_becomes_busy_meanwhile_is_waited_for(
    invoke, deploying, serving, ending, aws
):
    serving()
    aws.fail("UpdateEndpoint", "ValidationException", "Cannot update in-progress endpoint")
    invoke(DEPLOY, asking := deploying())
    assert ending(asking)["continuationToken"]


UNSEEN = [
    ("CreateEndpointConfig", f'Could not find model "{ARN}:model/{NEW}".'),
    ("CreateEndpoint", f'Could not find endpoint configuration "{ARN}:endpoint-config/{NEW}".'),
    ("UpdateEndpoint", f'Could not find endpoint configuration "{ARN}:endpoint-config/{NEW}".'),
]


@pytest.mark.parametrize(("operation", "told"), UNSEEN)
def test_what_was_just_made_and_is_not_seen_yet_is_waited_for(
    invoke, deploying, serving, ending, aws, operation, told
):
    if operation == "UpdateEndpoint":
        serving()
    aws.fail(operation, "ValidationException", told)
    invoke(DEPLOY, first := deploying())
    assert told in ending(first)["executionDetails"]["summary"]
    token = ending(first)["continuationToken"]
    invoke(DEPLOY, second := deploying(job_id="2", token=token))
    assert "continuationToken" not in ending(second)
    endpoint = aws.endpoints[ENDPOINT]
    assert NEW in (
        endpoint["EndpointConfigName"],
        *endpoint.get("PendingDeploymentSummary", {}).values(),
    )


def test_what_is_not_seen_for_minutes_fails_in_sagemakers_words(invoke, deploying, ending, aws):
    operation, told = UNSEEN[1]
    aws.fail(operation, "ValidationException", told, times=2)
    invoke(DEPLOY, first := deploying())
    token = json.loads(ending(first)["continuationToken"])
    token["state"]["unseen_since"] = "2020-01-01T00:00:00+00:00"
    invoke(DEPLOY, second := deploying(job_id="2", token=json.dumps(token)))
    assert ending(second)["ending"] == "failure"
    assert told in ending(second)["message"]


def test_anything_else_that_is_missing_fails_at_once(invoke, deploying, ending, aws):
    aws.fail("CreateModel", "ValidationException", 'Could not find image "repo@sha256:b".')
    invoke(DEPLOY, asking := deploying())
    assert "Could not find image" in ending(asking)["message"]


@pytest.mark.parametrize("calls", range(10))
@pytest.mark.parametrize("exists", [False, True])
def test_cut_off_anywhere_a_redelivery_ends_well_and_the_same(
    invoke, deploying, serving, ending, output, aws, calls, exists
):
    if exists:
        serving()
    asking = deploying()
    cut_off = invoke(DEPLOY, asking, crash_after=calls)
    aws.endings.clear()
    invoke(DEPLOY, asking)
    assert cut_off.code in (0, 9)
    assert ending(asking)["ending"] == "success"
    assert output(asking)["endpoint_config_name"] == NEW
    assert output(asking)["previous_endpoint_config_name"] == (OLD if exists else None)
    assert len(aws.called("CreateEndpoint" if not exists else "UpdateEndpoint")) == 1
    assert set(aws.models) - {OLD} == {NEW}


def test_a_model_of_the_same_name_but_another_image_is_not_taken_for_ours(
    invoke, deploying, ending, aws
):
    container = {"Image": "another", "ModelDataUrl": TRAINED["model_data_url"]}
    aws.models[NEW] = {"ModelName": NEW, "PrimaryContainer": container}
    aws.models[NEW]["ExecutionRoleArn"] = "arn:aws:iam::000000000000:role/sagemaker"
    invoke(DEPLOY, asking := deploying())
    assert "exists already with another Image: another" in ending(asking)["message"]


# ---- GetDeployStatus


@pytest.fixture
def asked(event, put_input):
    """The event of GetDeployStatus after a deployment that replaced OLD."""

    def make(previous=OLD, **kwargs):
        asking = event("get-deploy-status", **kwargs)
        deployment = {
            **TRAINED,
            "kind": "endpoint-deployment",
            "environment": "dev",
            "endpoint_name": ENDPOINT,
            "endpoint_config_name": NEW,
            "previous_endpoint_config_name": previous,
            "model_name": NEW,
        }
        put_input(asking, deployment)
        return asking

    return make


def test_once_the_new_config_serves_the_old_one_and_its_model_are_deleted(
    invoke, asked, serving, ending, output, aws
):
    serving()
    aws.put_endpoint(ENDPOINT, NEW, "InService")
    invoke(STATUS, asking := asked())
    assert ending(asking)["ending"] == "success"
    assert output(asking)["kind"] == "deployed-endpoint"
    assert OLD not in aws.configs
    assert OLD not in aws.models


def test_while_the_update_runs_nothing_is_deleted(invoke, asked, serving, ending, aws):
    serving("Updating")
    invoke(STATUS, asking := asked())
    assert ending(asking)["continuationToken"]
    assert OLD in aws.configs


def test_a_rolled_back_deployment_fails_and_leaves_what_serves(invoke, asked, serving, ending, aws):
    serving(FailureReason="the container did not answer /ping")
    invoke(STATUS, asking := asked())
    assert ending(asking)["ending"] == "failure"
    assert "rolled back" in ending(asking)["message"]
    assert "did not answer /ping" in ending(asking)["message"]
    assert OLD in aws.configs
    assert OLD in aws.models


@pytest.mark.parametrize("previous", [None, NEW, "made-by-hand", OLD.replace("kmm", "abc")])
def test_only_configs_of_this_pipeline_are_deleted(invoke, asked, ending, aws, previous):
    aws.configs[previous] = {"EndpointConfigName": previous, "ProductionVariants": [INSTANCE]}
    aws.models[OLD] = {"ModelName": OLD}
    aws.put_endpoint(ENDPOINT, NEW, "InService")
    invoke(STATUS, asking := asked(previous))
    assert ending(asking)["ending"] == "success"
    assert not {"DeleteEndpointConfig", "DeleteModel"} & set(aws.operations())


def test_a_model_made_by_hand_outlives_the_config_that_used_it(invoke, asked, serving, ending, aws):
    serving(variant=INSTANCE | {"ModelName": "made-by-hand"})
    aws.models["made-by-hand"] = {"ModelName": "made-by-hand"}
    aws.put_endpoint(ENDPOINT, NEW, "InService")
    invoke(STATUS, asked())
    assert OLD not in aws.configs
    assert "made-by-hand" in aws.models


def test_cleaning_up_twice_does_no_harm(invoke, asked, serving, ending, aws):
    serving()
    aws.put_endpoint(ENDPOINT, NEW, "InService")
    invoke(STATUS, asking := asked())
    aws.endings.clear()
    invoke(STATUS, asking)
    assert ending(asking)["ending"] == "success"


@pytest.mark.parametrize("operation", ["DeleteModel", "DeleteEndpointConfig"])
def test_a_deployment_does_not_fail_because_cleaning_up_does(
    invoke, asked, serving, ending, aws, operation
):
    serving()
    aws.put_endpoint(ENDPOINT, NEW, "InService")
    aws.fail(operation, "AccessDeniedException", "not authorized")
    run = invoke(STATUS, asking := asked())
    assert ending(asking)["ending"] == "success"
    assert [line["level"] for line in run.lines] == ["ERROR", "INFO"]


def test_an_endpoint_that_somebody_deleted_fails_the_job(invoke, asked, ending):
    invoke(STATUS, asking := asked())
    assert "Could not find endpoint" in ending(asking)["message"]


def test_the_state_of_a_wait_is_small(invoke, deploying, serving, ending):
    serving("Failed")
    invoke(DEPLOY, asking := deploying())
    assert len(json.dumps(ending(asking)["continuationToken"])) < 500
