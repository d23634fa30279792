"""The local cloud's one HTTP server: its own front routes first, then ministack."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from local_cloud import seams, strict
from local_cloud.codebuild.service import CodeBuild
from local_cloud.codecommit import CodeCommit
from local_cloud.codecommit.git_http import GitHttp
from local_cloud.codepipeline.service import CodePipeline
from local_cloud.ecr import Ecr
from local_cloud.ecr.registry import Registry
from local_cloud.front import StageFront
from local_cloud.sagemaker import SageMaker
from local_cloud.service import JsonService


class Front(Protocol):
    """A route of the local cloud's own, asked before ministack."""

    def wants(self, scope: dict[str, Any]) -> bool:
        """Say whether this route answers the request."""
        ...

    async def __call__(self, scope: dict[str, Any], receive: Callable, send: Callable) -> None:
        """Answer an ASGI request."""
        ...


class LocalCloud:
    """The ASGI application: every service installed, every front route in order."""

    def __init__(self) -> None:
        strict.install()
        codecommit = CodeCommit()
        ecr = Ecr()
        codebuild = CodeBuild()
        codepipeline = CodePipeline(codecommit, codebuild)
        self.services: list[JsonService] = [codecommit, ecr, codebuild, codepipeline, SageMaker()]
        for service in self.services:
            service.install()
        self.fronts: Sequence[Front] = [GitHttp(codecommit), Registry(ecr), StageFront()]

    async def __call__(self, scope: dict[str, Any], receive: Callable, send: Callable) -> None:
        """Hand a request to the first front route that wants it, else to ministack."""
        if scope["type"] == "http":
            for front in self.fronts:
                if front.wants(scope):
                    await front(scope, receive, send)
                    return
        await seams.serve_asgi(scope, receive, send)
