"""The functions of stack 2 against lambda-code/: zips, handlers, settings, parameters."""

from __future__ import annotations

import dataclasses
import importlib
import itertools
import json
from pathlib import Path

import pytest
from common.fields import fill
from common.settings import from_env

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = sorted(path for path in (ROOT / "lambda-code").glob("Ethnicity-Pred-*") if path.is_dir())
EXECUTION_ID = "#{codepipeline.PipelineExecutionId}"
UUID = "12345678-1234-1234-1234-123456789012"


def functions(template):
    """Return zip stem → (logical id, properties) of every function."""
    found = {}
    for name, body in template["Resources"].items():
        if body["Type"] == "AWS::Serverless::Function":
            stem = body["Properties"]["Handler"].removesuffix(".lambda_handler")
            found[stem] = name, body["Properties"]
    return found


def lambda_actions(template):
    """Yield (stage, action name, function's logical id, UserParameters) in order."""
    for stage in template["Resources"]["Pipeline"]["Properties"]["Stages"]:
        for action in stage["Actions"]:
            if action["ActionTypeId"]["Provider"] == "Lambda":
                configuration = action["Configuration"]
                function = configuration["FunctionName"]["Ref"]
                yield stage["Name"], action["Name"], function, configuration["UserParameters"]


@pytest.fixture(params=FOLDERS, ids=lambda folder: folder.name)
def folder(request, monkeypatch):
    monkeypatch.syspath_prepend(str(request.param))
    return request.param


def declared(folder, suffix):
    """Return the dataclasses of a function's modules whose name ends in suffix."""
    found = {}
    for path in folder.glob("*.py"):
        module = importlib.import_module(path.stem)
        for name, value in vars(module).items():
            if name.endswith(suffix) and dataclasses.is_dataclass(value):
                found[value.__qualname__] = value
    return list(found.values())


def test_there_is_one_function_for_each_folder(pipeline):
    assert len(FOLDERS) == 5
    assert sorted(functions(pipeline)) == [folder.name for folder in FOLDERS]


def test_zip_and_handler_carry_the_folders_name(folder, pipeline, stack_of):
    _, function = functions(pipeline)[folder.name]
    code = stack_of(pipeline, LambdaCodePrefix="lambda/0123/")(function["CodeUri"])
    assert code == {
        "Bucket": "ethnicity-pred-lambda-code-kmm-0a1b2c3d",
        "Key": f"lambda/0123/{folder.name}.py.zip",
    }
    assert "def lambda_handler(" in (folder / f"{folder.name}.py").read_text()


def test_without_a_prefix_the_zips_lie_where_the_seed_puts_them(pipeline, stack):
    for stem, (_, function) in functions(pipeline).items():
        assert stack(function["CodeUri"]["Key"]) == f"{stem}.py.zip"


def test_environment_is_what_the_code_reads(folder, pipeline, stack):
    _, function = functions(pipeline)[folder.name]
    given = stack(function.get("Environment", {}).get("Variables", {}))
    settings = declared(folder, "Settings")
    assert len(settings) <= 1
    fields = {f.name.upper() for cls in settings for f in dataclasses.fields(cls)}
    assert given.keys() == fields
    for cls in settings:
        assert dataclasses.asdict(from_env(cls, given))


def test_log_level_is_given_to_all_and_read_by_all(pipeline):
    variables = pipeline["Globals"]["Function"]["Environment"]["Variables"]
    assert variables == {"LOG_LEVEL": {"Ref": "LogLevel"}}
    assert 'environ.get("LOG_LEVEL"' in (ROOT / "lambda-code/common/logs.py").read_text()


def test_the_proxy_knows_the_endpoint_of_each_stage(pipeline, stack):
    _, function = functions(pipeline)["Ethnicity-Pred-InferenceEndpoint-Proxy"]
    assert json.loads(stack(function["Environment"]["Variables"]["ENDPOINTS"])) == {
        "dev": "ethnicity-pred-dev-kmm",
        "prod": "ethnicity-pred-prod-kmm",
    }


def test_user_parameters_are_what_the_code_takes(folder, pipeline, stack_of):
    """Also with every number of the template at its least and at its most."""
    name, _ = functions(pipeline)[folder.name]
    actions = [(a, u) for _, a, function, u in lambda_actions(pipeline) if function == name]
    if folder.name.endswith("Proxy"):
        assert actions == []
        return
    assert actions
    [params] = declared(folder, "Params")
    for (action, template), values in itertools.product(actions, _extremes(pipeline)):
        text = stack_of(pipeline, **values)(template)
        filled = fill(
            params, json.loads(text), lambda faults, a=action: ValueError(f"{a} {faults}")
        )
        assert filled.execution_id == EXECUTION_ID


def test_the_gate_and_the_alarms_reach_the_code(pipeline, stack):
    given = {(s, a): json.loads(stack(u)) for s, a, _, u in lambda_actions(pipeline)}
    assert given["EvaluateModel", "FullTest"]["thresholds"].values()
    assert given["DeployModel-Prod", "DeployToProdEnv"]["alarms"] == [
        "ethnicity-pred-prod-kmm-errors",
        "ethnicity-pred-prod-kmm-latency",
    ]


