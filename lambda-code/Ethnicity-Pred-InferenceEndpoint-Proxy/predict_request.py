"""From an API Gateway event to the picture that somebody asks about."""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from api_error import ApiError

MAX_IMAGE_BYTES = 5_000_000  # SageMaker takes a payload of 6 MB
_MAGIC = {b"\xff\xd8\xff": "image/jpeg", b"\x89PNG\r\n\x1a\n": "image/png"}
_FORMS = 'send {"image_name": "download-1.jpg"}, or {"image": "<base64 of a JPEG or PNG>"}'


@dataclass(frozen=True)
class PredictRequest:
    """Either the name of a stored image, or the image itself."""

    image_name: str | None = None
    image: bytes | None = field(default=None, repr=False)


def parse(event: Mapping[str, Any], *, allow_uploads: bool) -> PredictRequest:
    """Read the body, or raise the ApiError that says what is wrong with it."""
    body = _body(event)
    unknown = sorted(set(body) - {"image_name", "image"})
    if unknown or len(body) != 1:
        what = f"unknown {', '.join(map(repr, unknown))[:100]}" if unknown else "not one field"
        raise ApiError("bad_request", f"the body has {what}; {_FORMS}")
    if "image_name" in body:
        return PredictRequest(image_name=plain_name(body["image_name"]))
    if not allow_uploads:
        raise ApiError(
            "forbidden",
            "this API takes no uploaded images (AllowImageUploads is false); "
            'send {"image_name": ...} of an image in the data bucket',
        )
    return PredictRequest(image=_decoded(body["image"]))


def plain_name(name: object) -> str:
    """Return a name that can be nothing but a file directly in the images folder."""
    is_plain = (
        isinstance(name, str)
        and 1 <= len(name.encode("utf-8", "replace")) <= 255
        and name.isprintable()
        and not name.startswith(".")
        and not any(part in name for part in ("/", "\\", ".."))
    )
    if not is_plain:
        raise ApiError(
            "bad_request",
            "'image_name' must be a plain file name of at most 255 bytes: no folders, no '..'",
        )
    return str(name)


def content_type(image: bytes) -> str:
    """Tell JPEG from PNG by the first bytes; anything else is not an image to us."""
    for magic, kind in _MAGIC.items():
        if image.startswith(magic):
            return kind
    raise ApiError("not_an_image", "the image is neither a JPEG nor a PNG")


def check_size(size: int) -> None:
    """Refuse what the endpoint would refuse."""
    if size > MAX_IMAGE_BYTES:
        raise ApiError("too_large", f"the image has {size} bytes; {MAX_IMAGE_BYTES} are taken")
    if size == 0:
        raise ApiError("not_an_image", "the image is empty")


def _body(event: Mapping[str, Any]) -> dict[str, Any]:
    headers = {k.lower(): v for k, v in (event.get("headers") or {}).items()}
    kind = str(headers.get("content-type") or "application/json").split(";")[0].strip().lower()
    if kind != "application/json":
        raise ApiError("unsupported_media_type", "Content-Type must be application/json")
    text = event.get("body") or ""
    try:
        raw = base64.b64decode(text, validate=True) if event.get("isBase64Encoded") else text
        body = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise ApiError("bad_request", f"the body is not JSON; {_FORMS}") from error
    if not isinstance(body, dict):
        raise ApiError("bad_request", f"the body is not a JSON object; {_FORMS}")
    return body


def _decoded(text: object) -> bytes:
    if not isinstance(text, str):
        raise ApiError("bad_request", "'image' must be a base64 text")
    check_size(len(text) * 3 // 4 - text[-2:].count("="))
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ApiError(
            "bad_request", "'image' is not base64 (no line breaks, no 'data:' in front of it)"
        ) from error
