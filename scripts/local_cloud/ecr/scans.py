"""Image scans: nothing is scanned here, the findings of every image are those of a file.

The file is `ecr/scan-findings.json` of the state folder: a list in the shape of ECR's
`imageScanFindings.findings`. Without it every scan ends without any finding.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from local_cloud import state
from local_cloud.errors import ApiError

SCAN_S = 2.0  # from the push to the end of the scan
Record = dict[str, Any]


def on_push(repository: Record) -> bool:
    """Say whether a repository's images are scanned when they are pushed."""
    return bool(repository["imageScanningConfiguration"]["scanOnPush"])


def configuration(repository: Record) -> Record:
    """Describe a repository as BatchGetRepositoryScanningConfiguration does."""
    scans = on_push(repository)
    return {
        "repositoryArn": repository["repositoryArn"],
        "repositoryName": repository["repositoryName"],
        "scanOnPush": scans,
        "scanFrequency": "SCAN_ON_PUSH" if scans else "MANUAL",
        "appliedScanFilters": [],
    }


def result(repository: Record, image: Record, now: float) -> Record:
    """Describe an image's scan; ScanNotFoundException where none was begun."""
    digest = image["imageDigest"]
    if not on_push(repository):
        raise ApiError(
            "ScanNotFoundException",
            f"Image scan does not exist for the image with '{{imageDigest:'{digest}'}}' in the "
            f"repository with name '{repository['repositoryName']}'",
        )
    ended = image["imagePushedAt"] + SCAN_S
    if now < ended:
        return {"imageScanStatus": {"status": "IN_PROGRESS"}}
    findings = _findings()
    return {
        "imageScanStatus": {
            "status": "COMPLETE",
            "description": "The scan was completed successfully.",
        },
        "imageScanFindings": {
            "imageScanCompletedAt": ended,
            "findings": findings,
            "findingSeverityCounts": dict(Counter(found["severity"] for found in findings)),
        },
    }


def _findings() -> list[Record]:
    path = state.folder("ecr") / "scan-findings.json"
    findings: list[Record] = json.loads(path.read_text()) if path.exists() else []
    return findings
