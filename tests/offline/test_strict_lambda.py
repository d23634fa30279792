"""Lambda functions run as on AWS: alone, with their own rights, memory, time and log."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import time
import uuid
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
from local_cloud.launcher import ACCOUNT, RunningCloud

LOGS = {"Effect": "Allow", "Action": ["logs:*"], "Resource": "*"}
Invoked = tuple[Any, str | None, str]


def zipped(source: str, mode: int = 0o644) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        entry = zipfile.ZipInfo("Odd-Name.py")
        entry.external_attr = mode << 16
        archive.writestr(entry, source)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def role(make_role: Callable[..., str]) -> str:
    return make_role("function-role", LOGS, trusts="lambda.amazonaws.com")


@pytest.fixture
def function(cloud: RunningCloud, role: str) -> Callable[..., str]:
    """Create a function from source text; returns its name."""

    def create(source: str, mode: int = 0o644, **more: Any) -> str:
        name = f"f-{uuid.uuid4().hex[:8]}"
        settings = {"Role": role, "Timeout": 10, "MemorySize": 256, **more}
        cloud.client("lambda").create_function(
            FunctionName=name,
            Runtime="python3.13",
            Handler="Odd-Name.handler",
            Code={"ZipFile": zipped(source, mode)},
            **settings,
        )
        return name

    return create


@pytest.fixture
def invoke(cloud: RunningCloud) -> Callable[..., Invoked]:
    """Invoke a function; returns payload, error kind and the tail of its log."""

    def call(name: str, event: Any = None) -> Invoked:
        answer = cloud.client("lambda").invoke(
            FunctionName=name, LogType="Tail", Payload=json.dumps(event)
        )
        log = base64.b64decode(answer["LogResult"]).decode()
        return json.loads(answer["Payload"].read()), answer.get("FunctionError"), log

    return call


def test_a_function_sees_only_what_aws_gives_it(cloud, function, invoke):
    name = function(
        "import os, sys\n"
        "def handler(event, context):\n"
        "    return {'variables': dict(os.environ), 'path': sys.path, 'cwd': os.getcwd()}\n",
        Environment={"Variables": {"MINE": "yes"}},
    )
    seen, _, _ = invoke(name)
    without_pythons_own = set(seen["variables"]) - {"LC_CTYPE"}
    assert without_pythons_own == {
        *("_HANDLER", "_X_AMZN_TRACE_ID", "LAMBDA_TASK_ROOT", "LANG", "TZ"),
        *("PATH", "HOME", "TMPDIR", "MINE", "AWS_ENDPOINT_URL", "AWS_EXECUTION_ENV"),
        *("AWS_REGION", "AWS_DEFAULT_REGION"),
        *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"),
        *("AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE"),
        *("AWS_LAMBDA_FUNCTION_VERSION", "AWS_LAMBDA_INITIALIZATION_TYPE"),
        *("AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_LOG_STREAM_NAME"),
    }
    assert seen["variables"]["AWS_ACCESS_KEY_ID"] != cloud.access_key
    assert seen["cwd"] == seen["variables"]["LAMBDA_TASK_ROOT"] == seen["path"][0]
    assert not any("site-packages" in folder or "scripts" in folder for folder in seen["path"])


def test_a_function_has_boto3_and_nothing_else_of_the_development_environment(function, invoke):
    name = function(
        "import importlib, boto3\n"
        "def handler(event, context):\n"
        "    return {n: importlib.util.find_spec(n) is not None for n in event}\n"
    )
    asked = ["boto3", "urllib3", "ministack", "local_cloud", "aws_lambda_powertools", "numpy"]
    found, _, _ = invoke(name, asked)
    assert [n for n in asked if found[n]] == ["boto3", "urllib3"]


def test_a_function_acts_as_its_role(function, invoke):
    name = function(
        "import boto3\n"
        "def handler(event, context):\n"
        "    me = boto3.client('sts').get_caller_identity()['Arn']\n"
        "    try:\n"
        "        boto3.client('s3').list_buckets()\n"
        "    except Exception as error:\n"
        "        return [me, error.response['Error']['Code']]\n"
    )
    me, code = invoke(name)[0]
    assert me == f"arn:aws:sts::{ACCOUNT}:assumed-role/function-role/{name}"
    assert code == "AccessDenied"


def test_temporary_files_are_each_functions_own(function, invoke):
    source = (
        "import os, tempfile\n"
        "def handler(event, context):\n"
        "    with open(os.path.join(tempfile.gettempdir(), 'mine'), 'w'): pass\n"
        "    return [tempfile.gettempdir(), os.listdir(tempfile.gettempdir())]\n"
    )
    first, second = invoke(function(source))[0], invoke(function(source))[0]
    assert first[0] != second[0]
    assert first[1] == second[1] == ["mine"]


def test_an_environment_is_used_again_and_stands_still_in_between(function, invoke):
    name = function(
        "import threading, time\n"
        "ticks = 0\n"
        "def tick():\n"
        "    global ticks\n"
        "    while True:\n"
        "        time.sleep(0.01); ticks += 1\n"
        "threading.Thread(target=tick, daemon=True).start()\n"
        "def handler(event, context):\n"
        "    return ticks\n"
    )
    before = invoke(name)[0]
    time.sleep(0.5)
    after, _, log = invoke(name)
    assert "Init Duration" not in log
    assert after - before < 20


def test_a_function_over_its_time_is_killed(function, invoke):
    name = function(
        "import time\n"
        "def handler(event, context):\n"
        "    print('started')\n"
        "    time.sleep(event)\n"
        "    return context.get_remaining_time_in_millis()\n",
        Timeout=1,
    )
    payload, kind, log = invoke(name, 30)
    assert kind == "Unhandled"
    assert payload["errorType"] == "Sandbox.Timedout"
    assert payload["errorMessage"].endswith("Task timed out after 1.00 seconds")
    assert "started" in log
    assert "Status: timeout" in log
    left, kind, _ = invoke(name, 0.1)
    assert kind is None
    assert 0 < left < 950


def test_a_function_over_its_memory_is_killed(function, invoke):
    name = function(
        "def handler(event, context):\n"
        "    try:\n"
        "        return len(bytearray(event << 20))\n"
        "    except MemoryError:\n"
        "        return 'AWS does not ask'\n",
        MemorySize=128,
    )
    payload, kind, log = invoke(name, 512)
    assert kind == "Unhandled"
    assert payload["errorType"] == "Runtime.ExitError"
    assert payload["errorMessage"].endswith("Runtime exited with error: signal: killed")
    assert invoke(name, 16)[0] == 16 << 20
    assert "Memory Size: 128 MB" in log


@pytest.mark.parametrize(
    ("source", "kind", "message"),
    [
        ("import not_there", "Runtime.ImportModuleError", "No module named 'not_there'"),
        ("def handler(:", "Runtime.UserCodeSyntaxError", "Syntax error in module 'Odd-Name'"),
        ("other = 1", "Runtime.HandlerNotFound", "Handler 'handler' missing on module"),
        ("raise KeyError('gone')", "KeyError", "gone"),
        ("def handler(e, c): raise ValueError('no')", "ValueError", "no"),
        ("def handler(e, c): return object()", "Runtime.MarshalError", "Unable to marshal"),
        ("import os\ndef handler(e, c): os._exit(3)", "Runtime.ExitError", "exit status 3"),
        ("def handler(e, c): return 'x' * 6_300_000", "Function.ResponseSizeTooLarge", "6291556"),
    ],
)
def test_failures_are_worded_as_by_the_runtime(function, invoke, source, kind, message):
    payload, error, log = invoke(function(source))
    assert (error, payload["errorType"]) == ("Unhandled", kind)
    assert message in payload["errorMessage"]
    assert message in log


def test_code_that_only_its_owner_may_read_cannot_be_imported(function, invoke):
    payload, _, _ = invoke(function("def handler(e, c): return 1", mode=0o600))
    assert payload["errorType"] == "Runtime.ImportModuleError"
    assert "Permission denied: '/var/task/Odd-Name.py'" in payload["errorMessage"]


def test_output_of_a_function_cannot_be_taken_for_its_answer(function, invoke):
    name = function(
        "import os, subprocess\n"
        "def handler(event, context):\n"
        '    os.write(1, b\'{"result": "forged"}\\n\')\n'
        "    subprocess.run(['echo', 'from a child'])\n"
        "    print('x' * 200_000)\n"
        "    return 'true answer'\n"
    )
    payload, _, log = invoke(name, "y" * 200_000)
    assert payload == "true answer"
    assert len(log) == 4096


def test_the_log_is_written_under_the_functions_role(cloud, function, invoke):
    name = function("def handler(e, c): print('told')")
    invoke(name)
    told = messages(cloud, f"/aws/lambda/{name}")
    assert any("told" in line for line in told)
    assert any(line.startswith("REPORT RequestId") for line in told)


def test_without_the_right_to_log_there_is_no_log(cloud, function, invoke, make_role):
    logs = cloud.client("logs")
    silent = make_role(
        "silent-role",
        {"Effect": "Allow", "Action": "logs:CreateLogGroup", "Resource": "*"},
        trusts="lambda.amazonaws.com",
    )
    name = function("def handler(e, c): print('told')", Role=silent)
    logs.create_log_group(logGroupName=f"/aws/lambda/{name}")
    assert invoke(name)[1] is None
    assert logs.describe_log_streams(logGroupName=f"/aws/lambda/{name}")["logStreams"] == []
    assert f"Lambda {name}: no log, as on AWS" in cloud.log.read_text()


def test_a_role_that_does_not_trust_lambda_is_refused(cloud, make_role, refusal):
    arn = make_role("not-lambdas", LOGS, trusts="ec2.amazonaws.com")
    fault = refusal(
        cloud.client("lambda").create_function,
        FunctionName="never",
        Runtime="python3.13",
        Handler="a.b",
        Role=arn,
        Code={"ZipFile": zipped("")},
    )
    assert fault[:2] == (400, "InvalidParameterValueException")
    assert "cannot be assumed by Lambda" in fault[2]


@pytest.mark.parametrize(("account", "trusted"), [(ACCOUNT, True), ("111111111111", False)])
def test_the_condition_of_a_trust_policy_is_heeded(cloud, function, refusal, account, trusted):
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "lambda.amazonaws.com"},
        "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {"aws:SourceAccount": account}},
    }
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    role = cloud.client("iam").create_role(
        RoleName=f"trusts-{account}", AssumeRolePolicyDocument=document
    )["Role"]["Arn"]
    if trusted:
        function("", Role=role)
    else:
        assert "cannot be assumed" in refusal(function, source="", Role=role)[2]


def test_creating_a_function_needs_pass_role(acting_as, role, allow, refusal):
    create = allow("lambda:CreateFunction", "*")
    request = {
        "FunctionName": f"p-{uuid.uuid4().hex[:8]}",
        "Runtime": "python3.13",
        "Handler": "a.b",
        "Role": role,
        "Code": {"ZipFile": zipped("")},
    }
    client = acting_as("cannot-pass", create)("lambda")
    assert "iam:PassRole" in refusal(client.create_function, **request)[2]
    passed = {"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}}
    may_pass = allow("iam:PassRole", role, Condition=passed)
    acting_as("can-pass", create, may_pass)("lambda").create_function(**request)


def test_reserved_and_oversized_variables_are_refused(function, refusal):
    reserved = refusal(function, source="", Environment={"Variables": {"AWS_REGION": "x"}})
    assert "reserved keys" in reserved[2]
    large = refusal(function, source="", Environment={"Variables": {"BIG": "x" * 4096}})
    assert "exceeded the 4KB limit" in large[2]


def test_a_payload_over_six_megabytes_is_refused(cloud, function, refusal):
    name = function("def handler(e, c): return len(e)")
    large = json.dumps("x" * 6_300_000)
    invoke = cloud.client("lambda").invoke
    assert refusal(invoke, FunctionName=name, Payload=large)[:2] == (
        413,
        "RequestTooLargeException",
    )


def test_new_code_and_a_new_role_reach_the_next_invocation(cloud, function, invoke, make_role):
    client = cloud.client("lambda")
    name = function("def handler(e, c): return 'old'")
    assert invoke(name)[0] == "old"
    client.update_function_code(
        FunctionName=name,
        ZipFile=zipped(
            "import boto3\n"
            "def handler(e, c): return boto3.client('sts').get_caller_identity()['Arn']\n"
        ),
    )
    assert "/function-role/" in invoke(name)[0]
    other = make_role("other-function-role", LOGS, trusts="lambda.amazonaws.com")
    client.update_function_configuration(FunctionName=name, Role=other)
    assert "/other-function-role/" in invoke(name)[0]


def test_an_asynchronous_event_is_tried_three_times(cloud, function):
    name = function("def handler(e, c): raise RuntimeError('again')")
    cloud.client("lambda").invoke(FunctionName=name, InvocationType="Event", Payload="{}")
    deadline = time.monotonic() + 15
    starts: list[str] = []
    while len(starts) < 3 and time.monotonic() < deadline:
        time.sleep(0.2)
        with contextlib.suppress(cloud.client("logs").exceptions.ResourceNotFoundException):
            lines = messages(cloud, f"/aws/lambda/{name}")
            starts = [line for line in lines if line.startswith("START ")]
    assert len(starts) == 3


def messages(cloud: RunningCloud, group: str) -> list[str]:
    events = cloud.client("logs").filter_log_events(logGroupName=group)["events"]
    return [event["message"] for event in events]
