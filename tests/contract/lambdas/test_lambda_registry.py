"""The model registry: a version for each model that passes, approved once it is released."""

import json
import re

import pytest
from fake_aws import ARN
from glyph_model import DEPLOYED, GOOD, ROWS, csv_of
from test_lambda_deploy_model import ENDPOINT, NEW, TRAINED
from test_lambda_full_test import EVALUATE, FOLDER

STATUS = "Ethnicity-Pred-GetStatus"
GROUP = "ethnicity-pred-models-kmm"
PACKAGE = f"{ARN}:model-package/{GROUP}/1"
PROD = ENDPOINT.replace("dev", "prod")


@pytest.fixture
def registered(aws):
    return lambda: aws.packages.get(GROUP, [])


def test_a_model_that_passes_becomes_a_version_that_waits_for_approval(
    invoke, full_testing, ending, output, registered
):
    invoke(EVALUATE, asking := full_testing(instance_types=["ml.t2.medium"] * 2), time_left_s=600)
    [version] = registered()
    assert version["ModelApprovalStatus"] == "PendingManualApproval"
    assert version["InferenceSpecification"]["Containers"] == [
        {"Image": DEPLOYED["serve_image"], "ModelDataUrl": DEPLOYED["model_data_url"]}
    ]
    assert version["InferenceSpecification"]["SupportedRealtimeInferenceInstanceTypes"] == [
        "ml.t2.medium"
    ]
    report = {"ContentType": "application/json", "S3Uri": f"s3://models/{FOLDER}report.json"}
    assert version["ModelMetrics"] == {
        "ModelQuality": {"Statistics": report},
        "Bias": {"PostTrainingReport": report},
    }
    told = ending(asking)
    assert told["outputVariables"]["ModelPackageArn"] == PACKAGE
    assert "version 1 in the registry" in told["executionDetails"]["summary"]
    assert output(asking)["model_package_arn"] == PACKAGE


def test_a_version_can_be_traced_to_its_run_and_has_a_card(invoke, full_testing, registered):
    invoke(EVALUATE, full_testing(), time_left_s=600)
    [version] = registered()
    assert version["CustomerMetadataProperties"] == {
        "commit": "c0ffee",
        "pipeline-execution-id": FOLDER.split("/")[1],
        "training-job": "job",
        "report": f"s3://models/{FOLDER}report.html",
    }
    assert version["ModelCard"]["ModelCardStatus"] == "PendingReview"
    card = json.loads(version["ModelCard"]["ModelCardContent"])
    assert card["model_overview"]["model_artifact"] == [DEPLOYED["model_data_url"]]
    job = card["training_details"]["training_job_details"]
    assert job["training_arn"] == f"{ARN}:training-job/job"
    [test] = card["evaluation_details"]
    rows = {m["name"]: m["value"] for m in test["metric_groups"][0]["metric_data"]}["rows"]
    assert (rows, test["datasets"]) == (ROWS, ["s3://data/validation/"])


def test_without_groups_in_the_data_nothing_is_said_of_bias(invoke, full_testing, registered, aws):
    cells = [(label, shade, rows, "", "") for label, shade, rows, *_ in GOOD]
    aws.objects["data", "validation/validation.csv"] = csv_of(*cells)
    invoke(EVALUATE, full_testing(), time_left_s=600)
    [version] = registered()
    assert version["ModelMetrics"].keys() == {"ModelQuality"}


def test_a_model_that_the_gate_stops_is_not_registered(invoke, full_testing, ending, aws):
    limits = {"macro_recall": 0.99}
    invoke(EVALUATE, asking := full_testing(thresholds=limits), time_left_s=600)
    assert ending(asking)["ending"] == "failure"
    assert not {"CreateModelPackageGroup", "CreateModelPackage"} & set(aws.operations())


def test_later_models_become_further_versions_of_the_group(
    invoke, full_testing, ending, registered
):
    for number in (1, 2):
        invoke(EVALUATE, asking := full_testing(job_id=f"job-{number}"), time_left_s=600)
        assert ending(asking)["outputVariables"]["ModelPackageArn"].endswith(f"{GROUP}/{number}")
    assert len(registered()) == 2


