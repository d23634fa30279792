"""Who may call: one administrator's key, and no request without its own valid signature.

ministack takes `test`, any twelve digits and the configured key as root and checks no signature
of them; on AWS a wrong secret is 403 for everybody. And it reads `aws:SecureTransport` off the
connection: the local cloud speaks plain HTTP to itself, so the key is true here, or each bucket
with a TLS-only policy would be shut (an exception that the README names).
"""

from __future__ import annotations

import contextvars
import os
from collections.abc import Callable
from typing import Any

from local_cloud.strict import seams as private

_pinning: contextvars.ContextVar[bool] = contextvars.ContextVar("pinning_request", default=False)


def install() -> None:
    """Make the administrator's key the only root, and check its signature."""
    private.IS_ROOT_KEY.wrap(_only_administrator)
    private.STS_IS_ROOT_KEY.wrap(_only_administrator)
    private.NEEDS_NO_SIGNATURE.wrap(_not_while_pinning)
    private.PIN_SIGNED_REQUEST.wrap(_pin_every_key)
    private.APP_PIN_SIGNED_REQUEST.wrap(_pin_every_key)
    private.CONDITION_KEY.wrap(_secure_transport)
    for door in private.ADMIN_DOORS:
        door.wrap(_closed)


def _closed(_known: Callable[..., Any]) -> Callable[..., Any]:
    """Shut a door that anybody, a web page included, could reset or read the cloud by."""

    async def strict(*_arguments: Any) -> None:
        return None

    return strict


def _only_administrator(_known: Callable[[str], bool]) -> Callable[[str], bool]:
    """Calls inside ministack carry no key at all: those stay root."""

    def strict(access_key_id: str) -> bool:
        return not access_key_id or access_key_id == os.environ["AWS_ACCESS_KEY_ID"]

    return strict


def _not_while_pinning(known: Callable[[str], bool]) -> Callable[[str], bool]:
    def strict(access_key_id: str) -> bool:
        return not _pinning.get() and known(access_key_id)

    return strict


def _pin_every_key(known: Callable[..., None]) -> Callable[..., None]:
    def strict(*arguments: Any, **named: Any) -> None:
        token = _pinning.set(True)
        try:
            known(*arguments, **named)
        finally:
            _pinning.reset(token)

    return strict


def _secure_transport(known: Callable[[str, Any], Any]) -> Callable[[str, Any], Any]:
    def strict(key: str, ctx: Any) -> Any:
        return "true" if key.lower() == "aws:securetransport" else known(key, ctx)

    return strict
