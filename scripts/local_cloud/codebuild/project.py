"""What CodeBuild keeps of a project, what of it is honoured, and the builds made from it."""

from __future__ import annotations

import time
import uuid
from typing import Any

from local_cloud.codebuild.runner import Order
from local_cloud.errors import ApiError
from local_cloud.members import Members, members, refuse_unhonoured
from local_cloud.service import Call

SOURCE_TYPES = ("CODEPIPELINE", "S3", "NO_SOURCE")
ARTIFACT_TYPES = ("CODEPIPELINE", "S3", "NO_ARTIFACTS")
VARIABLES = members("name", "value", "type")
PROJECT: Members = members(
    *("name", "description", "serviceRole", "timeoutInMinutes", "queuedTimeoutInMinutes"),
    *("encryptionKey", "tags"),
    source=members("type", "location", "buildspec"),
    artifacts=members("type", "location", "path", "name", "packaging", "encryptionDisabled"),
    cache=members("type", "modes"),
    environment=members(
        "type", "image", "computeType", "privilegedMode", environmentVariables=VARIABLES
    ),
    logsConfig=members(
        cloudWatchLogs=members("status", "groupName", "streamName"), s3Logs=members("status")
    ),
)
START_BUILD: Members = members(
    *("projectName", "sourceVersion", "buildspecOverride", "timeoutInMinutesOverride"),
    environmentVariablesOverride=VARIABLES,
)


def check_project(operation: str, request: dict[str, Any]) -> None:
    """Refuse, by name, what a build of this project would not honour."""
    refuse_unhonoured(f"codebuild:{operation}", PROJECT, request)
    _one_of("source.type", request.get("source", {}).get("type"), SOURCE_TYPES)
    _one_of("artifacts.type", request.get("artifacts", {}).get("type"), ARTIFACT_TYPES)
    _one_of("cache.type", request.get("cache", {}).get("type"), ("NO_CACHE", "LOCAL"))
    s3_logs = request.get("logsConfig", {}).get("s3Logs", {})
    _one_of("logsConfig.s3Logs.status", s3_logs.get("status"), ("DISABLED",))
    packaging = request.get("artifacts", {}).get("packaging")
    _one_of("artifacts.packaging", packaging, ("ZIP",))
    check_variables(request.get("environment", {}).get("environmentVariables", []))
    pipeline = [request.get(name, {}).get("type") for name in ("source", "artifacts")]
    if "CODEPIPELINE" in pipeline and set(pipeline) != {"CODEPIPELINE"}:
        raise ApiError(
            "InvalidInputException",
            "Invalid project source: source and artifacts must both be of type CODEPIPELINE",
        )


def check_variables(variables: list[dict[str, str]]) -> None:
    """Refuse variables from other services, and names that are CodeBuild's own."""
    for variable in variables:
        _one_of(f"type of {variable['name']}", variable.get("type"), ("PLAINTEXT",))
        if variable["name"].startswith("CODEBUILD_"):
            message = f"{variable['name']}: names that begin with CODEBUILD_ are reserved"
            raise ApiError("InvalidInputException", message)


def new_project(request: dict[str, Any], call: Call) -> dict[str, Any]:
    """Describe a project with the defaults that CodeBuild fills in."""
    now = time.time()
    environment = {"privilegedMode": False, "environmentVariables": [], **request["environment"]}
    variables = [{"type": "PLAINTEXT", **v} for v in environment["environmentVariables"]]
    source = dict(request["source"])
    default_key = f"arn:aws:kms:{call.region}:{call.account}:alias/aws/s3"
    return {
        "timeoutInMinutes": 60,
        "queuedTimeoutInMinutes": 480,
        "encryptionKey": default_key,
        "cache": {"type": "NO_CACHE"},
        "tags": [],
        "logsConfig": {"cloudWatchLogs": {"status": "ENABLED"}},
        **request,
        "arn": project_arn(request["name"], call),
        "source": {"gitCloneDepth": 0, "insecureSsl": False, **source},
        "environment": {**environment, "environmentVariables": variables},
        "created": now,
        "lastModified": now,
    }


