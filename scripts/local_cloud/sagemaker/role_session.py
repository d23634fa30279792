"""A session of the execution role that SageMaker was handed, renewed before it runs out."""

from __future__ import annotations

import time
from typing import Any

from local_cloud import identity
from local_cloud.errors import ApiError
from local_cloud.sagemaker.permissions import SERVICE

RENEW_AFTER_S = 45 * 60


class RoleSession:
    """Clients and credentials of one role; each call uses a session that is still young."""

    def __init__(self, role_arn: str, region: str) -> None:
        self.role_arn = role_arn
        self.region = region
        self._credentials: dict[str, str] = {}
        self._clients: dict[str, Any] = {}
        self._opened = 0.0

    @property
    def credentials(self) -> dict[str, str]:
        """Credentials as boto3 client arguments; AccessDenied if the role does not let us in."""
        if not self._credentials or time.monotonic() - self._opened > RENEW_AFTER_S:
            self._credentials = identity.assume_service_role(self.role_arn, SERVICE, "SageMaker")
            self._opened = time.monotonic()
            self._clients.clear()
        return self._credentials

    def client(self, service: str) -> Any:
        """Return a boto3 client that acts as the role."""
        credentials = self.credentials
        if service not in self._clients:
            self._clients[service] = identity.client(service, credentials, self.region)
        return self._clients[service]

    def environment(self) -> dict[str, str]:
        """Return the variables with which a container finds AWS and the role's credentials."""
        everything = identity.environment(self.credentials, self.region)
        return {name: value for name, value in everything.items() if name.startswith("AWS_")}


def open_session(role_arn: str, region: str) -> RoleSession:
    """Assume the role now; ValidationException in AWS's words if it cannot be assumed."""
    session = RoleSession(role_arn, region)
    try:
        session.credentials  # noqa: B018  (opening the session is the check)
    except ApiError:
        raise ApiError(
            "ValidationException",
            f"Could not assume role {role_arn}. Please ensure that the role exists and allows "
            f"principal '{SERVICE}' to assume the role.",
        ) from None
    return session
