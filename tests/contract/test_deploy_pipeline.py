"""`deploy-pipeline` before it asks CloudFormation: what it refuses, and what it adds."""

import boto3
import deploy_pipeline
import pytest
from botocore.stub import Stubber
from moto import mock_aws
from stacks import AWS_ERRORS, StackError, Stacks

ROOT = deploy_pipeline.ROOT
PREP, PIPELINE = "prep", "pipeline"
ELSES = "arn:aws:iam::123456789012:role/of-somebody-else"
OWN = f"arn:aws:iam::123456789012:role/{PIPELINE}-ApiGatewayLogRole-1A2B3C"


@pytest.fixture
def account(monkeypatch):
    """An account whose stack 1 says that its bucket is `code`; no bucket is there, no log role."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    there = {PREP: {"Outputs": [{"OutputKey": "LambdaFunctionsBucket", "OutputValue": "code"}]}}
    monkeypatch.setattr(Stacks, "describe", lambda self, name: there.get(name))
    with mock_aws():
        yield there


@pytest.fixture
def deployed(account, monkeypatch):
    """The parameters of each deployment of stack 2, in an account that has the bucket."""
    boto3.client("s3").create_bucket(Bucket="code")
    asked = []
    monkeypatch.setattr(Stacks, "deploy", lambda self, n, t, given, b: asked.append(given) or {})
    return asked


@pytest.fixture
def log_role(monkeypatch):
    """Set the role that API Gateway says it writes its logs as; none leaves it out."""

    def set_role(role):
        stub = Stubber(boto3.client("apigateway"))
        stub.add_response("get_account", {"cloudwatchRoleArn": role} if role else {}, {})
        stub.activate()
        clients = {"apigateway": stub.client}
        make = boto3.client
        monkeypatch.setattr(boto3, "client", lambda name: clients.get(name) or make(name))

    return set_role


def run(monkeypatch, *words):
    monkeypatch.setattr("sys.argv", ["deploy_pipeline.py", PREP, PIPELINE, *words])
    return deploy_pipeline.main()


def test_a_bucket_that_is_gone_is_told_in_a_line(account, log_role, monkeypatch, capsys):
    log_role("")
    assert run(monkeypatch, "UniqueID=kmm") == 1
    assert "NoSuchBucket" in (told := capsys.readouterr().err)
    assert told.count("\n") == 1


def test_a_region_that_nobody_named_is_told_in_a_line(account, monkeypatch, capsys):
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    assert run(monkeypatch, "UniqueID=kmm") == 1
    assert capsys.readouterr().err == "You must specify a region.\n"


def test_a_stack_that_is_not_stack_1_is_named(account):
    account["other"] = {}
    with pytest.raises(StackError, match="other has no output LambdaFunctionsBucket"):
        deploy_pipeline.deploy("other", PIPELINE, {})


def test_a_stack_whose_creation_failed_is_to_be_deleted_alone(account):
    account[PIPELINE] = {"StackStatus": "ROLLBACK_COMPLETE"}
    with pytest.raises(StackError, match=f"delete-stack --stack-name {PIPELINE}\\)") as refused:
        Stacks(None, None).deploy(PIPELINE, ROOT / "02-build-pipeline.yml", {})
    assert "clean-up" not in str(refused.value)


def test_hyperparameters_with_a_typo_are_shown_before_anything_is_done():
    with pytest.raises(StackError, match=r"not JSON: .*, at '\{\"epochs\": 3,\}'"):
        deploy_pipeline.deploy(PREP, PIPELINE, {"HyperParameters": '{"epochs": 3,}'})


def test_a_log_role_of_somebody_elses_is_left_alone_and_said(deployed, log_role, capsys):
    log_role(ELSES)
    deploy_pipeline.deploy(PREP, PIPELINE, {})
    assert deployed[0]["ManageApiGatewayLogRole"] == "false"
    assert ELSES in (told := capsys.readouterr().out)
    assert told.count("\n") == 1


@pytest.mark.parametrize("role", ["", OWN])
def test_no_log_role_or_an_earlier_stacks_own_is_the_stacks_to_set(deployed, log_role, role):
    log_role(role)
    deploy_pipeline.deploy(PREP, PIPELINE, {})
    assert "ManageApiGatewayLogRole" not in deployed[0]


def test_what_the_caller_says_of_the_log_role_holds(deployed, log_role):
    log_role(ELSES)
    deploy_pipeline.deploy(PREP, PIPELINE, {"ManageApiGatewayLogRole": "true"})
    assert deployed[0]["ManageApiGatewayLogRole"] == "true"


def test_an_update_keeps_what_the_stack_has(account, deployed, log_role):
    log_role(ELSES)
    account[PIPELINE] = {}
    deploy_pipeline.deploy(PREP, PIPELINE, {})
    assert "ManageApiGatewayLogRole" not in deployed[0]


def test_the_demo_tells_every_way_in_which_a_call_to_aws_fails():
    from demo.__main__ import FAILURES

    assert {StackError, *AWS_ERRORS} <= set(FAILURES)