def project_arn(name: str, call: Call) -> str:
    """Return a project's ARN."""
    return f"arn:aws:codebuild:{call.region}:{call.account}:project/{name}"


def new_build(
    project: dict[str, Any], request: dict[str, Any], number: int, initiator: str, call: Call
) -> dict[str, Any]:
    """Describe a build that was just submitted."""
    stream = str(uuid.uuid4())
    build_id = f"{project['name']}:{stream}"
    now = time.time()
    over = {"startTime": now, "endTime": now, "durationInSeconds": 0, "phaseStatus": "SUCCEEDED"}
    variables = {v["name"]: v for v in project["environment"]["environmentVariables"]}
    for override in request.get("environmentVariablesOverride", []):
        variables[override["name"]] = {"type": "PLAINTEXT", **override}
    return {
        "id": build_id,
        "arn": f"arn:aws:codebuild:{call.region}:{call.account}:build/{build_id}",
        "buildNumber": number,
        "startTime": now,
        "currentPhase": "QUEUED",
        "buildStatus": "IN_PROGRESS",
        "buildComplete": False,
        "projectName": project["name"],
        "phases": [{"phaseType": "SUBMITTED", **over}, {"phaseType": "QUEUED", **over}],
        "source": project["source"],
        "artifacts": {"location": ""},
        "cache": project["cache"],
        "environment": {
            **project["environment"],
            "environmentVariables": list(variables.values()),
        },
        "serviceRole": project["serviceRole"],
        "logs": _logs(project, stream, call),
        "timeoutInMinutes": request.get("timeoutInMinutesOverride", project["timeoutInMinutes"]),
        "queuedTimeoutInMinutes": project["queuedTimeoutInMinutes"],
        "initiator": initiator,
        "encryptionKey": project["encryptionKey"],
        **({"sourceVersion": v} if (v := request.get("sourceVersion")) else {}),
    }


def order_of(project: dict[str, Any], build: dict[str, Any], buildspec: str | None) -> Order:
    """Say what a build does that nobody's pipeline asked for."""
    source, target = project["source"], project["artifacts"]
    location = source.get("location", "")
    bucket, _, key = location.removeprefix("arn:aws:s3:::").partition("/")
    path = "/".join(filter(None, (target.get("path", "").strip("/"), target.get("name"))))
    own_key = "alias/aws/s3" not in build["encryptionKey"]
    encrypted = own_key and not target.get("encryptionDisabled", False)
    return Order(
        buildspec=buildspec or source.get("buildspec"),
        source=(bucket, key) if source["type"] == "S3" else None,
        target=(target["location"], path) if target["type"] == "S3" else None,
        encryption_key=build["encryptionKey"] if encrypted else None,
        variables=chosen_variables(build),
        timeout_s=build["timeoutInMinutes"] * 60,
        region=build["arn"].split(":")[3],
    )


def chosen_variables(build: dict[str, Any]) -> dict[str, str]:
    """Return the variables of the project and of StartBuild."""
    return {v["name"]: v["value"] for v in build["environment"]["environmentVariables"]}


def _logs(project: dict[str, Any], stream: str, call: Call) -> dict[str, Any]:
    config = project["logsConfig"].get("cloudWatchLogs", {"status": "ENABLED"})
    if config["status"] == "DISABLED":
        return {"cloudWatchLogs": config}
    group = config.get("groupName", f"/aws/codebuild/{project['name']}")
    name = "/".join(filter(None, (config.get("streamName"), stream)))
    arn = f"arn:aws:logs:{call.region}:{call.account}:log-group:{group}:log-stream:{name}"
    return {
        "groupName": group,
        "streamName": name,
        "cloudWatchLogs": config,
        "cloudWatchLogsArn": arn,
    }


def _one_of(what: str, value: str | None, known: tuple[str, ...]) -> None:
    if value is not None and value not in known:
        message = f"{what} {value} is not emulated by the local cloud: {', '.join(known)} is"
        raise ApiError("NotImplemented", message, 501)
