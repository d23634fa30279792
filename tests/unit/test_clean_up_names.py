"""What clean-up takes for its own, and what it leaves alone."""

import re
from pathlib import Path

import pytest
import yaml
from cleanup.names import (
    KEPT_BUCKETS,
    NOTEBOOK_LOGS,
    TRAINING_LOGS,
    WORKING_BUCKETS,
    Names,
    is_execution_log,
    stack_number,
)
from cleanup.plan import KINDS
from hypothesis import given
from hypothesis import strategies as st

UUID = "0a1b2c3d-0000-4000-8000-123456789abc"
ROOT = Path(__file__).resolve().parents[2]
ids = st.from_regex(r"[a-z][a-z0-9]{2}", fullmatch=True)


class Template(yaml.SafeLoader):
    """Reads CloudFormation's short forms (!Sub …) as their bare values."""


def bare(loader, _tag, node):
    if isinstance(node, yaml.ScalarNode):
        return loader.construct_scalar(node)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return loader.construct_mapping(node, deep=True)


Template.add_multi_constructor("!", bare)


@pytest.fixture(scope="module")
def templates():
    names = ("01-prep.yml", "02-build-pipeline.yml")
    return [yaml.load((ROOT / name).read_text(), Template) for name in names]  # noqa: S506


@pytest.mark.parametrize("wrong", ["", "km", "kmmm", "KMM", "1mm", "km.", "kmm\n", "k*m", ".*a"])
def test_a_unique_id_of_another_form_is_refused(wrong):
    with pytest.raises(ValueError, match="three characters"):
        Names(wrong)


@given(mine=ids, other=ids)
def test_nothing_of_another_person_is_ever_ours(mine, other):
    ours, theirs = Names(mine), Names(other)
    if mine == other:
        return
    assert not set(ours.endpoints) & set(theirs.endpoints)
    assert not set(ours.functions) & set(theirs.functions)
    assert not set(ours.log_groups) & set(theirs.log_groups)
    assert ours.key_description != theirs.key_description
    for name in (*theirs.endpoints, f"ethnicity-pred-{other}-{UUID}"):
        assert not ours.is_run(name)
    assert ours.model_package_group != theirs.model_package_group
    for purpose in (*KEPT_BUCKETS, *WORKING_BUCKETS):
        bucket = f"ethnicity-pred-{purpose}-{other}-0a1b2c3d"
        assert not ours.is_bucket(bucket, KEPT_BUCKETS + WORKING_BUCKETS)


@pytest.mark.parametrize("word", ["dev", "ecr", "api"])
def test_an_id_that_is_also_a_word_of_our_names_takes_nothing_of_others(word):
    names = Names(word)
    for other in ("ethnicity-pred-dev-kmm", "ethnicity-pred-ecr-kmm", "ethnicity-pred-api-kmm"):
        assert not names.is_run(other)
        assert other not in names.endpoints
    assert names.is_run(f"ethnicity-pred-{word}-{UUID}")


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        (f"ethnicity-pred-kmm-{UUID}", True),
        ("ethnicity-pred-kmm-by-hand", False),
        (f"ethnicity-pred-kmm-{UUID}-copy", False),
        (f"my-ethnicity-pred-kmm-{UUID}", False),
        (f"ethnicity-pred-kmm2-{UUID}", False),
    ],
)
def test_a_run_is_named_after_a_codepipeline_job(name, ours):
    assert Names("kmm").is_run(name) is ours


@pytest.mark.parametrize(
    ("name", "purposes", "ours"),
    [
        ("ethnicity-pred-data-kmm-0a1b2c3d", KEPT_BUCKETS, True),
        ("ethnicity-pred-model-artifacts-kmm-0a1b2c3d", KEPT_BUCKETS, True),
        ("ethnicity-pred-lambda-code-kmm-0a1b2c3d", KEPT_BUCKETS, False),
        ("ethnicity-pred-lambda-code-kmm-0a1b2c3d", WORKING_BUCKETS, True),
        ("ethnicity-pred-data-kmm-0a1b2c3d-backup", KEPT_BUCKETS, False),
        ("ethnicity-pred-data-kmm", KEPT_BUCKETS, False),
        ("ethnicity-pred-photos-kmm-0a1b2c3d", KEPT_BUCKETS, False),
    ],
)
def test_a_bucket_is_ours_by_purpose_id_and_stack_hash(name, purposes, ours):
    assert Names("kmm").is_bucket(name, purposes) is ours


