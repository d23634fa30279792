"""Asking the endpoint about rows, many in one request."""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from common.failures import ActionFailed, error_code
from endpoint_answers import Answer, check_answer
from evaluation_data import Row
from evaluation_source import LabelledData, Place

BATCH_ROWS = 100
BATCH_BYTES = 2_000_000  # real-time endpoints take 6 MB, serverless ones 4 MB


@dataclass(frozen=True)
class Batch:
    """Rows of one content type, their request body, and the place behind the last of them."""

    content_type: str
    body: bytes
    rows: list[Row]
    behind: Place


def batches(data: LabelledData, start: Place, max_rows: int) -> Iterator[Batch]:
    """Cut at most max_rows rows from start on into requests that the endpoint can take."""
    rows: list[Row] = []
    parts: list[bytes] = []
    is_pixels, behind, left = True, start, max_rows
    for layout, key, row, place in data.rows(start):
        if left == 0:
            break
        part = row.image.encode() if layout.is_pixels else data.image(key, row.image)
        size = sum(map(len, parts)) + len(part)
        if rows and (
            len(rows) == BATCH_ROWS or size > BATCH_BYTES or layout.is_pixels != is_pixels
        ):
            yield _batch(rows, parts, is_pixels, behind)
            rows, parts = [], []
        is_pixels, behind, left = layout.is_pixels, place, left - 1
        rows.append(row)
        parts.append(part)
    if rows:
        yield _batch(rows, parts, is_pixels, behind)


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


def _batch(rows: list[Row], parts: list[bytes], is_pixels: bool, behind: Place) -> Batch:
    if is_pixels:
        return Batch("text/csv", b"\n".join(parts), rows, behind)
    instances = [{"image": base64.b64encode(part).decode("ascii")} for part in parts]
    body = json.dumps({"instances": instances}).encode()
    return Batch("application/json", body, rows, behind)
