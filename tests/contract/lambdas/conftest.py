"""Every function as its zip: built, unpacked, run in a process of its own against a small AWS."""

import copy
import io
import json
import subprocess
import sys
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
sys.path[:0] = [str(HERE), *map(str, (ROOT / "lambda-code").glob("Ethnicity-Pred-*"))]

from fake_aws import ARN, FakeAws, serve  # noqa: E402
from glyph_model import DEPLOYED, GOOD, answer, csv_of  # noqa: E402
from zip_lambda import zip_lambda  # noqa: E402

FUNCTIONS = sorted(folder.name for folder in (ROOT / "lambda-code").glob("Ethnicity-Pred-*"))
SETTINGS = {
    "UNIQUE_ID": "kmm",
    "TRAINING_ROLE_ARN": "arn:aws:iam::000000000000:role/training",
    "ENDPOINT_ROLE_ARN": "arn:aws:iam::000000000000:role/endpoint",
    "MODEL_ARTIFACTS_BUCKET": "models",
    "KMS_KEY_ARN": "arn:aws:kms:us-east-1:000000000000:key/k",
    "DATA_BUCKET": "data",
    "IMAGES_PREFIX": "images/",
    "ENDPOINTS": '{"dev": "ethnicity-pred-dev-kmm"}',
    "ALLOW_IMAGE_UPLOADS": "true",
    "MODEL_PACKAGE_GROUP": f"{ARN}:model-package-group/ethnicity-pred-models-kmm",
}


@dataclass
class Run:
    results: list
    log: str
    code: int

    @property
    def lines(self):
        return [json.loads(line) for line in self.log.splitlines()]


@pytest.fixture(scope="session")
def zips(tmp_path_factory):
    """The built zips by function, each also unpacked beside itself."""
    folder, built = tmp_path_factory.mktemp("zips"), {}
    for name in FUNCTIONS:
        built[name] = folder / f"{name}.py.zip"
        zip_lambda(built[name], ROOT / "lambda-code" / name, ROOT / "lambda-code" / "common")
        with zipfile.ZipFile(built[name]) as archive:
            archive.extractall(folder / name)
    return built


@pytest.fixture
def aws():
    fake = FakeAws()
    server = serve(fake)
    yield fake
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="session")
def runners(zips):
    """One process per function that has imported it, started when first asked for."""
    started = {}

    def runner(function):
        if function not in started:
            folder = zips[function].parent / function
            started[function] = subprocess.Popen(
                [sys.executable, "-I", "-B", HERE / "run_lambda.py", folder, function],
                env={},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                cwd=folder,
            )
        return started[function]

    yield runner
    for process in started.values():
        process.stdin.close()
        process.wait(timeout=10)


@pytest.fixture
def invoke(runners, aws, tmp_path):
    """Deliver events to a function; more settings replace the usual, None removes one."""

    def run(function, *events, crash_after=None, time_left_s=60, **settings):
        environ = {
            "AWS_ENDPOINT_URL": aws.url,
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "FUNCTIONROLE",
            "AWS_SECRET_ACCESS_KEY": "function-secret",
            "AWS_SESSION_TOKEN": "function-token",
            "AWS_LAMBDA_FUNCTION_NAME": function,
            "AWS_EC2_METADATA_DISABLED": "true",
            **SETTINGS,
            **settings,
        }
        log, results = tmp_path / f"{time.monotonic_ns()}.log", tmp_path / "results.json"
        results.unlink(missing_ok=True)
        work = {
            "environ": {name: value for name, value in environ.items() if value is not None},
            "events": events,
            "crash_after": crash_after,
            "time_left_s": time_left_s,
            "log": str(log),
            "results": str(results),
        }
        process = runners(function)
        process.stdin.write(json.dumps(work) + "\n")
        process.stdin.flush()
        code = int(process.stdout.readline())
        assert code in (0, 9), log.read_text()
        answers = json.loads(results.read_text()) if results.exists() else []
        return Run(answers, log.read_text(), code)

    return run


@pytest.fixture
def event():
    """A recorded event by name, with changes to UserParameters (None removes one) and job data."""

    def load(name, params=None, job_id=None, token=None, **data):
        recorded = json.loads((ROOT / "tests/events" / f"{name}.json").read_text())
        job = recorded["CodePipeline.job"]
        configuration = job["data"]["actionConfiguration"]["configuration"]
        if isinstance(params, str):
            configuration["UserParameters"] = params
        elif params:
            given = json.loads(configuration["UserParameters"]) | params
            given = {key: value for key, value in given.items() if value is not None}
            configuration["UserParameters"] = json.dumps(given)
        job["id"] = job_id or job["id"]
        job["data"] |= data
        if token:
            job["data"]["continuationToken"] = token
        return copy.deepcopy(recorded)

    return load


@pytest.fixture
def put_input(aws):
    """Store content as the input artifact of an event."""

    def put(event, content, name="artifact.json"):
        place = event["CodePipeline.job"]["data"]["inputArtifacts"][0]["location"]["s3Location"]
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr(name, json.dumps(content))
        aws.objects[place["bucketName"], place["objectKey"]] = buffer.getvalue()

    return put


@pytest.fixture
def full_testing(event, put_input, aws):
    """The event of FullTest with a good endpoint; keyword arguments change UserParameters."""
    aws.model_answers = answer
    aws.objects["data", "validation/validation.csv"] = csv_of(*GOOD)

    def make(job_id=None, token=None, **params):
        asking = event("full-test", params=params, job_id=job_id, token=token)
        put_input(asking, DEPLOYED)
        return asking

    return make


@pytest.fixture
def output(aws):
    """Read the output artifact of an event: exactly one JSON file in a ZIP."""

    def read(event):
        place = event["CodePipeline.job"]["data"]["outputArtifacts"][0]["location"]["s3Location"]
        with zipfile.ZipFile(
            io.BytesIO(aws.objects[place["bucketName"], place["objectKey"]])
        ) as archive:
            [name] = archive.namelist()
            assert name.endswith(".json")
            return json.loads(archive.read(name))

    return read


@pytest.fixture
def ending(aws):
    """The one ending of an event's job; fails if there is none or more than one."""

    def of(event):
        [only] = aws.endings[event["CodePipeline.job"]["id"]]
        return only

    return of
