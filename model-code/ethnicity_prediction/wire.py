"""What goes over the wire: request bodies -> images, probabilities -> answers."""

import base64
import binascii
import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .data import PIXELS, SIDE, parse_row
from .errors import BadInputError, MalformedError, OutOfRangeError, TooLargeError
from .images import MAX_PIXELS, Decoder, InputSpec, fit_pixels
from .labels import Labels
from .media import ANSWERS, CSV, JPEG, JSON, PNG

MAX_BODY_BYTES = 6 * 1024 * 1024  # SageMaker's limit for one invocation
MAX_ROWS = 1000


@dataclass(frozen=True)
class Limits:
    """What the images of one request may come to; checked before any is decoded."""

    rows: int = MAX_ROWS
    pixels: int = MAX_PIXELS


class UnsupportedTypeError(BadInputError):
    """A content type that we do not read."""


class NotAcceptableError(BadInputError):
    """An answer is wanted in a form that we do not write."""


@functools.lru_cache(maxsize=256)
def media_type(header: bytes) -> str:
    return header.decode("latin-1").partition(";")[0].strip().lower()


@functools.lru_cache(maxsize=256)
def answer_type(accept: bytes, content_type: str) -> str:
    """The first type in the Accept header that we write; CSV for CSV and JSON otherwise."""
    default = CSV if content_type == CSV else JSON
    wanted = [media_type(part) for part in accept.split(b",") if part.strip()]
    for kind in wanted or ["*/*"]:
        if kind in ANSWERS:
            return kind
        if kind in ("*/*", "text/*", "application/*"):
            return {"text/*": CSV, "application/*": JSON}.get(kind, default)
    raise NotAcceptableError(f"answers are {CSV} or {JSON}, not {accept[:80].decode('latin-1')}")


def read_request(
    body: bytes, content_type: str, spec: InputSpec, limits: Limits = Limits()
) -> np.ndarray:
    """Images uint8 [N, size, size, channels] of a request body."""
    if content_type in (JPEG, PNG):
        return Decoder(spec, limits.pixels)(body)[None]
    if content_type == CSV:
        return _read_csv(body, spec, limits)
    if content_type == JSON:
        return _read_json(body, spec, limits)
    raise UnsupportedTypeError(
        f"content type {content_type[:80] or '(none)'} is not read; send {CSV}, {JSON}, {JPEG} "
        f"or {PNG}"
    )


def _read_csv(body: bytes, spec: InputSpec, limits: Limits) -> np.ndarray:
    lines = [line for line in body.splitlines() if line.strip()]
    _check_rows(len(lines), limits.rows)
    rows = [_numbered(number, parse_row, line) for number, line in enumerate(lines, start=1)]
    return fit_pixels(np.concatenate(rows).reshape(-1, SIDE, SIDE), spec)


def _read_json(body: bytes, spec: InputSpec, limits: Limits) -> np.ndarray:
    try:
        data = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise MalformedError("the body is not JSON") from error
    instances = data.get("instances") if isinstance(data, dict) else None
    if not isinstance(instances, list):
        raise MalformedError('the body must be {"instances": [{"image": …} or {"pixels": […]}, …]}')
    _check_rows(len(instances), limits.rows)
    decoder = Decoder(spec, limits.pixels)
    images = [
        _numbered(number, _read_instance, instance, decoder)
        for number, instance in enumerate(instances, start=1)
    ]
    return np.stack(images)


def _numbered(number: int, read: Any, *what: Any) -> np.ndarray:
    try:
        return read(*what)
    except BadInputError as error:
        raise type(error)(f"row {number}: {error}") from error


def _check_rows(rows: int, most: int) -> None:
    if rows == 0:
        raise MalformedError("the body has no rows")
    if rows > most:
        raise TooLargeError(f"{rows} rows; at most {most} in one request")


def _read_instance(instance: Any, decoder: Decoder) -> np.ndarray:
    if not isinstance(instance, dict) or len(instance.keys() & {"image", "pixels"}) != 1:
        raise MalformedError('an instance is {"image": "<base64>"} or {"pixels": [2304 numbers]}')
    if "pixels" in instance:
        return fit_pixels(_read_pixels(instance["pixels"]), decoder.spec)[0]
    text = instance["image"]
    if not isinstance(text, str):
        raise MalformedError('"image" must be a base64 string')
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise MalformedError('"image" is not base64') from error
    return decoder(data)


def _read_pixels(pixels: Any) -> np.ndarray:
    if not isinstance(pixels, list) or len(pixels) != PIXELS:
        raise MalformedError(f'"pixels" must be a list of {PIXELS} numbers')
    for position, pixel in enumerate(pixels, start=1):
        if type(pixel) is not int:
            raise MalformedError(f"pixel {position} is not a whole number")
        if not 0 <= pixel <= 255:
            raise OutOfRangeError(f"pixel {position} is {str(pixel)[:20]}, not in 0-255")
    return np.array(pixels, dtype=np.uint8).reshape(1, SIDE, SIDE)


class AnswerWriter:
    """Probabilities -> the body of an answer; what is the same in all is written once."""

    def __init__(self, labels: Labels, card: Mapping[str, Any]) -> None:
        self.lines = [f"{name}\n" for name in labels.names]
        self.quoted = [json.dumps(name) for name in labels.names]
        pairs = ", ".join(f"{name.replace('%', '%%')}: %r" for name in self.quoted)
        self.prediction = f'{{"predict": %s, "probabilities": {{{pairs}}}}}'
        self.model = json.dumps({key: card[key] for key in ("name", "version", "sensitive")})

    def __call__(self, probabilities: np.ndarray, kind: str) -> bytes:
        """CSV (one label a line) or JSON."""
        chosen = probabilities.argmax(axis=1).tolist()
        if kind == CSV:
            return "".join([self.lines[code] for code in chosen]).encode()
        predictions = [
            self.prediction % (self.quoted[code], *[round(share, 6) for share in row])
            for code, row in zip(chosen, probabilities.tolist(), strict=True)
        ]
        return f'{{"predictions": [{", ".join(predictions)}], "model": {self.model}}}'.encode()