@pytest.mark.parametrize("calls", range(10, 16))
def test_cut_off_anywhere_a_redelivery_registers_one_version(
    invoke, full_testing, ending, registered, aws, calls
):
    cut_off = invoke(EVALUATE, asking := full_testing(), time_left_s=600, crash_after=calls)
    aws.endings.clear()
    invoke(EVALUATE, asking, time_left_s=600)
    assert cut_off.code == 9
    assert ending(asking)["outputVariables"]["ModelPackageArn"] == PACKAGE
    assert len(registered()) == 1


def test_a_job_that_is_delivered_twice_makes_one_version(invoke, full_testing, registered):
    asking = full_testing()
    invoke(EVALUATE, asking, time_left_s=600)
    invoke(EVALUATE, asking, time_left_s=600)
    assert len(registered()) == 1


def test_a_registry_that_refuses_fails_the_action_in_awss_words(invoke, full_testing, ending, aws):
    aws.fail("CreateModelPackage", "AccessDeniedException", "not authorized to perform")
    invoke(EVALUATE, asking := full_testing(), time_left_s=600)
    assert ending(asking)["type"] == "PermissionError"
    assert "CreateModelPackage operation: not authorized" in ending(asking)["message"]


def test_without_its_setting_a_full_test_asks_nothing(invoke, full_testing, ending, aws):
    invoke(EVALUATE, asking := full_testing(), MODEL_PACKAGE_GROUP=None)
    assert ending(asking)["type"] == "ConfigurationError"
    assert "lacks MODEL_PACKAGE_GROUP" in ending(asking)["message"]
    assert not aws.called("InvokeEndpoint")


def test_the_template_takes_only_variables_that_the_test_gives(
    invoke, full_testing, ending, pipeline
):
    invoke(EVALUATE, asking := full_testing(), time_left_s=600)
    taken = set(re.findall(r"#\{FullTest\.(\w+)\}", json.dumps(pipeline["Resources"])))
    assert "ModelPackageArn" in taken
    assert taken <= ending(asking)["outputVariables"].keys()


# ---- GetDeployStatus


@pytest.fixture
def releasing(event, put_input, aws):
    """The event of GetDeployStatus of a deployment, and a version that waits for approval."""
    aws.packages[GROUP] = [{"ClientToken": "t", "ModelApprovalStatus": "PendingManualApproval"}]

    def make(serving=NEW, status="InService", **params):
        aws.put_endpoint(PROD, serving, status)
        asking = event("get-deploy-status", params=params)
        deployment = {
            **TRAINED,
            "kind": "endpoint-deployment",
            "environment": "prod",
            "endpoint_name": PROD,
            "endpoint_config_name": NEW,
            "previous_endpoint_config_name": None,
            "model_name": NEW,
        }
        put_input(asking, deployment)
        return asking

    return make


def test_once_the_model_is_in_service_its_version_is_approved(
    invoke, releasing, ending, registered
):
    invoke(STATUS, asking := releasing(model_package_arn=PACKAGE))
    assert ending(asking)["ending"] == "success"
    [version] = registered()
    assert version["ModelApprovalStatus"] == "Approved"
    assert version["ApprovalDescription"] == (
        f"approved in pipeline execution e-1, in service on endpoint {PROD}"
    )


@pytest.mark.parametrize(
    "before", [{"status": "Updating"}, {"serving": "old"}, {"status": "Failed"}]
)
def test_until_then_and_after_a_rollback_it_stays_unapproved(invoke, releasing, aws, before):
    invoke(STATUS, releasing(model_package_arn=PACKAGE, **before))
    assert not aws.called("UpdateModelPackage")


def test_a_deployment_that_releases_nothing_approves_nothing(invoke, releasing, ending, aws):
    invoke(STATUS, asking := releasing())
    assert ending(asking)["ending"] == "success"
    assert not aws.called("UpdateModelPackage")


def test_a_release_that_the_registry_does_not_know_fails(invoke, releasing, ending):
    invoke(STATUS, asking := releasing(model_package_arn=f"{PACKAGE}7"))
    assert "UpdateModelPackage operation: ModelPackage" in ending(asking)["message"]
