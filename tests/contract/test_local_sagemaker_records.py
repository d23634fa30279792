"""The local SageMaker's lists, notebooks, rights, and the members that it says it honours."""

from __future__ import annotations

import base64

import pytest
from botocore import xform_name
from local_cloud.errors import ApiError
from local_cloud.sagemaker import SageMaker, listing
from local_cloud.sagemaker.arns import Place, name_of
from local_cloud.sagemaker.honoured import HONOURED, refuse_the_rest
from local_cloud.sagemaker.notebook import BadScript, Notebook, WrongStatus, check_scripts
from local_cloud.sagemaker.permissions import needs
from local_cloud.shapes import service_model

PLACE = Place("000000000000", "us-east-1")
ARN = "arn:aws:sagemaker:us-east-1:000000000000"
ROLE = "arn:aws:iam::000000000000:role/r"


def members_of(honoured, shape, path):
    while shape.type_name == "list":
        shape = shape.member
    for name, below in honoured.items():
        assert name in shape.members, f"{path} has no {name}"
        if below is not None:
            members_of(below, shape.members[name], f"{path}.{name}")


@pytest.mark.parametrize("operation", HONOURED)
def test_what_is_said_to_be_honoured_exists(operation):
    members_of(
        HONOURED[operation],
        service_model("sagemaker").operation_model(operation).input_shape,
        operation,
    )


def test_every_operation_with_choices_has_a_list_of_what_is_honoured():
    model = service_model("sagemaker")
    for operation in model.operation_names:
        if not callable(getattr(SageMaker, xform_name(operation), None)):
            continue
        changes = operation.startswith(("Create", "List", "Update"))
        single = len(model.operation_model(operation).input_shape.members) <= 3
        assert operation in HONOURED or not changes or single, operation


def test_what_is_not_honoured_is_refused_and_what_asks_for_nothing_is_not():
    request = {"EndpointName": "e", "EndpointConfigName": "c"}
    refuse_the_rest("UpdateEndpoint", {**request, "RetainAllVariantProperties": False})
    with pytest.raises(ApiError, match="RetainAllVariantProperties") as raised:
        refuse_the_rest("UpdateEndpoint", {**request, "RetainAllVariantProperties": True})
    assert raised.value.status == 501
    rolling = {"RollingUpdatePolicy": {"WaitIntervalInSeconds": 0}}
    with pytest.raises(ApiError, match="RollingUpdatePolicy"):
        refuse_the_rest("UpdateEndpoint", {**request, "DeploymentConfig": rolling})


def asked(operation: str, **request) -> list[tuple[str, str]]:
    return [(need.action, need.resource) for need in needs(operation, request, PLACE)]


def test_rights_are_asked_on_lower_case_arns():
    assert asked("DescribeNotebookInstance", NotebookInstanceName="Lab-A1b") == [
        ("sagemaker:DescribeNotebookInstance", f"{ARN}:notebook-instance/lab-a1b")
    ]


def test_a_create_with_tags_and_a_role_asks_three_times():
    tags = [{"Key": "commit", "Value": "abc"}]
    assert asked("CreateModel", ModelName="m", ExecutionRoleArn=ROLE, Tags=tags) == [
        ("sagemaker:CreateModel", f"{ARN}:model/m"),
        ("sagemaker:AddTags", f"{ARN}:model/m"),
        ("iam:PassRole", ROLE),
    ]
    *_, passed = needs("CreateModel", {"ModelName": "m", "ExecutionRoleArn": ROLE}, PLACE)
    assert passed.context == {"iam:PassedToService": "sagemaker.amazonaws.com"}
    first, *_ = needs("CreateModel", {"ModelName": "m", "Tags": tags}, PLACE)
    assert first.context == {"aws:TagKeys": ["commit"], "aws:RequestTag/commit": "abc"}


def test_an_endpoint_call_asks_for_its_configuration_too():
    assert asked(
        "CreateEndpoint",
        EndpointName="e",
        EndpointConfigName="c",
        Tags=[{"Key": "k", "Value": "v"}],
    ) == [
        ("sagemaker:CreateEndpoint", f"{ARN}:endpoint/e"),
        ("sagemaker:CreateEndpoint", f"{ARN}:endpoint-config/c"),
        ("sagemaker:AddTags", f"{ARN}:endpoint/e"),
    ]


def test_lists_are_on_everything_and_arns_on_themselves():
    assert asked("ListEndpoints") == [("sagemaker:ListEndpoints", "*")]
    model = f"{ARN}:model/m"
    assert asked("ListTags", ResourceArn=model) == [("sagemaker:ListTags", model)]
    assert name_of(f"{ARN}:model-package/group/3") == "group/3"


def test_lists_are_filtered_ordered_and_paged():
    entries = [{"N": f"job-{number}", "CreationTime": float(number)} for number in range(5)]

    def page(**request):
        return listing.page(request, entries, answer="Jobs", name="N")

    assert [entry["N"] for entry in page()["Jobs"]] == [f"job-{n}" for n in (4, 3, 2, 1, 0)]
    first = page(MaxResults=2, SortBy="Name", SortOrder="Ascending")
    rest = page(MaxResults=9, SortBy="Name", SortOrder="Ascending", NextToken=first["NextToken"])
    assert [entry["N"] for entry in first["Jobs"] + rest["Jobs"]] == [f"job-{n}" for n in range(5)]
    assert "NextToken" not in rest
    assert [entry["N"] for entry in page(NameContains="JOB-3")["Jobs"]] == ["job-3"]
    assert [entry["N"] for entry in page(CreationTimeAfter=2.5)["Jobs"]] == ["job-4", "job-3"]
    with pytest.raises(ApiError, match="NextToken"):
        page(NextToken="rubbish")


def notebook() -> Notebook:
    request = {"NotebookInstanceName": "Lab", "InstanceType": "ml.t3.medium", "RoleArn": ROLE}
    return Notebook(request, f"{ARN}:notebook-instance/lab", "us-east-1", 100.0)


def test_a_notebook_moves_by_the_clock():
    lab = notebook()
    assert (lab.status(101.9), lab.status(102.0)) == ("Pending", "InService")
    lab.stop(110.0)
    assert (lab.status(111.0), lab.status(113.0)) == ("Stopping", "Stopped")
    lab.start(120.0)
    assert (lab.status(120.0), lab.status(123.0)) == ("Pending", "InService")


@pytest.mark.parametrize("verb", ["start", "stop", "check_deletable"])
def test_a_pending_notebook_can_do_nothing(verb):
    with pytest.raises(WrongStatus, match=r"Status \(Pending\) not in"):
        getattr(notebook(), verb)(100.5)


def test_a_script_is_base64_and_not_too_long():
    def scripts(text: bytes):
        return {"OnStart": [{"Content": base64.b64encode(text).decode()}]}

    check_scripts(scripts(b"x" * 16_384))
    with pytest.raises(BadScript, match="16385 characters"):
        check_scripts(scripts(b"x" * 16_385))
    with pytest.raises(BadScript, match="not a base64"):
        check_scripts({"OnCreate": [{"Content": "echo plain text"}]})
