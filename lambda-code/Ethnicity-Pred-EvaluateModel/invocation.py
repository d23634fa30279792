"""Asking the endpoint about rows, many in one request."""

import base64
import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from common.failures import ActionFailed, error_code
from endpoint_answers import Answer, check_answer
from evaluation_data import Row
from evaluation_source import Found, LabelledData, Place

BATCH_ROWS = 100
BATCH_IMAGES = 32
BATCH_BYTES = 2_000_000  # before base64; real-time endpoints take 6 MB, serverless ones 4 MB
FETCHERS = 8  # images read from S3 at once


@dataclass(frozen=True)
class Batch:
    """Rows of one content type, their request body, and the place behind the last of them."""

    content_type: str
    body: bytes
    rows: list[Row]
    behind: Place


def batches(data: LabelledData, start: Place, max_rows: int) -> Iterator[Batch]:
    """Cut at most max_rows rows from start on into requests that the endpoint can take."""
    found: list[Found] = []
    for item in itertools.islice(data.rows(start), max_rows):
        full = len(found) == (BATCH_ROWS if item.layout.is_pixels else BATCH_IMAGES)
        if found and (full or found[0].layout.is_pixels != item.layout.is_pixels):
            yield from _requests(data, found)
            found = []
        found.append(item)
    if found:
        yield from _requests(data, found)


def _requests(data: LabelledData, found: list[Found]) -> Iterator[Batch]:
    """Make one request of rows of one kind, or more where their images are large."""
    is_pixels = found[0].layout.is_pixels
    if is_pixels:
        parts = [item.row.image.encode() for item in found]
    else:
        from concurrent.futures import ThreadPoolExecutor  # a cold start for pixels goes without

        with ThreadPoolExecutor(FETCHERS) as pool:
            parts = list(pool.map(lambda item: data.image(item.key, item.row.image), found))
    begin = 0
    for end in range(1, len(found) + 1):
        is_last = end == len(found)
        if is_last or sum(map(len, parts[begin : end + 1])) > BATCH_BYTES:
            rows = [item.row for item in found[begin:end]]
            kind, body = _body(parts[begin:end], is_pixels=is_pixels)
            yield Batch(kind, body, rows, found[end - 1].behind)
            begin = end


def ask(runtime: Any, endpoint: str, batch: Batch, version: str) -> Answer:
    """Send a batch and check the answer's form; raise ActionFailed naming the endpoint."""
    try:
        answer = runtime.invoke_endpoint(
            EndpointName=endpoint,
            ContentType=batch.content_type,
            Accept="application/json",
            Body=batch.body,
        )
    except Exception as error:
        if error_code(error) != "ModelError":
            raise
        told = error.response  # type: ignore[attr-defined]
        raise ActionFailed(
            f"endpoint {endpoint} answered {told.get('OriginalStatusCode')} to {len(batch.rows)} "
            f"rows of {batch.content_type}: {str(told.get('OriginalMessage'))[:500]}"
        ) from error
    return check_answer(answer["Body"].read(), len(batch.rows), version)


def _body(parts: list[bytes], *, is_pixels: bool) -> tuple[str, bytes]:
    if is_pixels:
        return "text/csv", b"\n".join(parts)
    instances = [{"image": base64.b64encode(part).decode("ascii")} for part in parts]
    return "application/json", json.dumps({"instances": instances}).encode()
