"""The pipeline: stages, artifacts, variables, and what starts it."""

import json
import re
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

# Stage, action, provider, what it takes, what it gives (DESIGN §4).
SHAPE = [
    ("Source", "SourceAction", "CodeCommit", [], ["SourceArtifact"]),
    ("Build", "BuildImage", "CodeBuild", ["SourceArtifact"], ["ImageBuild"]),
    ("TrainModel", "StartTraining", "Lambda", ["ImageBuild"], ["jobEventInfo"]),
    ("TrainModel", "GetTrainingStatus", "Lambda", ["jobEventInfo"], ["CompletedTraining"]),
    ("DeployModel-Dev", "DeployToDevEnv", "Lambda", ["CompletedTraining"], ["HostingInfoDev"]),
    ("DeployModel-Dev", "GetDeployStatus", "Lambda", ["HostingInfoDev"], ["DeployedDev"]),
    ("DeployModel-Dev", "SmokeTest", "Lambda", ["DeployedDev"], ["SmokeTestDev"]),
    ("EvaluateModel", "FullTest", "Lambda", ["DeployedDev"], ["EvaluationReport"]),
    ("Approve", "ApproveRelease", "Manual", [], []),
    ("DeployModel-Prod", "DeployToProdEnv", "Lambda", ["CompletedTraining"], ["HostingInfoProd"]),
    ("DeployModel-Prod", "GetDeployStatus", "Lambda", ["HostingInfoProd"], ["DeployedProd"]),
    ("DeployModel-Prod", "SmokeTest", "Lambda", ["DeployedProd"], ["SmokeTestProd"]),
]
BUILD_ENVIRONMENT = {"ECR_REPOSITORY_URI", "BASE_IMAGE", "TORCH_INDEX_URL", "SBOM_URI"}
MODEL_CODE = Path(__file__).resolve().parents[2] / "model-code"


@pytest.fixture
def properties(pipeline):
    return pipeline["Resources"]["Pipeline"]["Properties"]


@pytest.fixture
def actions(properties):
    """(stage name, action) in the order in which they run."""
    return [
        (stage["Name"], action)
        for stage in properties["Stages"]
        for action in sorted(stage["Actions"], key=lambda a: a.get("RunOrder", 1))
    ]


def names(artifacts):
    return [artifact["Name"] for artifact in artifacts or []]


def test_stages_and_actions_are_those_of_the_design(actions):
    assert [
        (
            stage,
            action["Name"],
            action["ActionTypeId"]["Provider"],
            names(action.get("InputArtifacts")),
            names(action.get("OutputArtifacts")),
        )
        for stage, action in actions
    ] == SHAPE


def test_actions_of_a_stage_run_one_after_the_other(properties):
    for stage in properties["Stages"]:
        orders = [action.get("RunOrder", 1) for action in stage["Actions"]]
        assert orders == list(range(1, len(orders) + 1)), stage["Name"]


def test_every_artifact_is_made_once_and_before_it_is_taken(actions):
    made = []
    for _, action in actions:
        assert set(names(action.get("InputArtifacts"))) <= set(made), action["Name"]
        made += names(action.get("OutputArtifacts"))
    assert len(set(made)) == len(made)
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,100}", name) for name in made)


def test_every_variable_comes_from_an_earlier_action(actions):
    known = {"codepipeline"}
    for _, action in actions:
        text = json.dumps(action["Configuration"])
        assert set(re.findall(r"#\{(\w+)\.", text)) <= known, action["Name"]
        known.add(action.get("Namespace"))


def test_each_action_calls_the_function_that_does_it(actions):
    called = {
        (stage, action["Name"]): action["Configuration"]["FunctionName"]["Ref"]
        for stage, action in actions
        if action["ActionTypeId"]["Provider"] == "Lambda"
    }
    kinds = [("Deploy", "DeployModel"), ("Get", "GetStatus"), ("Start", "TrainModel")]
    for (_, action), function in called.items():
        kind = next((k for prefix, k in kinds if action.startswith(prefix)), "EvaluateModel")
        assert function == f"{kind}Function", action


def test_it_is_a_v2_pipeline_whose_newest_execution_wins(properties):
    assert (properties["PipelineType"], properties["ExecutionMode"]) == ("V2", "SUPERSEDED")


def test_artifacts_are_encrypted_with_the_data_key(properties):
    assert properties["ArtifactStore"]["EncryptionKey"] == {
        "Type": "KMS",
        "Id": {"Fn::GetAtt": ["DataKey", "Arn"]},
    }


def test_the_source_is_stack_1s_repository_and_is_not_polled(actions, stack):
    source = stack(actions[0][1]["Configuration"])
    assert source == {
        "RepositoryName": "ethnicity-pred-repo",
        "BranchName": "master",
        "PollForSourceChanges": "false",
    }


def test_nobody_releases_without_the_gate_and_a_person(actions):
    order = [stage for stage, _ in actions]
    assert order.index("EvaluateModel") < order.index("Approve") < order.index("DeployModel-Prod")


def test_what_is_released_is_the_version_that_passed_and_dev_approves_nothing(actions, stack):
    given = {
        stage: json.loads(stack(action["Configuration"]["UserParameters"]))
        for stage, action in actions
        if action["Name"] == "GetDeployStatus"
    }
    assert given["DeployModel-Prod"]["model_package_arn"] == "#{FullTest.ModelPackageArn}"
    assert "model_package_arn" not in given["DeployModel-Dev"]


