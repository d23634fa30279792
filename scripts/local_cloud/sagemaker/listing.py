"""The filters, order and pages that all List operations share."""

from __future__ import annotations

import base64
import binascii
import datetime
from collections.abc import Iterable
from typing import Any

from local_cloud.errors import ApiError

DEFAULT_PAGE = 10
TIMES = {
    "CreationTimeAfter": ("CreationTime", 1),
    "CreationTimeBefore": ("CreationTime", -1),
    "LastModifiedTimeAfter": ("LastModifiedTime", 1),
    "LastModifiedTimeBefore": ("LastModifiedTime", -1),
}


def page(
    request: dict[str, Any],
    summaries: Iterable[dict[str, Any]],
    *,
    answer: str,
    name: str,
    status: str = "",
    default_order: str = "Descending",
) -> dict[str, Any]:
    """Return one page of summaries: {answer: [...], "NextToken": ...}.

    name and status are the members that NameContains, StatusEquals and SortBy look at.
    """
    kept = [entry for entry in summaries if _matches(request, entry, name, status)]
    key = {"Name": name, "Status": status}.get(request.get("SortBy", ""), "CreationTime")
    descending = request.get("SortOrder", default_order) == "Descending"
    kept.sort(key=lambda entry: (entry[key], entry.get(name, "")), reverse=descending)
    start = _start(request.get("NextToken"))
    size = request.get("MaxResults", DEFAULT_PAGE)
    more = start + size < len(kept)
    token = {"NextToken": _token(start + size)} if more else {}
    return {answer: kept[start : start + size], **token}


def _matches(request: dict[str, Any], entry: dict[str, Any], name: str, status: str) -> bool:
    if request.get("NameContains", "").lower() not in entry.get(name, "").lower():
        return False
    if "StatusEquals" in request and entry.get(status) != request["StatusEquals"]:
        return False
    return all(
        (_seconds(entry[member]) - _seconds(request[limit])) * sign > 0
        for limit, (member, sign) in TIMES.items()
        if limit in request
    )


def _seconds(moment: Any) -> float:
    """Read a timestamp as boto3 sends it (a number) or as an ISO string."""
    if isinstance(moment, str):
        return datetime.datetime.fromisoformat(moment).timestamp()
    return float(moment)


def _token(start: int) -> str:
    return base64.urlsafe_b64encode(str(start).encode()).decode()


def _start(token: str | None) -> int:
    if token is None:
        return 0
    try:
        return int(base64.urlsafe_b64decode(token))
    except (binascii.Error, ValueError):
        raise ApiError("ValidationException", "Invalid NextToken") from None
