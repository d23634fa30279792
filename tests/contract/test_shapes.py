"""botocore's models are the referee: what AWS would refuse or never answer is named."""

from __future__ import annotations

import datetime
import importlib
import json
import pkgutil
from typing import Any

import local_cloud
import pytest
from botocore import xform_name
from local_cloud import service as service_module
from local_cloud.errors import ApiError
from local_cloud.service import Call, JsonService, Need
from local_cloud.shapes import request_faults, response_faults, service_model

CALLER = Call("AKIANOBODY", "000000000000", "us-east-1")


def faults(service: str, operation: str, request: dict[str, Any]) -> list[str]:
    return request_faults(service_model(service).operation_model(operation), request)


def training_job(**changed: Any) -> dict[str, Any]:
    request: dict[str, Any] = {
        "TrainingJobName": "job-1",
        "AlgorithmSpecification": {"TrainingInputMode": "File"},
        "RoleArn": "arn:aws:iam::000000000000:role/role",
        "OutputDataConfig": {"S3OutputPath": "s3://bucket/prefix"},
        "ResourceConfig": {
            "InstanceType": "ml.m5.large",
            "InstanceCount": 1,
            "VolumeSizeInGB": 30,
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
    }
    return {key: value for key, value in {**request, **changed}.items() if value is not None}


def test_a_well_formed_request_has_no_faults():
    assert faults("sagemaker", "CreateTrainingJob", training_job()) == []


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"RoleArn": None}, "RoleArn is missing"),
        ({"Colour": "red"}, "Colour is unknown"),
        ({"AlgorithmSpecification": {"TrainingInputMode": "Tape"}}, "'Tape', one of Pipe, File"),
        ({"TrainingJobName": "under_score"}, "does not match"),
        ({"TrainingJobName": "x" * 64}, "64, at most 63 is allowed"),
        ({"TrainingJobName": ""}, "0, at least 1 is needed"),
        ({"TrainingJobName": 7}, "is int, a string is needed"),
        ({"StoppingCondition": {"MaxRuntimeInSeconds": 0}}, "0, at least 1 is needed"),
        ({"StoppingCondition": {"MaxRuntimeInSeconds": True}}, "is bool, a number is needed"),
        ({"StoppingCondition": {"MaxRuntimeInSeconds": "60"}}, "is str, a number is needed"),
        ({"StoppingCondition": []}, "is list, a structure is needed"),
        ({"Tags": {"Key": "k"}}, "is dict, a list is needed"),
        ({"Tags": [{"Key": "k"}]}, "Tags[0].Value is missing"),
        ({"HyperParameters": ["epochs"]}, "is list, a map is needed"),
        ({"HyperParameters": {"epochs": 3}}, "HyperParameters.epochs is int"),
        ({"HyperParameters": {"k" * 257: "v"}}, "257, at most 256 is allowed"),
        ({"EnableNetworkIsolation": "yes"}, "is str, a boolean is needed"),
    ],
)
def test_what_aws_would_refuse_is_named(changed, named):
    found = faults("sagemaker", "CreateTrainingJob", training_job(**changed))
    assert any(named in fault for fault in found), found


def test_a_list_of_nothing_is_refused_in_a_request_and_no_fault_of_an_answer():
    nothing = {"ids": []}
    assert faults("codebuild", "BatchGetBuilds", nothing) == [
        "ids (items) is 0, at least 1 is needed"
    ]
    listing = service_model("codebuild").operation_model("ListBuildsForProject")
    assert response_faults(listing, nothing) == []


def test_every_fault_is_named_at_once():
    found = faults("sagemaker", "CreateTrainingJob", training_job(RoleArn=None, Colour="red"))
    assert len(found) == 2


def test_patterns_of_javas_kind_are_understood():
    tags = [{"Key": "grün key", "Value": "some:value/with=signs+-@ and spaces"}]
    assert faults("sagemaker", "CreateTrainingJob", training_job(Tags=tags)) == []
    [fault] = faults(
        "sagemaker", "CreateTrainingJob", training_job(Tags=[{"Key": "semi;colon", "Value": "v"}])
    )
    assert "does not match" in fault


def test_a_bound_behind_a_pattern_does_not_switch_the_pattern_off():
    properties = {"report": "s3://models/report.html", "run": "4 of 7"}
    request = {"ModelPackageGroupName": "g", "CustomerMetadataProperties": properties}
    assert faults("sagemaker", "CreateModelPackage", request) == []
    properties["run"] = "4, 7"
    [fault] = faults("sagemaker", "CreateModelPackage", request)
    assert "CustomerMetadataProperties.run is '4, 7', which does not match" in fault


def test_an_operation_without_a_model_of_its_output_has_no_faults():
    model = service_model("sagemaker").operation_model("DeleteEndpoint")
    assert response_faults(model, {}) == []