def test_of_a_log_group_that_all_share_only_our_streams_are_ours():
    names = Names("kmm")
    assert names.is_log_stream(TRAINING_LOGS, f"ethnicity-pred-kmm-{UUID}/algo-1-1700000000")
    assert not names.is_log_stream(TRAINING_LOGS, f"ethnicity-pred-abc-{UUID}/algo-1-1700000000")
    assert names.is_log_stream(NOTEBOOK_LOGS, "Ethnicity-Prediction-Notebook-kmm/LifecycleConfig")
    assert not names.is_log_stream(NOTEBOOK_LOGS, "Ethnicity-Prediction-Notebook-kmm2/x")
    assert not names.is_log_stream("/aws/lambda/x", f"ethnicity-pred-kmm-{UUID}/algo-1")
    assert not {TRAINING_LOGS, NOTEBOOK_LOGS} & set(names.log_groups)


def test_an_execution_log_belongs_to_an_api_that_was_ours():
    assert is_execution_log("API-Gateway-Execution-Logs_abc123/dev", {"abc123"})
    assert not is_execution_log("API-Gateway-Execution-Logs_abc1234/dev", {"abc123"})
    assert not is_execution_log("API-Gateway-Execution-Logs_abc123", {"abc123"})


def test_a_stack_is_known_by_its_templates_description(templates):
    assert [stack_number(t["Description"]) for t in templates] == [1, 2]
    assert stack_number("somebody's stack 2 of 2") is None


def test_the_templates_give_the_names_that_clean_up_looks_for(templates):
    names = Names("kmm")
    declared = {
        resolved(value, "kmm")
        for template in templates
        for resource in template["Resources"].values()
        for key, value in resource.get("Properties", {}).items()
        if key.endswith("Name") or key == "Description" or key == "RepositoryDescription"
    } | {
        resolved(o["Value"], "kmm") for template in templates for o in template["Outputs"].values()
    }
    looked_for = {
        names.pipeline,
        names.build_project,
        names.image_repository,
        names.api,
        names.notebook,
        names.key_alias,
        names.key_description,
        names.repository_description,
        names.model_package_group,
        *names.functions,
        *(g for g in names.log_groups if not g.startswith("/aws/sagemaker/")),
    }
    assert looked_for <= declared
    buckets = {value for value in declared if value.endswith("-kmm-${StackHash}")}
    hashed = {value.replace("${StackHash}", "0a1b2c3d") for value in buckets}
    assert len(hashed) == 4
    assert all(names.is_bucket(bucket, KEPT_BUCKETS + WORKING_BUCKETS) for bucket in hashed)


def resolved(value, unique_id):
    """Return a property's text with UniqueID put in, '' for what is no text."""
    text = value[0] if isinstance(value, list) else value
    return text.replace("${UniqueID}", unique_id) if isinstance(text, str) else ""


CREATED = {
    "sagemaker:CreateEndpoint": "endpoint",
    "sagemaker:CreateEndpointConfig": "endpoint config",
    "sagemaker:CreateModel": "model",
    "sagemaker:CreateModelPackage": "model package",
    "sagemaker:CreateModelPackageGroup": "model package group",
    "sagemaker:CreateTrainingJob": "training job",
}


def test_whatever_the_pipeline_may_create_in_sagemaker_clean_up_can_delete():
    granted = set(re.findall(r"sagemaker:Create\w+", (ROOT / "02-build-pipeline.yml").read_text()))
    assert granted <= CREATED.keys()
    assert {CREATED[action] for action in granted} <= KINDS
