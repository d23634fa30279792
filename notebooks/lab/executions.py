"""Follows executions of the pipeline in a table that changes, and decides at the approval."""

from __future__ import annotations

import datetime
import html
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from IPython.display import HTML, display
from pipeline_rows import SIGNS, TERMINAL, ActionRow, action_rows, approval_token

from lab.errors import LabError
from lab.upload import TRAINING_KEY, put
from lab.workshop import Workshop

POLL_S = 3.0  # reached step by step: what ends at once is seen at once
START_S = 300.0  # in which an event must have started the pipeline
GREY = "#6e7781"
COLOURS = {"Succeeded": "#1a7f37", "Failed": "#cf222e", "InProgress": "#9a6700"}


@dataclass(frozen=True)
class Run:
    """An execution as it stood when following it ended."""

    id: str
    status: str
    rows: list[ActionRow]

    @property
    def failed(self) -> ActionRow | None:
        """Return the action that failed, None if none did."""
        return next((row for row in self.rows if row.status == "Failed"), None)

    @property
    def waits_for_approval(self) -> bool:
        """Say whether the execution waits for a decision."""
        return any(row.waits_for_approval for row in self.rows)


def run_of_commit(workshop: Workshop, commit: str) -> str:
    """Wait for the execution that a push of this commit started; return its id."""

    def is_of_commit(summary: dict[str, Any]) -> bool:
        return any(s.get("revisionId") == commit for s in summary.get("sourceRevisions", []))

    return _wait_for_start(workshop, is_of_commit, f"commit {commit[:7]}")


def run_of_upload(workshop: Workshop, file: Path, key: str = TRAINING_KEY) -> str:
    """Upload new training data, wait for the execution that it starts, and return its id."""
    before = {summary["pipelineExecutionId"] for summary in _summaries(workshop)}
    put(workshop, file, key)
    return _wait_for_start(workshop, lambda s: s["pipelineExecutionId"] not in before, key)


def follow(workshop: Workshop, execution: str) -> Run:
    """Show the execution until it ends or waits for an approval; return how it stands then.

    A newer execution may take over from one that waits; then that one is followed.
    """
    handle = display(HTML("…"), display_id=True)
    run = Run(execution, "", [])
    for run in _states(workshop, execution):
        handle.update(HTML(table(run)))
    if run.status == "Superseded":
        newest = _summaries(workshop)[0]["pipelineExecutionId"]
        if newest != execution:
            return follow(workshop, newest)
    return run


def why_stopped(run: Run) -> str:
    """Return which action stopped a run and why; LabError if none did."""
    if run.failed is None:
        raise LabError(f"execution {run.id} was not stopped: it is {run.status}")
    return f"{run.failed.stage}/{run.failed.action}: {run.failed.note}"


def approve(workshop: Workshop, run: Run, reason: str) -> None:
    """Approve the release that a run waits for; LabError if it waits for none."""
    waiting = next((row for row in run.rows if row.waits_for_approval), None)
    if waiting is None:
        raise LabError(f"execution {run.id} waits for no approval: it is {run.status}")
    client = workshop.client("codepipeline")
    state = client.get_pipeline_state(name=workshop.pipeline)
    token = approval_token(state, waiting.stage, waiting.action)
    if token is None:
        raise LabError(f"{waiting.stage}/{waiting.action} waits no more; run follow() again")
    client.put_approval_result(
        pipelineName=workshop.pipeline,
        stageName=waiting.stage,
        actionName=waiting.action,
        result={"summary": reason, "status": "Approved"},
        token=token,
    )
    print(f"approved: {reason}")


def table(run: Run) -> str:
    """Return an execution as HTML; a stage is named once."""
    lines = []
    previous = ""
    for row in run.rows:
        lines.append(_line(row, "" if row.stage == previous else row.stage))
        previous = row.stage
    head = f"execution {html.escape(run.id)}: <b>{html.escape(run.status)}</b>"
    return f"{head}<table>{''.join(lines)}</table>"


def _line(row: ActionRow, stage: str) -> str:
    status = "waits for approval" if row.waits_for_approval else row.status or "waiting"
    seconds = "" if row.seconds is None else f"{row.seconds:.0f} s"
    cells = [stage, row.action, f"{SIGNS.get(row.status, '·')} {status}", seconds]
    note = row.note if row.status == "Failed" else row.log_group
    style = f"color:{COLOURS.get(row.status, GREY)};text-align:left"
    texts = [f'<td style="{style};white-space:nowrap">{html.escape(cell)}</td>' for cell in cells]
    return f'<tr>{"".join(texts)}<td style="{style}">{html.escape(note)}</td></tr>'


def _states(workshop: Workshop, execution: str) -> Iterator[Run]:
    client = workshop.client("codepipeline")
    pipeline = client.get_pipeline(name=workshop.pipeline)["pipeline"]
    for _ in _looks(math.inf):
        found = client.get_pipeline_execution(
            pipelineName=workshop.pipeline, pipelineExecutionId=execution
        )["pipelineExecution"]
        now = datetime.datetime.now().astimezone()
        rows = action_rows(pipeline, _details(workshop, execution), now)
        run = Run(execution, found["status"], rows)
        yield run
        if run.status in TERMINAL or run.waits_for_approval:
            return


def _looks(limit_s: float) -> Iterator[None]:
    """Yield whenever it is time to look again, until the limit is over."""
    deadline, pause_s = time.monotonic() + limit_s, POLL_S / 8
    while time.monotonic() < deadline:
        yield
        time.sleep(pause_s)
        pause_s = min(POLL_S, pause_s * 1.5)


def _details(workshop: Workshop, execution: str) -> list[dict[str, Any]]:
    pages = (
        workshop.client("codepipeline")
        .get_paginator("list_action_executions")
        .paginate(pipelineName=workshop.pipeline, filter={"pipelineExecutionId": execution})
    )
    return [detail for page in pages for detail in page["actionExecutionDetails"]]


def _summaries(workshop: Workshop) -> list[dict[str, Any]]:
    """Return the newest executions, newest first."""
    answer = workshop.client("codepipeline").list_pipeline_executions(
        pipelineName=workshop.pipeline, maxResults=25
    )
    summaries: list[dict[str, Any]] = answer["pipelineExecutionSummaries"]
    return sorted(summaries, key=lambda s: s["startTime"], reverse=True)


def _wait_for_start(
    workshop: Workshop, is_wanted: Callable[[dict[str, Any]], bool], cause: str
) -> str:
    for _ in _looks(START_S):
        wanted = [s["pipelineExecutionId"] for s in _summaries(workshop) if is_wanted(s)]
        if wanted:
            return str(wanted[0])
    raise LabError(
        f"{cause} started no execution of {workshop.pipeline} in {START_S / 60:.0f} minutes; look "
        "at its EventBridge rules, or start it by hand: Release change in the CodePipeline console"
    )