def test_the_approval_does_not_claim_that_dev_answers_with_this_model_still(actions, stack):
    [approval] = [action for stage, action in actions if stage == "Approve"]
    asked = stack(approval["Configuration"]["CustomData"])
    assert "where a newer run may have replaced it" in asked
    assert len(asked) < 800  # of CodePipeline's 1,000, for what the variables come to


def test_the_build_gets_what_the_buildspec_reads(pipeline):
    project = pipeline["Resources"]["BuildProject"]["Properties"]
    given = {v["Name"] for v in project["Environment"]["EnvironmentVariables"]}
    assert given == BUILD_ENVIRONMENT
    script = (MODEL_CODE / "build_image.sh").read_text()
    read = {n for n in re.findall(r"\$\{?([A-Z][A-Z_]+)", script) if not n.startswith("CODEBUILD_")}
    assert read == given
    assert project["Source"] == {"Type": "CODEPIPELINE", "BuildSpec": "model-code/buildspec.yml"}
    assert project["Environment"]["PrivilegedMode"] is True
    assert project["TimeoutInMinutes"] >= 60


@pytest.mark.parametrize(
    ("rule", "event", "starts"),
    [
        ("CodePushedRule", ("referenceUpdated", "branch", "master"), True),
        ("CodePushedRule", ("referenceCreated", "branch", "master"), True),
        ("CodePushedRule", ("referenceUpdated", "branch", "other"), False),
        ("CodePushedRule", ("referenceCreated", "tag", "master"), False),
        ("CodePushedRule", ("referenceDeleted", "branch", "master"), False),
        ("TrainingDataArrivedRule", "train/train.csv", True),
        ("TrainingDataArrivedRule", "train/faces/labels.csv", True),
        ("TrainingDataArrivedRule", "train/faces/0001.jpg", False),
        ("TrainingDataArrivedRule", "train/labels.json", False),
        ("TrainingDataArrivedRule", "validation/validation.csv", False),
        ("TrainingDataArrivedRule", "images/train/x.csv", False),
    ],
)
def test_what_starts_the_pipeline_and_what_does_not(pipeline, stack, rule, event, starts):
    pattern = stack(pipeline["Resources"][rule]["Properties"]["EventPattern"])
    made = _push(*event) if rule == "CodePushedRule" else _upload(event)
    assert matches(pattern, made) == starts


def _push(event, kind, name):
    return {
        "source": "aws.codecommit",
        "detail-type": "CodeCommit Repository State Change",
        "resources": ["arn:aws:codecommit:us-east-1:123456789012:ethnicity-pred-repo"],
        "detail": {"event": event, "referenceType": kind, "referenceName": name},
    }


def _upload(key):
    bucket = {"name": "ethnicity-pred-data-kmm-0a1b2c3d"}
    return {
        "source": "aws.s3",
        "detail-type": "Object Created",
        "detail": {"bucket": bucket, "object": {"key": key}},
    }


def matches(pattern, event):
    """Tell whether EventBridge would match, for the operators that the templates use."""
    if isinstance(pattern, dict):
        return all(key in event and matches(part, event[key]) for key, part in pattern.items())
    values = event if isinstance(event, list) else [event]
    return any(_matches_value(p, value) for p in pattern for value in values)


def _matches_value(pattern, value):
    if isinstance(pattern, dict):
        assert pattern.keys() == {"wildcard"}
        return fnmatchcase(value, pattern["wildcard"])
    return pattern == value


def test_the_rules_start_this_pipeline_as_a_role_that_can_do_nothing_else(pipeline, stack):
    resources, arn = pipeline["Resources"], "arn:aws:codepipeline:us-east-1:123456789012"
    for rule in ("CodePushedRule", "TrainingDataArrivedRule"):
        [target] = resources[rule]["Properties"]["Targets"]
        assert stack(target["Arn"]) == f"{arn}:ethnicity-pred-pipeline-kmm"
        assert target["RoleArn"] == {"Fn::GetAtt": ["StartPipelineRole", "Arn"]}
    [policy] = resources["StartPipelineRole"]["Properties"]["Policies"]
    [statement] = policy["PolicyDocument"]["Statement"]
    assert statement["Action"] == "codepipeline:StartPipelineExecution"
    assert stack(statement["Resource"]) == f"{arn}:ethnicity-pred-pipeline-kmm"


def test_the_data_bucket_tells_eventbridge(pipeline):
    bucket = pipeline["Resources"]["DataBucket"]["Properties"]
    assert bucket["NotificationConfiguration"] == {
        "EventBridgeConfiguration": {"EventBridgeEnabled": True}
    }


def test_releases_are_watched_by_alarms_on_the_variant_that_the_code_deploys(pipeline, stack):
    from common.names import VARIANT, endpoint_name

    for alarm in ("ProdErrorsAlarm", "ProdLatencyAlarm"):
        properties = stack(pipeline["Resources"][alarm]["Properties"])
        assert {d["Name"]: d["Value"] for d in properties["Dimensions"]} == {
            "EndpointName": endpoint_name("prod", "kmm"),
            "VariantName": VARIANT,
        }
        assert properties["TreatMissingData"] == "notBreaching"
        assert properties["AlarmActions"]


def test_mail_is_sent_only_to_who_asked_for_it(pipeline, stack_of):
    subscription = pipeline["Resources"]["NotificationSubscription"]
    assert not stack_of(pipeline).holds(subscription["Condition"])
    told = stack_of(pipeline, NotificationEmail="a@b.org")
    assert told.holds(subscription["Condition"])
    assert told(subscription["Properties"]["Endpoint"]) == "a@b.org"
