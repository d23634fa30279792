"""Clients, made once each, and the two answers that clean-up takes for no failure."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

# Throttling is to be expected of an account with much to list and to delete.
CONFIG = Config(retries={"mode": "adaptive", "max_attempts": 5})

_GONE = frozenset(
    {
        "NoSuchBucket",
        "NoSuchEntity",
        "NotFoundException",
        "PipelineExecutionNotFoundException",
        "PipelineNotFoundException",
        "RepositoryDoesNotExistException",
        "RepositoryNotFoundException",
        "ResourceNotFound",
        "ResourceNotFoundException",
    }
)
_GONE_WORDS = ("could not find", "does not exist", "recordnotfound", "not found")
_BUSY = frozenset({"ConflictException", "OperationAborted", "ResourceInUse", "ValidationException"})


class Aws:
    """The account and region to clean, through one session."""

    def __init__(self, session: boto3.session.Session | None = None) -> None:
        self.session: Any = session or boto3.session.Session()
        self._clients: dict[str, Any] = {}

    def client(self, service: str) -> Any:
        """Return the client of a service."""
        if service not in self._clients:
            self._clients[service] = self.session.client(service, config=CONFIG)
        return self._clients[service]

    def pages(self, service: str, operation: str, key: str, **request: Any) -> list[Any]:
        """Return all items under `key` of a listing, from every page."""
        paginator = self.client(service).get_paginator(operation)
        return [item for page in paginator.paginate(**request) for item in page.get(key, [])]

    @property
    def region(self) -> str:
        """Return the region that the clients speak to."""
        region: str = self.client("sts").meta.region_name
        return region

    @cached_property
    def caller(self) -> dict[str, str]:
        """Return the caller's Account and Arn."""
        identity: dict[str, str] = self.client("sts").get_caller_identity()
        return identity


def error_code(error: ClientError) -> str:
    """Return AWS's code of an error."""
    return str(error.response.get("Error", {}).get("Code", ""))


def is_gone(error: ClientError) -> bool:
    """Say whether AWS answers that there is no such thing (SageMaker says so in words only)."""
    code = error_code(error)
    if code in _GONE:
        return True
    words = error.response.get("Error", {}).get("Message", "").lower()
    return code in {"ValidationException", "ValidationError"} and any(
        w in words for w in _GONE_WORDS
    )


def is_busy(error: ClientError) -> bool:
    """Say whether AWS answers that a thing is in a state that must pass first."""
    return error_code(error) in _BUSY and not is_gone(error)
