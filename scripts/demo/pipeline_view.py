"""What one pipeline execution is doing, as a table on a terminal or as lines."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable, Iterator
from typing import Any

from pipeline_rows import SIGNS, TERMINAL, ActionRow, action_rows
from rich.console import Console, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

STYLES = {
    "Succeeded": "green",
    "Failed": "bold red",
    "InProgress": "yellow",
    "Stopped": "red",
    "Superseded": "dim",
    "Abandoned": "red",
}


def table(rows: list[ActionRow]) -> RenderableType:
    """Draw the rows; a stage is named once."""
    drawn = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("Stage", "Action", "Status"):
        drawn.add_column(heading, no_wrap=True)
    drawn.add_column("Time", justify="right", no_wrap=True)
    drawn.add_column("Log group, or why", overflow="fold")
    previous = ""
    for row in rows:
        style = STYLES.get(row.status, "dim")
        sign = SIGNS.get(row.status, "·")
        seconds = "" if row.seconds is None else f"{row.seconds:.1f} s"
        note = row.note if row.status == "Failed" else row.log_group
        drawn.add_row(
            "" if row.stage == previous else row.stage,
            row.action,
            Text(f"{sign} {row.status or 'waiting'}", style=style),
            seconds,
            Text(note, style="red" if row.status == "Failed" else "dim"),
        )
        previous = row.stage
    return drawn


class PipelineView:
    """Follows executions of one pipeline on a terminal, or line by line where there is none."""

    def __init__(
        self,
        codepipeline: Any,
        name: str,
        console: Console,
        on_change: Callable[[list[ActionRow]], None] = lambda rows: None,
        poll_s: float = 0.5,
    ) -> None:
        self.codepipeline = codepipeline
        self.name = name
        self.console = console
        self.on_change = on_change
        self.poll_s = poll_s

    def follow(self, execution_id: str) -> tuple[str, list[ActionRow]]:
        """Show the execution until it ends; return its status and its actions."""
        if not self.console.is_terminal:
            return self._print_changes(execution_id)
        state: tuple[str, list[ActionRow]] = ("", [])
        with Live(console=self.console, refresh_per_second=8, transient=False) as live:
            for state in self._states(execution_id):
                live.update(table(state[1]))
                self.on_change(state[1])
        return state

    def _print_changes(self, execution_id: str) -> tuple[str, list[ActionRow]]:
        seen: dict[tuple[str, str], str] = {}
        state: tuple[str, list[ActionRow]] = ("", [])
        for state in self._states(execution_id):
            for row in state[1]:
                key = (row.stage, row.action)
                if row.status and seen.get(key) != row.status:
                    seen[key] = row.status
                    why = f"  {row.note}" if row.status == "Failed" else ""
                    line = (
                        f"{row.stage:<17}{row.action:<19}{row.status:<11}{row.seconds:>6.1f} s{why}"
                    )
                    self.console.print(line, highlight=False, soft_wrap=True)
            self.on_change(state[1])
        return state

    def _states(self, execution_id: str) -> Iterator[tuple[str, list[ActionRow]]]:
        pipeline = self.codepipeline.get_pipeline(name=self.name)["pipeline"]
        while True:
            execution = self.codepipeline.get_pipeline_execution(
                pipelineName=self.name, pipelineExecutionId=execution_id
            )["pipelineExecution"]
            pages = self.codepipeline.get_paginator("list_action_executions").paginate(
                pipelineName=self.name, filter={"pipelineExecutionId": execution_id}
            )
            details = [d for page in pages for d in page["actionExecutionDetails"]]
            now = datetime.datetime.now(datetime.UTC)
            yield execution["status"], action_rows(pipeline, details, now)
            if execution["status"] in TERMINAL:
                return
            time.sleep(self.poll_s)
