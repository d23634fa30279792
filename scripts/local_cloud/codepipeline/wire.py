"""Requests and answers: what is filled in, read out of or cut from them."""

from __future__ import annotations

import copy
from typing import Any

from local_cloud.codecommit import COMMIT_ID
from local_cloud.codepipeline.declaration import Pipeline
from local_cloud.errors import ApiError


def completed(declaration: dict[str, Any], version: int) -> dict[str, Any]:
    """Return a declaration with the defaults that AWS fills in."""
    complete = copy.deepcopy(declaration)
    complete["version"] = version
    complete.setdefault("pipelineType", "V1")
    complete.setdefault("executionMode", "SUPERSEDED")
    for stage in complete["stages"]:
        for action in stage["actions"]:
            action.setdefault("runOrder", 1)
            action.setdefault("configuration", {})
            action.setdefault("inputArtifacts", [])
            action.setdefault("outputArtifacts", [])
    return complete


def source_overrides(pipeline: Pipeline, revisions: list[dict[str, str]]) -> dict[str, str]:
    """Read sourceRevisions: source action → commit."""
    sources = {action.name for action in pipeline.stages[0].actions}
    for revision in revisions:
        if revision["revisionType"] != "COMMIT_ID":
            kind = revision["revisionType"]
            raise ApiError("NotImplemented", f"revisionType {kind} is not emulated", 501)
        if revision["actionName"] not in sources:
            message = f"{revision['actionName']} is no source action of the pipeline"
            raise ApiError("ValidationException", message)
        if not COMMIT_ID.fullmatch(revision["revisionValue"]):
            message = f"{revision['revisionValue']} is no commit ID of 40 hexadecimal digits"
            raise ApiError("ValidationException", message)
    return {revision["actionName"]: revision["revisionValue"] for revision in revisions}


def page(name: str, items: list[dict[str, Any]], request: dict[str, Any]) -> dict[str, Any]:
    """Cut a list at maxResults; the token is where the next page starts."""
    token = request.get("nextToken", "0")
    if not token.isdecimal():
        raise ApiError("InvalidNextTokenException", f"nextToken {token!r} is not one of ours")
    start = int(token)
    end = start + request.get("maxResults", 100)
    more = {"nextToken": str(end)} if end < len(items) else {}
    return {name: items[start:end], **more}
