"""A REST API changes in place, and a stage serves what was deployed to it.

ministack serves an API's latest definition at every stage, and gives an API whose body changes a
new id. On AWS the id stays, and a change is live only once a deployment reaches the stage: a
template that forgets the deployment leaves the stage as open as it was.
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from typing import Any

from local_cloud import seams
from local_cloud.strict import seams as private

_stage: contextvars.ContextVar[str] = contextvars.ContextVar("api_stage", default="")


def install() -> None:
    """Wrap deployments, the data plane's look-ups and the CloudFormation type."""
    private.API_CREATE_DEPLOYMENT.wrap(_keep_copy)
    private.API_DELETE_DEPLOYMENT.wrap(_drop_copy)
    private.API_MATCH.wrap(_by_deployment)
    private.API_MATCH_GREEDY.wrap(_by_deployment)
    private.API_AUTHORIZATION_TYPE.wrap(_remember_stage_of_check)
    private.API_EXECUTE.wrap(_remember_stage)
    handlers = seams.resource_handler("AWS::ApiGateway::RestApi")
    handlers["update"] = _update_in_place(handlers["update"], handlers["create"])


def deployed(api_id: str) -> str:
    """Return the id under which the stage in hand keeps its copy of the API."""
    stage = private.rest_api_stage(api_id, _stage.get()) or {}
    copy = f"{api_id}@{stage.get('deploymentId', '')}"
    return copy if private.has_rest_api_parts(copy) else api_id


def _keep_copy(known: Callable[..., Any]) -> Callable[..., Any]:
    def create(api_id: str, data: dict[str, Any]) -> Any:
        before = private.rest_api_deployments(api_id)
        answer = known(api_id, data)
        for deployment in private.rest_api_deployments(api_id) - before:
            private.copy_rest_api_parts(api_id, f"{api_id}@{deployment}")
        return answer

    return create


def _drop_copy(known: Callable[..., Any]) -> Callable[..., Any]:
    def delete(api_id: str, deployment_id: str) -> Any:
        private.drop_rest_api_parts(f"{api_id}@{deployment_id}")
        return known(api_id, deployment_id)

    return delete


def _by_deployment(known: Callable[..., Any]) -> Callable[..., Any]:
    def match(api_id: str, *arguments: Any) -> Any:
        return known(deployed(api_id), *arguments)

    return match


def _remember_stage_of_check(known: Callable[..., Any]) -> Callable[..., Any]:
    def authorization_type(api_id: str, stage_name: str, method: str, path: str) -> Any:
        token = _stage.set(stage_name)
        try:
            return known(api_id, stage_name, method, path)
        finally:
            _stage.reset(token)

    return authorization_type


def _remember_stage(known: Callable[..., Any]) -> Callable[..., Any]:
    async def execute(request: dict, api_id: str, stage_name: str, *arguments: Any) -> Any:
        token = _stage.set(stage_name)
        try:
            return await known(request, api_id, stage_name, *arguments)
        finally:
            _stage.reset(token)

    return execute


def _update_in_place(known: Callable[..., Any], create: Callable[..., Any]) -> Callable[..., Any]:
    def update(
        physical_id: str, old: dict, new: dict, stack_name: str, *logical_id: str
    ) -> tuple[str, dict]:
        if new.get("Body") == old.get("Body"):
            unchanged: tuple[str, dict] = known(physical_id, old, new, stack_name, *logical_id)
            return unchanged
        made, attributes = create(*(logical_id or (physical_id,)), new, stack_name)
        private.take_rest_api_parts(made, physical_id)
        return physical_id, {
            key: value.replace(made, physical_id) for key, value in attributes.items()
        }

    return update
