"""What the pure cores ask for, against botocore's own models: shapes, names, limits, statuses."""

import itertools
import re
from dataclasses import replace
from types import SimpleNamespace

import botocore.session
import cfnlint.schema.manager
import deployment_plan
import endpoint_status
import jsonschema
import pytest
import training_status
from botocore.validate import ParamValidator
from common.failures import LIMIT, ActionFailed, WrongConfiguration
from common.names import endpoint_name
from counting import Progress
from deployment_request import (
    DeploymentParams,
    Settings,
    config_request,
    deployment_config,
    model_request,
)
from ethnicity_prediction import media
from fake_aws import ARN
from full_test import make_report
from gate import Thresholds
from local_cloud.sagemaker.model_card import check_card
from local_cloud.shapes import request_faults
from model_card import model_card
from registration import CONTENT_TYPES, RESPONSE_TYPES, Pages, package_request
from registration import Settings as RegistrySettings
from release import approve
from tally import Tally
from training_request import Settings as TrainingSettings
from training_request import TrainingParams, training_request

DIGEST = "sha256:" + "a" * 64
IMAGE = {"repository": "repo", "commit": "c", "train": {"digest": DIGEST}, "serve": {}}
ROLE, KEY = "arn:aws:iam::000000000000:role/sagemaker", "arn:aws:kms:us-east-1:000000000000:key/k"
JOB = "11111111-2222-3333-4444-555555555555"
NAME = f"ethnicity-pred-kmm-{JOB}"
GROUP = f"{ARN}:model-package-group/ethnicity-pred-models-kmm"
TRAINED = {
    "serve_image": "repo@sha256:b",
    "model_data_url": "s3://models/training/job/output/model.tar.gz",
    "commit": "c",
}
DEV = DeploymentParams(execution_id="e-1", environment="dev")
PROD = replace(DEV, environment="prod", alarms=["errors"])


@pytest.fixture(scope="module")
def sagemaker():
    return botocore.session.get_session().get_service_model("sagemaker")


@pytest.fixture(scope="module")
def codepipeline():
    return botocore.session.get_session().get_service_model("codepipeline")


@pytest.fixture
def accepted(sagemaker):
    """Check a request against its operation's model, and strings against its patterns too."""

    def check(operation, request):
        shape = sagemaker.operation_model(operation).input_shape
        report = ParamValidator().validate(request, shape)
        assert not report.has_errors(), report.generate_report()
        assert not list(misfits(request, shape, operation))

    return check


def misfits(value, shape, where):
    """Yield what botocore does not check: texts against their pattern, choices and length."""
    if shape.type_name == "structure":
        for name, inner in value.items():
            yield from misfits(inner, shape.members[name], f"{where}.{name}")
    elif shape.type_name == "list":
        for inner in value:
            yield from misfits(inner, shape.member, where)
    elif shape.type_name == "string":
        metadata = shape.metadata
        pattern = re.sub(r"\\p\{\w\}", r"\\w ", metadata.get("pattern", "(?s).*"))
        if not re.fullmatch(pattern, value):
            yield f"{where} {value!r} does not match {pattern}"
        if value not in metadata.get("enum", [value]) or len(value) > metadata.get("max", 1e9):
            yield f"{where} {value!r} is no choice, or too long"


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("spot", [False, True])
@pytest.mark.parametrize("channels", [["train"], ["train", "validation"]])
def test_every_training_request_is_one_that_sagemaker_knows(accepted, count, spot, channels):
    params = TrainingParams("e-1", "data", instance_count=count, spot=spot)
    settings = TrainingSettings("kmm", ROLE, "models", KEY)
    accepted("CreateTrainingJob", training_request(IMAGE, params, settings, JOB, channels))


HOSTINGS = [
    DEV,
    replace(DEV, hosting="serverless"),
    replace(DEV, instance_type="ml.g4dn.xlarge"),
    PROD,
    replace(PROD, instance_count=5),
]


@pytest.mark.parametrize(
    ("params", "previous"), list(itertools.product(HOSTINGS, [None, "ethnicity-pred-kmm-old"]))
)
def test_every_deployment_request_is_one_that_sagemaker_knows(accepted, params, previous):
    settings = Settings("kmm", ROLE, KEY)
    config = config_request(NAME, TRAINED, params, settings, previous)
    accepted("CreateModel", model_request(NAME, TRAINED, params, settings))
    accepted("CreateEndpointConfig", config)
    target = {"EndpointName": endpoint_name(params.environment, "kmm"), "EndpointConfigName": NAME}
    accepted("CreateEndpoint", {**target, "Tags": config["Tags"]})
    guard = deployment_config(params)
    accepted("UpdateEndpoint", {**target, **({"DeploymentConfig": guard} if guard else {})})