@pytest.mark.parametrize("hosting", ["instance", "serverless"])
def test_dev_hosting_brings_the_sizes_of_its_kind(pipeline, stack_of, hosting):
    stack = stack_of(pipeline, DevHosting=hosting)
    [given] = [json.loads(stack(u)) for _, a, _, u in lambda_actions(pipeline) if "DevEnv" in a]
    sizes = {"instance": {"instance_type", "instance_count"}}
    sizes["serverless"] = {"memory_mb", "max_concurrency"}
    assert given["hosting"] == hosting
    of_both = {"execution_id", "environment", "hosting", "deadline_minutes"}
    assert given.keys() == of_both | sizes[hosting]


def test_user_parameters_fit_their_limit_at_worst(pipeline, stack_of):
    longest = _longest(pipeline)
    lengths = {}
    for stage, action, _, template in lambda_actions(pipeline):
        for hosting in ("instance", "serverless"):
            text = stack_of(pipeline, **longest | {"DevHosting": hosting})(template)
            lengths[stage, action, hosting] = len(text.replace(EXECUTION_ID, UUID))
    assert max(lengths.values()) <= 1_000, max(lengths, key=lengths.get)
    assert lengths["TrainModel", "StartTraining", "instance"] > 600  # the longest did go in


def test_each_function_has_its_own_role_and_log_group(pipeline):
    resources = pipeline["Resources"]
    for name, function in functions(pipeline).values():
        group = f"{name}LogGroup"
        assert function["Role"] == {"Fn::GetAtt": [f"{name}Role", "Arn"]}
        assert function["LoggingConfig"] == {"LogGroup": {"Ref": group}}
        assert resources[group]["Type"] == "AWS::Logs::LogGroup"
        policies = {p["PolicyName"]: p for p in resources[f"{name}Role"]["Properties"]["Policies"]}
        [statement] = policies["WriteLogs"]["PolicyDocument"]["Statement"]
        assert statement["Resource"] == {"Fn::GetAtt": [group, "Arn"]}


def test_log_groups_are_found_under_the_functions_name(pipeline, stack):
    for name, function in functions(pipeline).values():
        group = pipeline["Resources"][f"{name}LogGroup"]["Properties"]["LogGroupName"]
        assert stack(group) == f"/aws/lambda/{stack(function['FunctionName'])}"


def test_every_pipeline_function_and_no_other_may_report_to_the_pipeline(pipeline):
    used = {function for _, _, function, _ in lambda_actions(pipeline)}
    for name, _ in functions(pipeline).values():
        text = json.dumps(pipeline["Resources"][f"{name}Role"])
        reports = "codepipeline:PutJobSuccessResult" in text
        assert reports == ("codepipeline:PutJobFailureResult" in text) == (name in used), name


def test_the_pipeline_may_call_its_functions_and_no_other(pipeline):
    policies = pipeline["Resources"]["PipelineRole"]["Properties"]["Policies"]
    [policy] = [p for p in policies if p["PolicyName"] == "RunFunctions"]
    [statement] = policy["PolicyDocument"]["Statement"]
    assert statement["Action"] == "lambda:InvokeFunction"
    allowed = {resource["Fn::GetAtt"][0] for resource in statement["Resource"]}
    assert allowed == {function for _, _, function, _ in lambda_actions(pipeline)}


def test_the_runtime_is_named_once_and_is_one_that_the_code_supports(pipeline, template_path):
    assert pipeline["Globals"]["Function"]["Runtime"] == "python3.13"
    assert template_path.read_text().count("python3.") == (template_path.name[:2] == "02")


def test_the_proxy_gives_up_no_later_than_api_gateway(pipeline):
    _, function = functions(pipeline)["Ethnicity-Pred-InferenceEndpoint-Proxy"]
    body = pipeline["Resources"]["PredictApi"]["Properties"]["DefinitionBody"]
    integration = body["paths"]["/predict"]["post"]["x-amazon-apigateway-integration"]
    assert function["Timeout"] * 1_000 == integration["timeoutInMillis"] == 29_000


def _extremes(template):
    numbers = {n: p for n, p in template["Parameters"].items() if p["Type"] == "Number"}
    for pick in (min, max):
        yield {
            name: str(pick(p.get("AllowedValues") or [p["MinValue"], p["MaxValue"]]))
            for name, p in numbers.items()
        }
    yield {"DevHosting": "serverless", "HyperParameters": '{"epochs": 3, "name": "a b"}'}


def _longest(template):
    values = {}
    for name, parameter in template["Parameters"].items():
        if parameter["Type"] == "Number":
            values[name] = str(max(parameter.get("AllowedValues") or [parameter["MaxValue"]]))
        elif "AllowedValues" in parameter:
            values[name] = max(parameter["AllowedValues"], key=len)
        elif name.endswith("InstanceType"):
            values[name] = "ml.xxxxxxxx-xxx.24xlarge"  # longer than any that there is
        elif name == "HyperParameters":
            values[name] = "{" + " " * (parameter["MaxLength"] - 2) + "}"
    return values | {n: "0.123456789" for n in values if n.startswith("Gate")}
