# ruff: noqa: N803 -- the arguments are the names of the APIs themselves
"""A small AWS for one function at a time: real HTTP, state in memory, faults on demand.

It is no second local cloud: it has the few operations that the functions call, answers in the
shapes of botocore's own models (and checks itself against them), notes who called what, and lets
a test plant errors, statuses and model answers.
"""

import contextlib
import json
import re
import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

import botocore.session
from botocore.validate import ParamValidator
from row_file import RowFile

ARN = "arn:aws:sagemaker:us-east-1:000000000000"


class AwsFault(Exception):
    def __init__(self, code, message, status=400, **more):
        super().__init__(message)
        self.code, self.message, self.status, self.more = code, message, status, more


@dataclass
class Call:
    operation: str
    request: dict[str, Any]
    access_key: str


@dataclass
class FakeAws:
    objects: dict[tuple[str, str], bytes | RowFile] = field(default_factory=dict)
    object_headers: dict[tuple[str, str], dict[str, str]] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    faults: dict[str, list[AwsFault]] = field(default_factory=lambda: defaultdict(list))
    endings: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    training: dict[str, dict[str, Any]] = field(default_factory=dict)
    models: dict[str, dict[str, Any]] = field(default_factory=dict)
    configs: dict[str, dict[str, Any]] = field(default_factory=dict)
    endpoints: dict[str, dict[str, Any]] = field(default_factory=dict)
    packages: dict[str, list[dict[str, Any]]] = field(default_factory=dict)  # versions by group
    model_answers: Any = None  # (content type, body) -> bytes, or raises AwsFault
    missing_object: AwsFault = field(
        default_factory=lambda: AwsFault("NoSuchKey", "The key does not exist.", 404)
    )
    url: str = ""

    # ---- for tests
    def operations(self):
        return [call.operation for call in self.calls]

    def fail(self, operation, code, message="planted", status=400, times=1):
        self.faults[operation] += [AwsFault(code, message, status)] * times

    def called(self, operation):
        return [call.request for call in self.calls if call.operation == operation]

    # ---- dispatch
    def answer(self, operation, request, access_key):
        self.calls.append(Call(operation, request, access_key))
        if self.faults[operation]:
            raise self.faults[operation].pop(0)
        result = getattr(self, operation)(**request) or {}
        service = "codepipeline" if operation.startswith("PutJob") else "sagemaker"
        shape = _models().get_service_model(service).operation_model(operation).output_shape
        if shape:
            told = ParamValidator().validate(result, shape)
            assert not told.has_errors(), told.generate_report()
        return result

    # ---- CodePipeline
    def PutJobSuccessResult(self, jobId, **result):
        self._end(jobId, {"ending": "success", **result})

    def PutJobFailureResult(self, jobId, failureDetails):
        self._end(jobId, {"ending": "failure", **failureDetails})

    def _end(self, job_id, ending):
        if self.endings[job_id]:
            raise AwsFault("InvalidJobStateException", f"job {job_id} has ended already")
        self.endings[job_id].append(ending)

    # ---- SageMaker: training
    def CreateTrainingJob(self, TrainingJobName, **request):
        if TrainingJobName in self.training:
            raise AwsFault("ResourceInUse", "Job name must be unique within an AWS account")
        self.training[TrainingJobName] = {
            "TrainingJobName": TrainingJobName,
            "TrainingJobArn": f"{ARN}:training-job/{TrainingJobName}",
            "TrainingJobStatus": "InProgress",
            "SecondaryStatus": "Starting",
            "ModelArtifacts": {"S3ModelArtifacts": ""},
            "CreationTime": time.time(),
            **{k: v for k, v in request.items() if k != "Tags"},
        }
        return {"TrainingJobArn": self.training[TrainingJobName]["TrainingJobArn"]}

    def DescribeTrainingJob(self, TrainingJobName):
        return self._there(self.training, TrainingJobName, "Requested resource not found.")

    # ---- SageMaker: hosting
    def CreateModel(self, ModelName, **request):
        self._new(self.models, ModelName, "model", {"ModelName": ModelName, **request})
        return {"ModelArn": f"{ARN}:model/{ModelName}"}

    def DescribeModel(self, ModelName):
        model = self._there(self.models, ModelName, f'Could not find model "{ModelName}".')
        arn, now = f"{ARN}:model/{ModelName}", time.time()
        return {**_without_tags(model), "ModelArn": arn, "CreationTime": now}

    def DeleteModel(self, ModelName):
        self._there(self.models, ModelName, f'Could not find model "{ModelName}".')
        del self.models[ModelName]

    def CreateEndpointConfig(self, EndpointConfigName, **request):
        config = {"EndpointConfigName": EndpointConfigName, **request}
        self._new(self.configs, EndpointConfigName, "endpoint configuration", config)
        return {"EndpointConfigArn": f"{ARN}:endpoint-config/{EndpointConfigName}"}

    def DescribeEndpointConfig(self, EndpointConfigName):
        told = f'Could not find endpoint configuration "{EndpointConfigName}".'
        config = _without_tags(self._there(self.configs, EndpointConfigName, told))
        arn = f"{ARN}:endpoint-config/{EndpointConfigName}"
        return {**config, "EndpointConfigArn": arn, "CreationTime": time.time()}

    def DeleteEndpointConfig(self, EndpointConfigName):
        self.DescribeEndpointConfig(EndpointConfigName)
        del self.configs[EndpointConfigName]

    def ListTags(self, ResourceArn):
        return {"Tags": self.configs[ResourceArn.split("/")[1]]["Tags"]}

    def CreateEndpoint(self, EndpointName, EndpointConfigName, Tags):
        self._new(self.endpoints, EndpointName, "endpoint", {})
        self.put_endpoint(EndpointName, EndpointConfigName, "Creating")
        return {"EndpointArn": f"{ARN}:endpoint/{EndpointName}"}

    def put_endpoint(self, name, config, status, **more):
        self.endpoints[name] = {
            "EndpointName": name,
            "EndpointArn": f"{ARN}:endpoint/{name}",
            "EndpointConfigName": config,
            "EndpointStatus": status,
            "CreationTime": time.time(),
            "LastModifiedTime": time.time(),
            **more,
        }

    def UpdateEndpoint(self, EndpointName, EndpointConfigName, DeploymentConfig=None):
        endpoint = self.DescribeEndpoint(EndpointName)
        if endpoint["EndpointStatus"] != "InService":
            raise AwsFault("ValidationException", "Cannot update in-progress endpoint")
        endpoint["EndpointStatus"] = "Updating"
        endpoint["PendingDeploymentSummary"] = {"EndpointConfigName": EndpointConfigName}
        return {"EndpointArn": endpoint["EndpointArn"]}

    def DescribeEndpoint(self, EndpointName):
        told = f'Could not find endpoint "{EndpointName}".'
        return self._there(self.endpoints, EndpointName, told)

    def DeleteEndpoint(self, EndpointName):
        self.DescribeEndpoint(EndpointName)["EndpointStatus"] = "Deleting"

    # ---- SageMaker: model registry
    def CreateModelPackageGroup(self, ModelPackageGroupName, **_):
        if ModelPackageGroupName in self.packages:
            told = f"Model Package Group already exists: {ARN}"
            raise AwsFault("ValidationException", told)
        self.packages[ModelPackageGroupName] = []
        return {"ModelPackageGroupArn": f"{ARN}:model-package-group/{ModelPackageGroupName}"}

    def CreateModelPackage(self, ModelPackageGroupName, **request):
        """Take a ClientToken as AWS takes them elsewhere: with another request it is refused."""
        group = ModelPackageGroupName.split("/")[-1]
        versions = self._there(self.packages, group, f"ModelPackageGroup {group} does not exist.")
        known = [v for v in versions if v["ClientToken"] == request["ClientToken"]]
        if known and known[0] != request:
            raise AwsFault("ConflictException", "the token was used for another request")
        if not known:
            versions.append(request)
        number = versions.index(request) + 1
        return {"ModelPackageArn": f"{ARN}:model-package/{group}/{number}"}

    def UpdateModelPackage(self, ModelPackageArn, **changes):
        group, number = ModelPackageArn.split("/")[1:]
        told = f"ModelPackage {ModelPackageArn} does not exist."
        if int(number) > len(self.packages.get(group, [])):
            raise AwsFault("ValidationException", told)
        self.packages[group][int(number) - 1] |= changes
        return {"ModelPackageArn": ModelPackageArn}

    @staticmethod
    def _there(things, name, told):
        if name not in things:
            raise AwsFault("ValidationException", told)
        return things[name]

    @staticmethod
    def _new(things, name, kind, thing):
        if name in things:
            raise AwsFault(
                "ValidationException", f'Cannot create already existing {kind} "{name}".'
            )
        things[name] = thing

    # ---- S3
    def get_object(self, bucket, key, headers):
        if (bucket, key) not in self.objects:
            raise self.missing_object
        content, etag = self.objects[bucket, key], self.etag(bucket, key)
        if headers.get("If-Match", etag) != etag:
            raise AwsFault("PreconditionFailed", "changed", 412)
        if match := re.fullmatch(r"bytes=(\d+)-", headers.get("Range", "")):
            content = content[int(match[1]) :]
            if not content:
                raise AwsFault("InvalidRange", "The requested range is not satisfiable", 416)
        return content

    def etag(self, bucket, key):
        return f'"{abs(hash(self.objects[bucket, key])):x}"'

    def list_objects(self, bucket, prefix, token, page=3):
        keys = sorted(k for b, k in self.objects if b == bucket and k.startswith(prefix))
        start = int(token or 0)
        rows = "".join(
            f"<Contents><Key>{escape(key)}</Key><Size>{len(self.objects[bucket, key])}</Size>"
            f"<ETag>{escape(self.etag(bucket, key))}</ETag></Contents>"
            for key in keys[start : start + page]
        )
        more = start + page < len(keys)
        following = f"<NextContinuationToken>{start + page}</NextContinuationToken>" if more else ""
        truncated = "true" if more else "false"
        return f"<R>{rows}{following}<IsTruncated>{truncated}</IsTruncated></R>".encode()


