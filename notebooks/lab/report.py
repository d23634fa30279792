"""Shows the report that the quality and fairness gate has written about a run."""

from __future__ import annotations

import html
import json
from typing import Any

from botocore.exceptions import ClientError
from IPython.display import HTML, display

from lab.errors import LabError
from lab.executions import Run
from lab.workshop import Workshop

HEIGHT_PX = 700


def show_report(workshop: Workshop, run: Run) -> dict[str, Any]:
    """Show a run's evaluation report and return its numbers; it exists whether passed or not."""
    page = _read(workshop, run, "report.html")
    # A frame of its own: the page's style must not become the notebook's.
    frame = (
        f'<iframe srcdoc="{html.escape(page)}" sandbox width="100%" height="{HEIGHT_PX}"></iframe>'
    )
    display(HTML(f"<div>{frame}</div>"))
    report: dict[str, Any] = json.loads(_read(workshop, run, "report.json"))
    return report


def recall(report: dict[str, Any]) -> dict[str, float]:
    """Return label → recall, of the labels that the test data has."""
    return {e["label"]: e["value"] for e in report["labels"] if e["value"] is not None}


def _read(workshop: Workshop, run: Run, name: str) -> str:
    bucket, key = workshop.outputs["ModelArtifactsBucket"], f"evaluations/{run.id}/{name}"
    try:
        body = workshop.client("s3").get_object(Bucket=bucket, Key=key)["Body"]
    except ClientError as error:
        raise LabError(
            f"run {run.id} ({run.status}) has no report at s3://{bucket}/{key}: {error}. "
            "It is written by EvaluateModel/FullTest; see how far the run came"
        ) from error
    text: str = body.read().decode()
    return text