def test_times_are_epoch_seconds_or_datetimes():
    model = service_model("codecommit").operation_model("GetRepository")
    now = datetime.datetime.now(datetime.UTC)
    for moment in (now, now.timestamp(), 1):
        assert response_faults(model, {"repositoryMetadata": {"creationDate": moment}}) == []
    assert response_faults(model, {"repositoryMetadata": {"creationDate": "today"}})


def emulated_services() -> list[type[JsonService]]:
    """Import every module of the local cloud and return the JSON services that they define."""
    for module in pkgutil.walk_packages(local_cloud.__path__, "local_cloud."):
        if not module.name.endswith(("__main__", ".bootstrap")):
            importlib.import_module(module.name)
    found, leaves = list(JsonService.__subclasses__()), set()
    while found:
        kind = found.pop()
        found += kind.__subclasses__()
        if not kind.__subclasses__() and kind.__module__.startswith("local_cloud."):
            leaves.add(kind)
    return sorted(leaves, key=lambda kind: kind.name)


def operations() -> list[Any]:
    return [
        pytest.param(kind, operation, id=f"{kind.name}:{operation}")
        for kind in emulated_services()
        for operation in service_model(kind.name).operation_names
        if hasattr(kind, xform_name(operation))
    ]


class Bare(JsonService):
    """A service with one operation, to see what its base does."""

    name = "codecommit"

    def list_branches(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        return {"branches": ["main"]}

    def get_branch(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        return {"branch": {"branchName": 7}}


def answer(service: JsonService, operation: str, request: dict[str, Any]) -> tuple[int, Any]:
    headers = {"x-amz-target": f"Some_20150413.{operation}"}
    status, _, body = service._answer(headers, json.dumps(request).encode(), {})
    return status, json.loads(body)


@pytest.fixture
def no_iam(monkeypatch) -> None:
    monkeypatch.setattr(Call, "authorize", lambda *_arguments, **_context: None)


@pytest.mark.usefixtures("no_iam")
def test_a_service_answers_in_shape_and_refuses_out_of_shape():
    service = Bare()
    assert answer(service, "ListBranches", {"repositoryName": "r"}) == (
        200,
        {"branches": ["main"]},
    )
    status, body = answer(service, "ListBranches", {"repositoryName": "a space"})
    assert (status, body["__type"]) == (400, "ValidationException")
    status, body = answer(service, "ListBranches", {"repositoryName": "r", "more": 1})
    assert "more is unknown" in body["message"]


@pytest.mark.usefixtures("no_iam")
def test_an_answer_that_aws_would_not_give_is_a_500():
    request = {"repositoryName": "r", "branchName": "b"}
    status, body = answer(Bare(), "GetBranch", request)
    assert (status, body["__type"]) == (500, "InternalFailure")
    assert "GetBranch answered out of shape: branch.branchName is int" in body["message"]


def test_an_operation_without_a_method_is_a_501_and_one_that_nobody_has_a_400():
    status, body = answer(Bare(), "CreateBranch", {})
    assert status == 501
    assert "codecommit:CreateBranch is not emulated" in body["message"]
    assert answer(Bare(), "Dance", {}) == (
        400,
        {"__type": "UnknownOperationException", "message": "codecommit has no 'Dance'"},
    )


def test_a_caller_without_the_right_never_reaches_the_operation(monkeypatch):
    monkeypatch.setattr(Bare, "needs", lambda *_: [Need("codecommit:ListBranches", "arn")])

    def refuse(_call: Call, action: str, resource: str) -> None:
        raise ApiError("AccessDeniedException", f"{action} on {resource}")

    monkeypatch.setattr(Call, "authorize", refuse)
    assert answer(Bare(), "ListBranches", {"repositoryName": "r"}) == (
        400,
        {"__type": "AccessDeniedException", "message": "codecommit:ListBranches on arn"},
    )


@pytest.mark.usefixtures("no_iam")
@pytest.mark.parametrize(("kind", "operation"), operations())
def test_each_emulated_operation_is_checked_in_both_directions(monkeypatch, kind, operation):
    service = kind.__new__(kind)
    JsonService.__init__(service)
    model = service.model.operation_model(operation)
    if model.input_shape:
        with pytest.raises(ApiError) as refused:
            service.call(operation, {"noSuchMember": 1}, CALLER)
        assert "noSuchMember" in refused.value.message
    monkeypatch.setattr(service_module, "request_faults", lambda *_: [])
    monkeypatch.setattr(kind, "needs", lambda *_: [])
    monkeypatch.setattr(kind, xform_name(operation), lambda *_: {"noSuchMember": 1})
    if model.output_shape:
        with pytest.raises(AssertionError, match="noSuchMember is unknown"):
            service.call(operation, {}, CALLER)
