"""Whose request it is, for the checks that ministack leaves out: iam:PassRole first of all."""

from __future__ import annotations

import contextvars
from collections.abc import Callable

from local_cloud import seams
from local_cloud.errors import ApiError
from local_cloud.strict import seams as private

_access_key: contextvars.ContextVar[str] = contextvars.ContextVar("caller_key", default="")


def install() -> None:
    """Remember the access key of each request; work that it starts inherits it."""
    private.PIN_CALLER.wrap(_remember)


def _remember(known: Callable[..., None]) -> Callable[..., None]:
    def strict(headers: dict, query_params: dict | None = None) -> None:
        _access_key.set(seams.access_key_of(headers, query_params or {}))
        known(headers, query_params)

    return strict


def access_key() -> str:
    """Return the access key of the request in hand; empty for a call inside the cloud."""
    return _access_key.get()


def require(action: str, resource: str, **context: str) -> None:
    """Raise AccessDeniedException unless the caller may do this, too."""
    if refused := seams.denial(_access_key.get(), action, resource, dict(context)):
        raise ApiError("AccessDeniedException", refused[1], 403)


def require_pass_role(role_arn: str, service: str) -> None:
    """Raise AccessDeniedException unless the caller may pass the role to the service."""
    require("iam:PassRole", role_arn, **{"iam:PassedToService": service})
