"""The seed's public names, which people hold in their hands (DESIGN §3), and names that collide."""

import json
import re

import pytest

PREP_NAMES = [
    ("Repository", "RepositoryName", "ethnicity-pred-repo"),
    ("LambdaCodeBucket", "BucketName", "ethnicity-pred-lambda-code-kmm-0a1b2c3d"),
    ("NotebookInstance", "NotebookInstanceName", "Ethnicity-Prediction-Notebook-kmm"),
]
PIPELINE_NAMES = [
    ("DataBucket", "BucketName", "ethnicity-pred-data-kmm-0a1b2c3d"),
    ("ModelArtifactsBucket", "BucketName", "ethnicity-pred-model-artifacts-kmm-0a1b2c3d"),
    (
        "CodePipelineArtifactsBucket",
        "BucketName",
        "ethnicity-pred-codepipeline-artifacts-kmm-0a1b2c3d",
    ),
    ("ImageRepository", "RepositoryName", "ethnicity-pred-ecr-kmm"),
]
# Properties that name a thing for the whole account and region.
GLOBAL_NAMES = {
    *("BucketName", "RepositoryName", "LogGroupName", "FunctionName", "AlarmName", "AliasName"),
    *("NotebookInstanceName", "RoleName", "PolicyName", "TopicName", "Name"),
}


@pytest.mark.parametrize(("resource", "key", "name"), PREP_NAMES)
def test_stack_1_keeps_the_seeds_name(prep, stack_of, resource, key, name):
    assert stack_of(prep)(prep["Resources"][resource]["Properties"][key]) == name


@pytest.mark.parametrize(("resource", "key", "name"), PIPELINE_NAMES)
def test_stack_2_keeps_the_seeds_name(pipeline, stack, resource, key, name):
    assert stack(pipeline["Resources"][resource]["Properties"][key]) == name


@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_endpoints_have_their_stable_names(pipeline, stack, environment):
    outputs = pipeline["Outputs"]
    name = stack(outputs[f"{environment.title()}EndpointName"]["Value"])
    assert name == f"ethnicity-pred-{environment}-kmm"


def test_the_api_answers_where_the_seed_calls_it(pipeline, stack_of):
    stack = stack_of(pipeline, PredictApi="apiurl")
    url = stack(pipeline["Outputs"]["DevPredictUrl"]["Value"])
    assert url == "https://apiurl.execute-api.us-east-1.amazonaws.com/dev/predict"


@pytest.mark.parametrize("unique_id", ["kmm", "km1", "a00", "zzz"])
def test_unique_id_takes_three_initials(template, unique_id):
    assert re.fullmatch(template["Parameters"]["UniqueID"]["AllowedPattern"], unique_id)


@pytest.mark.parametrize(
    "unique_id",
    ["", "km", "kmmm", "KMM", "kMm", "1mm", "km.", "kmm.", "k-m", "k m", "kmm\n", "yourinitials"],
)
def test_unique_id_refuses_anything_else(template, unique_id):
    assert not re.fullmatch(template["Parameters"]["UniqueID"]["AllowedPattern"], unique_id)


@pytest.mark.parametrize(
    ("number", "required"), [(1, ["UniqueID"]), (2, ["UniqueID", "LambdaFunctionsBucket"])]
)
def test_only_the_seeds_parameters_must_be_given(prep, pipeline, number, required):
    parameters = (prep, pipeline)[number - 1]["Parameters"]
    assert [n for n, p in parameters.items() if "Default" not in p] == required


def test_branch_is_the_seeds_by_default(pipeline):
    assert pipeline["Parameters"]["RepositoryBranch"]["Default"] == "master"


def test_descriptions_tell_the_order(prep, pipeline):
    assert "stack 1 of 2: " in prep["Description"]
    assert "stack 2 of 2: " in pipeline["Description"]


def test_two_people_can_share_an_account(template, stack_of):
    """Every name that counts for the whole account and region differs between UniqueIDs.

    The repository's does not, by the seed's contract: the second person gives another one.
    """
    mine = _global_names(template, stack_of(template))
    theirs = _global_names(
        template,
        stack_of(
            template,
            UniqueID="jdd",
            RepositoryName="ethnicity-pred-repo-jdd",
            **{f"import:ethnicity-pred-jdd-{n}": n for n in ("RepositoryName", "NotebookRoleName")},
        ),
    )
    assert mine.keys() == theirs.keys()
    assert len(mine) > 3
    assert not set(mine.values()) & set(theirs.values())


def _global_names(template, stack):
    return {
        (resource, key): stack(value)
        for resource, body in template["Resources"].items()
        for key, value in body["Properties"].items()
        if key in GLOBAL_NAMES and isinstance(stack(value), str)
    } | {
        ("export", key): stack(output["Export"]["Name"])
        for key, output in template["Outputs"].items()
        if "Export" in output
    }


def test_every_export_is_imported_and_every_import_exported(prep, pipeline, stack_of):
    stack = stack_of(prep)
    exports = {stack(o["Export"]["Name"]) for o in prep["Outputs"].values() if "Export" in o}
    text = json.dumps(pipeline["Resources"])
    imports = set(re.findall(r'"Fn::ImportValue": \{"Fn::Sub": "([^"]+)"', text))
    assert exports == {name.replace("${UniqueID}", "kmm") for name in imports}
    assert text.count("Fn::ImportValue") == len(
        re.findall(r'"Fn::ImportValue": \{"Fn::Sub": "', text)
    )


def test_bucket_names_are_short_enough(pipeline, stack):
    names = [
        stack(body["Properties"]["BucketName"])
        for body in pipeline["Resources"].values()
        if body["Type"] == "AWS::S3::Bucket"
    ]
    assert len(names) == 3
    assert max(map(len, names)) <= 63


def test_the_first_template_fits_an_api_call_and_the_second_a_url(template_path):
    limit = 51_200 if template_path.name.startswith("01") else 1_000_000
    assert template_path.stat().st_size <= limit
