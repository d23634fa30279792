"""The model registry: groups, numbered versions, approval."""

from __future__ import annotations

import json
import uuid

import pytest
from botocore.exceptions import ClientError

ARN = "arn:aws:sagemaker:us-east-1:000000000000"


@pytest.fixture
def group(sagemaker):
    name = f"Group-{uuid.uuid4().hex}-x"
    sagemaker.create_model_package_group(
        ModelPackageGroupName=name, ModelPackageGroupDescription="glyphs"
    )
    return name


def register(sagemaker, group: str, **more) -> str:
    return sagemaker.create_model_package(ModelPackageGroupName=group, **more)["ModelPackageArn"]


def test_versions_are_numbered_and_wait_for_approval(sagemaker, group):
    first, second = register(sagemaker, group), register(sagemaker, group)
    assert second == f"{ARN}:model-package/{group.lower()}/2"
    package = sagemaker.describe_model_package(ModelPackageName=first)
    assert package["ModelPackageGroupName"] == group
    assert package["ModelPackageVersion"] == 1
    assert package["ModelPackageStatus"] == "Completed"
    assert package["ModelApprovalStatus"] == "PendingManualApproval"
    assert package["CreatedBy"]["IamIdentity"]["Arn"].startswith("arn:aws:iam::")


def test_a_registered_model_says_what_it_was_told(sagemaker, group, image):
    specification = {
        "Containers": [{"Image": image, "ModelDataUrl": "s3://ml-data/model.tar.gz"}],
        "SupportedContentTypes": ["text/csv"],
        "SupportedResponseMIMETypes": ["application/json"],
    }
    quality = {"ContentType": "application/json", "S3Uri": "s3://ml-data/report.json"}
    arn = register(
        sagemaker,
        group,
        InferenceSpecification=specification,
        ModelMetrics={"ModelQuality": {"Statistics": quality}},
        CustomerMetadataProperties={"commit": "abc", "recall": "high"},
        ModelApprovalStatus="Approved",
    )
    package = sagemaker.describe_model_package(ModelPackageName=arn)
    assert package["InferenceSpecification"] == specification
    assert package["ModelMetrics"]["ModelQuality"]["Statistics"] == quality
    assert package["CustomerMetadataProperties"]["commit"] == "abc"


def test_approval_changes_and_is_listed(sagemaker, group):
    arn, other = register(sagemaker, group), register(sagemaker, group)
    sagemaker.update_model_package(
        ModelPackageArn=arn, ModelApprovalStatus="Approved", ApprovalDescription="looked at"
    )
    card = {"ModelCardContent": '{"intended_uses": {}}', "ModelCardStatus": "PendingReview"}
    sagemaker.update_model_package(ModelPackageArn=arn, ModelCard=card)
    package = sagemaker.describe_model_package(ModelPackageName=arn)
    assert package["ModelCard"] == card
    assert package["ModelApprovalStatus"] == "Approved"
    assert package["ApprovalDescription"] == "looked at"
    assert "LastModifiedTime" in package

    def listed(**filters) -> list[str]:
        found = sagemaker.list_model_packages(ModelPackageGroupName=group, **filters)
        return [entry["ModelPackageArn"] for entry in found["ModelPackageSummaryList"]]

    assert listed(ModelApprovalStatus="Approved") == [arn]
    assert listed() == [other, arn]


def test_a_group_is_deleted_once_it_is_empty_and_numbers_are_not_used_again(sagemaker, group):
    arn = register(sagemaker, group)
    with pytest.raises(sagemaker.exceptions.ConflictException):
        sagemaker.delete_model_package_group(ModelPackageGroupName=group)
    sagemaker.delete_model_package(ModelPackageName=arn)
    assert register(sagemaker, group).endswith("/2")
    sagemaker.delete_model_package(ModelPackageName=f"{arn[:-1]}2")
    sagemaker.delete_model_package_group(ModelPackageGroupName=group)
    with pytest.raises(ClientError, match="does not exist"):
        sagemaker.describe_model_package_group(ModelPackageGroupName=group)


def test_unknown_and_repeated_names_are_refused(sagemaker, group):
    with pytest.raises(ClientError, match="already exists"):
        sagemaker.create_model_package_group(ModelPackageGroupName=group)
    for name in (f"{ARN}:model-package/{group.lower()}/9", "nobody/1"):
        with pytest.raises(ClientError, match="does not exist"):
            sagemaker.describe_model_package(ModelPackageName=name)


def test_the_same_client_token_registers_once(sagemaker, group):
    arns = {register(sagemaker, group, ClientToken="once") for _ in range(2)}
    assert len(arns) == 1


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("{", "is not JSON"),
        ('{"model_overview": {"model_name": "x"}}', "model_overview: .*model_name.* unexpected"),
        ('{"intended_uses": {"risk_rating": "Huge"}}', "risk_rating: 'Huge' is not one of"),
        ('{"evaluation_details": [{"datasets": []}]}', "'name' is a required property"),
    ],
)
def test_a_card_that_aws_would_not_know_is_refused(sagemaker, group, content, told):
    card = {"ModelCardContent": content, "ModelCardStatus": "Draft"}
    with pytest.raises(ClientError, match=f"ModelCardContent.*{told}"):
        register(sagemaker, group, ModelCard=card)
    arn = register(sagemaker, group)
    with pytest.raises(ClientError, match=told):
        sagemaker.update_model_package(ModelPackageArn=arn, ModelCard=card)


def test_a_version_has_no_tags_of_its_own(sagemaker, group):
    with pytest.raises(ClientError, match="Tags cannot be given to a version"):
        register(sagemaker, group, Tags=[{"Key": "commit", "Value": "abc"}])


def test_a_right_may_be_bound_to_an_approval_status(aws, sagemaker, group, acting):
    bound = acting("bound")("sagemaker")
    statement = {
        "Effect": "Allow",
        "Action": ["sagemaker:CreateModelPackage", "sagemaker:UpdateModelPackage"],
        "Resource": f"{ARN}:*",
        "Condition": {"StringEquals": {"sagemaker:ModelApprovalStatus": "PendingManualApproval"}},
    }
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam = aws.client("iam")
    iam.put_role_policy(RoleName="bound", PolicyName="registry", PolicyDocument=document)
    arn = register(bound, group, ModelApprovalStatus="PendingManualApproval")
    for denied in ({"ModelApprovalStatus": "Approved"}, {}):
        with pytest.raises(ClientError, match="AccessDenied"):
            register(bound, group, **denied)
    with pytest.raises(ClientError, match="AccessDenied"):
        bound.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved")


def test_registering_needs_rights_on_the_group_and_its_packages(sagemaker, group, acting):
    packages = (["sagemaker:CreateModelPackage"], f"{ARN}:model-package/{group.lower()}/*")
    of_group = (["sagemaker:CreateModelPackage"], f"{ARN}:model-package-group/{group.lower()}")
    with pytest.raises(ClientError, match="AccessDenied"):
        register(acting("packages-only", packages)("sagemaker"), group)
    assert register(acting("both", packages, of_group)("sagemaker"), group)
