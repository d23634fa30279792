"""Parameters explain and guard themselves; outputs say what to do with them."""

import json
import re

import pytest

GUARDS = {"AllowedPattern", "AllowedValues", "MinValue"}


def test_every_parameter_explains_and_guards_itself(template):
    for name, parameter in template["Parameters"].items():
        assert len(parameter.get("Description", "")) > 20, name
        assert parameter.get("ConstraintDescription", "").startswith("must be "), name
        assert GUARDS & parameter.keys(), name
        assert ("MinValue" in parameter) == ("MaxValue" in parameter), name


def test_every_default_is_allowed(template):
    for name, parameter in template["Parameters"].items():
        if "Default" in parameter:
            assert _allows(parameter, parameter["Default"]), name


def test_every_parameter_stands_in_one_group(template):
    groups = template["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    grouped = [name for group in groups for name in group["Parameters"]]
    assert sorted(grouped) == sorted(template["Parameters"])


def test_every_parameter_is_used(template):
    text = json.dumps([template["Resources"], template.get("Conditions"), template.get("Globals")])
    used = set(re.findall(r'"Ref": "(\w+)"', text)) | set(re.findall(r"\$\{(\w+)\}", text))
    assert set(template["Parameters"]) <= used


def test_every_condition_is_used(template):
    text = json.dumps(template["Resources"])
    for name in template.get("Conditions", {}):
        assert f'"Fn::If": ["{name}"' in text or f'"Condition": "{name}"' in text, name


def test_every_output_says_what_to_do_with_it(template):
    for name, output in template["Outputs"].items():
        assert len(output.get("Description", "")) > 30, name


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("LambdaCodePrefix", ["", "lambda/", "a/b.c-d/"], ["/", "lambda", "/lambda/", "a//b/"]),
        ("RepositoryBranch", ["master", "feature/x"], ["", "-x", "/x", "a b"]),
        ("LambdaFunctionsBucket", ["a-b-c"], ["s3://abc", "abc/", "ABC", ""]),
        ("HyperParameters", ["{}", '{"epochs": 3}'], ["", "[]", "epochs=3", "{\n}"]),
        ("TorchIndexUrl", ["", "https://a.example/cpu"], ["http://a.example", "x; rm -rf /"]),
        ("BaseImage", ["", "registry.example/python@sha256:00"], ["--privileged", "a b"]),
        ("NotificationEmail", ["", "a@b.org"], ["a", "a@b", "a@b.org, c@d.org"]),
        ("TrainingInstanceType", ["ml.m5.xlarge", "ml.p4de.24xlarge"], ["m5.xlarge", "ml.m5"]),
    ],
)
def test_constraints_take_the_good_and_refuse_the_bad(pipeline, name, good, bad):
    parameter = pipeline["Parameters"][name]
    assert [v for v in good if not _allows(parameter, v)] == []
    assert [v for v in bad if _allows(parameter, v)] == []


def _allows(parameter, value):
    if "AllowedValues" in parameter:
        return value in parameter["AllowedValues"]
    if parameter["Type"] == "Number":
        return parameter["MinValue"] <= value <= parameter["MaxValue"]
    if len(value) > parameter.get("MaxLength", 4_096):
        return False
    return bool(re.fullmatch(parameter["AllowedPattern"], value))
