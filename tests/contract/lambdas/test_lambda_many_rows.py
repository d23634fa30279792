"""FullTest over 100,000 rows, in the local cloud's Lambda: its process, its limits, its clock.

The rows are 462 MB of CSV, made while they are read; the endpoint answers at once. What this
costs is the function's own work: about 25 s of one core.
"""

import base64
import hashlib
import itertools
import json
import signal
from collections import Counter
from pathlib import Path

import pytest
from fake_aws import AwsFault
from full_test import RESERVE_S
from glyph_model import DEPLOYED, predict
from local_cloud import identity
from local_cloud.lambda_runtime import packages
from local_cloud.lambda_runtime.environment import Environment
from row_file import LABELS, RowFile, age, gender, number_of, predicted, truth

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="only Linux tells how much memory was used"
)
EVALUATE = "Ethnicity-Pred-EvaluateModel"
ROWS = 100_000
TOKEN_LIMIT = 2_048  # CodePipeline's, in characters
GROWTH_MB = 64  # from the first batch to the last; the rows themselves would be seven times that
SESSION = {
    "aws_access_key_id": "FUNCTIONROLE",
    "aws_secret_access_key": "function-secret",
    "aws_session_token": "function-token",
}


@pytest.fixture
def function(zips, aws, pipeline, stack, tmp_path, monkeypatch):
    """The zip as the template configures it, in an environment of the local cloud's Lambda."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws.url)
    monkeypatch.setenv("LOCAL_CLOUD_STATE", str(tmp_path))
    monkeypatch.setattr(identity, "assume_service_role", lambda *_: SESSION)
    packages.runtime_packages.cache_clear()
    own = pipeline["Resources"]["EvaluateModelFunction"]["Properties"]
    declared = pipeline["Globals"]["Function"] | own
    code = zips[EVALUATE].read_bytes()
    config = {
        "FunctionName": EVALUATE,
        "FunctionArn": f"arn:aws:lambda:us-east-1:000000000000:function:{EVALUATE}",
        "Role": "arn:aws:iam::000000000000:role/evaluate",
        "Environment": {"Variables": stack(own.get("Environment", {}).get("Variables", {}))},
        "CodeSha256": base64.b64encode(hashlib.sha256(code).digest()).decode(),
        **{key: declared[key] for key in ("Handler", "Runtime", "MemorySize", "Timeout")},
    }
    environment = Environment(EVALUATE, config, code)
    yield environment
    environment.end()
    packages.runtime_packages.cache_clear()


@pytest.fixture
def asked(aws):
    """How often the endpoint was asked about each row, by its number."""
    counts = Counter()
    answers = [json.dumps(predict(shade)) for shade in range(len(LABELS))]
    model = json.dumps({"name": "rows", "version": "job", "sensitive": False})

    def answer(_kind, body):
        numbers = [number_of(line) for line in body.split(b"\n")]
        counts.update(numbers)
        predictions = ", ".join(answers[predicted(number)] for number in numbers)
        return f'{{"predictions": [{predictions}], "model": {model}}}'.encode()

    aws.model_answers = answer
    names = {str(value): name for value, name in enumerate(LABELS)}
    aws.objects["data", "train/labels.json"] = json.dumps({"names": names}).encode()
    return counts


@pytest.fixture
def deliver(function, event, put_input):
    """Deliver a job, with so many seconds to count in; returns its event and what came of it."""

    def invoke(job_id, token, seconds):
        asking = event("full-test", job_id=job_id, token=token)
        put_input(asking, DEPLOYED)
        function.config["Timeout"] = RESERVE_S + seconds
        return asking, function.invoke(asking, job_id, function.config["FunctionArn"])

    return invoke


@pytest.fixture
def run(deliver, ending):
    """Ask as CodePipeline does, with the next of these seconds each time, until it has ended.

    Returns the continuation tokens, the most memory so far after each invocation in MB, the end.
    """

    def ask(seconds, token=None):
        tokens, peaks = [], []
        for number, to_count_s in enumerate(seconds):
            asking, done = deliver(f"job-{number}", token, to_count_s)
            assert done.error is None, done.log
            peaks.append(done.memory_mb)
            told = ending(asking)
            token = told.get("continuationToken")
            if not token:
                return tokens, peaks, told
            tokens.append(token)
        raise AssertionError("it never ends")

    return ask


@pytest.fixture
def report(aws, event):
    execution = json.loads(
        event("full-test")["CodePipeline.job"]["data"]["actionConfiguration"]["configuration"][
            "UserParameters"
        ]
    )["execution_id"]
    return lambda: json.loads(aws.objects["models", f"evaluations/{execution}/report.json"])


def counted_once(report, numbers):
    """Say whether a report has counted each row of these numbers, and no other, exactly once."""
    confusion = {label: Counter() for label in LABELS}
    groups = {"gender": Counter(), "age": Counter()}
    for number in numbers:
        confusion[LABELS[truth(number)]][LABELS[predicted(number)]] += 1
        groups["gender"][str(gender(number))] += 1
        groups["age"]["60+" if age(number) > 60 else "20-29"] += 1
    told = {
        kind: {entry["group"]: entry["rows"] for entry in found["groups"]}
        for kind, found in report["groups"].items()
    }
    return report["confusion"] == confusion and told == groups


def test_100_000_rows_are_counted_once_each_within_the_functions_memory(
    function, aws, asked, run, report
):
    aws.objects["data", "validation/a.csv"] = RowFile(range(90_000))
    aws.objects["data", "validation/b.csv"] = RowFile(range(90_000, ROWS))
    tokens, peaks, told = run(itertools.chain([0, 0, 1, 0], itertools.repeat(4)))
    assert told["ending"] == "success", told
    assert told["outputVariables"]["EvaluatedRows"] == str(ROWS)
    assert counted_once(report(), range(ROWS))
    assert asked == Counter(range(ROWS))
    assert len(tokens) >= 2  # without a second to count in, an invocation asks once and stops
    assert max(map(len, tokens)) <= TOKEN_LIMIT
    assert max(peaks) <= function.config["MemorySize"]
    assert 0 < peaks[0] >= max(peaks) - GROWTH_MB


def test_rows_whose_invocation_is_killed_while_they_are_asked_about_are_counted_once(
    function, aws, asked, deliver, ending, run, report
):
    aws.objects["data", "validation/a.csv"] = RowFile(range(450))
    first, _ = deliver("first", None, 0)
    token, answers = ending(first)["continuationToken"], aws.model_answers

    def kill(kind, body):
        answer = answers(kind, body)
        if asked[300]:
            aws.model_answers = answers
            function.process._program.send_signal(signal.SIGKILL)
        return answer

    aws.model_answers = kill
    second, done = deliver("second", token, 400)
    assert "signal: killed" in done.error["errorMessage"]
    assert not aws.endings["second"]
    deliver("second", token, 0)  # Lambda's own retry of the same event
    _, _, told = run([0, 400], ending(second)["continuationToken"])
    assert told["outputVariables"]["EvaluatedRows"] == "450"
    assert counted_once(report(), range(450))
    assert (asked[99], asked[100], asked[300], asked[400]) == (1, 2, 2, 1)


def test_rows_whose_invocation_is_killed_before_it_has_told_of_them_are_counted_once(
    function, aws, asked, deliver, ending, run, report, monkeypatch
):
    aws.objects["data", "validation/a.csv"] = RowFile(range(450))
    first, _ = deliver("first", None, 0)
    token = ending(first)["continuationToken"]

    def kill(*_):
        function.process._program.send_signal(signal.SIGKILL)
        raise AwsFault("InternalFailure", "too late", 500)

    with monkeypatch.context() as planted:
        planted.setattr(aws, "answer", kill)
        _, done = deliver("second", token, 0)
    assert "signal: killed" in done.error["errorMessage"]
    second, _ = deliver("second", token, 0)
    _, _, told = run([400], ending(second)["continuationToken"])
    assert told["outputVariables"]["EvaluatedRows"] == "450"
    assert counted_once(report(), range(450))
    assert asked == Counter(range(450))