def _without_tags(thing):
    return {key: value for key, value in thing.items() if key != "Tags"}


def _models(kept=[]):  # noqa: B006
    kept or kept.append(botocore.session.get_session())
    return kept[0]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16  # head and body in one packet, or each answer waits for a delayed ACK
    aws: FakeAws

    def log_message(self, *args):
        pass

    def handle(self):
        with contextlib.suppress(ConnectionError):  # the function has read enough, or is no more
            super().handle()

    def finish(self):
        with contextlib.suppress(ConnectionError):
            super().finish()

    def handle_expect_100(self):
        super().handle_expect_100()
        self.wfile.flush()
        return True

    def do_GET(self):
        self._guarded(self._s3_get)

    def do_PUT(self):
        self._guarded(self._s3_put)

    def do_POST(self):
        target = self.headers.get("X-Amz-Target")
        self._guarded(self._json if target else self._invoke)

    def _guarded(self, act):
        found = re.search(r"Credential=([^/]+)/", self.headers.get("Authorization", ""))
        self.access_key = found[1] if found else ""
        length = int(self.headers.get("Content-Length") or 0)
        self.body = self.rfile.read(length)
        try:
            act()
        except AwsFault as fault:
            self._fault(fault)

    def _fault(self, fault):
        headers = {"x-amzn-errortype": fault.code}
        if self.command == "POST":
            body = {"__type": fault.code, "message": fault.message, "Message": fault.message}
            self._send(fault.status, json.dumps(body | fault.more).encode(), headers)
        else:
            xml = f"<Error><Code>{fault.code}</Code><Message>{fault.message}</Message></Error>"
            self._send(fault.status, xml.encode(), headers)

    def _send(self, status, body, headers=None):
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        for piece in [body] if isinstance(body, bytes) else body:
            self.wfile.write(piece)

    def _json(self):
        operation = self.headers["X-Amz-Target"].split(".")[1]
        result = self.aws.answer(operation, json.loads(self.body), self.access_key)
        self._send(200, json.dumps(result).encode())

    def _invoke(self):
        name = unquote(urlsplit(self.path).path).split("/")[2]
        kind, accept = self.headers["Content-Type"], self.headers["Accept"]
        request = {"EndpointName": name, "ContentType": kind, "Accept": accept, "Body": self.body}
        self.aws.calls.append(Call("InvokeEndpoint", request, self.access_key))
        if self.aws.faults["InvokeEndpoint"]:
            raise self.aws.faults["InvokeEndpoint"].pop(0)
        self._send(200, self.aws.model_answers(kind, self.body), {"Content-Type": accept})

    def _s3_get(self):
        url = urlsplit(self.path)
        bucket, _, key = unquote(url.path).lstrip("/").partition("/")
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        operation = "GetObject" if key else "ListObjectsV2"
        self.aws.calls.append(Call(operation, {"Bucket": bucket, "Key": key}, self.access_key))
        if self.aws.faults[operation]:
            raise self.aws.faults[operation].pop(0)
        if key:
            content = self.aws.get_object(bucket, key, self.headers)
            self._send(200, content, {"ETag": self.aws.etag(bucket, key)})
        else:
            token = query.get("continuation-token")
            self._send(200, self.aws.list_objects(bucket, query.get("prefix", ""), token))

    def _s3_put(self):
        bucket, _, key = unquote(urlsplit(self.path).path).lstrip("/").partition("/")
        call = Call("PutObject", {"Bucket": bucket, "Key": key}, self.access_key)
        self.aws.calls.append(call)
        if self.aws.faults["PutObject"]:
            raise self.aws.faults["PutObject"].pop(0)
        self.aws.objects[bucket, key] = self.body
        self.aws.object_headers[bucket, key] = {k.lower(): v for k, v in self.headers.items()}
        self._send(200, b"", {"ETag": self.aws.etag(bucket, key)})


def serve(aws):
    """Start a server for aws on a free port of the loopback address; returns it, to shut down."""
    handler = type("Handler", (_Handler,), {"aws": aws})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    aws.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
    return server