def passed_report(rows=200, **groups):
    """The report of a test whose every third row is taken for the next label."""
    tally = Tally(labels=list("ABC"))
    for number in range(rows):
        label = "ABC"[number % 3]
        gender, age = str(number % 2), str(20 + number % 50)
        people = (gender, age) if groups.get("people", True) else (None, None)
        tally.add(label, "ABC"[(number + (number % 9 == 0)) % 3], *people)
    progress = Progress("data", "validation/", [], {}, tally=tally, model={"version": NAME})
    deployed = {**TRAINED, "environment": "dev", "endpoint_name": "e", "training_job_name": NAME}
    return make_report(progress, Thresholds(macro_recall=0.5), deployed, "e-1")


@pytest.mark.parametrize("people", [True, False])
@pytest.mark.parametrize("types", [[], ["ml.t2.medium", "ml.m5.large"]])
def test_every_registration_is_one_that_sagemaker_knows(sagemaker, people, types):
    """Also by the local cloud's stricter reading of the models, and of the card's schema."""
    deployed = {**TRAINED, "data_bucket": "data"}
    pages = Pages("s3://models/evaluations/e-1/report.json", "s3://models/evaluations/e-1/r.html")
    settings, report = RegistrySettings(GROUP), passed_report(people=people)
    request = package_request(settings, report, deployed, pages, types, JOB)
    operation = sagemaker.operation_model("CreateModelPackage")
    assert request_faults(operation, request) == []
    check_card(request)
    assert len(request["ClientToken"]) == 36


def as_in_cloudformation(value):
    """Write a card's names as AWS's resource type for cards does: ModelOverview, XAxisName."""
    if isinstance(value, list):
        return [as_in_cloudformation(item) for item in value]
    if not isinstance(value, dict):
        return value
    free = {"metadata", "custom_details"}  # their keys are ours
    return {
        name.title().replace("_", ""): inner if name in free else as_in_cloudformation(inner)
        for name, inner in value.items()
    }


def test_the_card_is_one_that_awss_schema_of_cards_knows():
    manager = cfnlint.schema.manager.PROVIDER_SCHEMA_MANAGER
    resource = manager.get_resource_schema("us-east-1", "AWS::SageMaker::ModelCard").schema
    definitions = resource["definitions"]
    schema = {"$ref": "#/definitions/Content", "definitions": definitions}
    card = model_card(passed_report(), {**TRAINED, "data_bucket": "data"}, "s3://m/r.html", GROUP)
    content = as_in_cloudformation(card)
    assert content.keys() <= definitions["Content"]["properties"].keys()
    assert [*jsonschema.Draft7Validator(schema).iter_errors(content)] == []


def test_an_approval_is_one_that_sagemaker_knows(sagemaker):
    stub = SimpleNamespace(update_model_package=lambda **request: asked.append(request))
    asked = []
    started = {"execution_id": JOB, "endpoint_name": "ethnicity-pred-prod-kmm"}
    approve(stub, f"{ARN}:model-package/ethnicity-pred-models-kmm/1", started)
    operation = sagemaker.operation_model("UpdateModelPackage")
    assert [request_faults(operation, request) for request in asked] == [[]]


def test_a_version_takes_what_the_container_takes():
    assert set(CONTENT_TYPES) == {media.CSV, media.JSON, media.JPEG, media.PNG}
    assert set(RESPONSE_TYPES) == set(media.ANSWERS)


def enum(model, shape):
    return set(model.shape_for(shape).enum)


def test_every_status_of_a_training_job_that_botocore_knows_is_decided_once(sagemaker):
    sets = [training_status.WAITING, training_status.DONE, training_status.FAILED]
    assert set.union(*sets) == enum(sagemaker, "TrainingJobStatus")
    assert sum(map(len, sets)) == len(set.union(*sets))


def test_every_status_of_an_endpoint_that_botocore_knows_is_decided_once(sagemaker):
    for module, names in (
        (endpoint_status, ("WAITING", "DONE", "FAILED")),
        (deployment_plan, ("BUSY", "BROKEN", "SERVING")),
    ):
        sets = [getattr(module, name) for name in names]
        assert set.union(*sets) == enum(sagemaker, "EndpointStatus")
        assert sum(map(len, sets)) == len(set.union(*sets))


def test_failure_types_and_lengths_are_codepipelines(codepipeline):
    types = {ActionFailed.failure_type, WrongConfiguration.failure_type, "PermissionError"}
    assert types <= enum(codepipeline, "FailureType")
    assert codepipeline.shape_for("Message").metadata["max"] == LIMIT
    assert codepipeline.shape_for("ContinuationToken").metadata["max"] == 2_048
    assert codepipeline.shape_for("ExecutionSummary").metadata["max"] == 2_048
