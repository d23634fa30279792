"""The state of executions: plain values that the engine changes and the views read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from local_cloud.codepipeline.declaration import Action, Pipeline

IN_PROGRESS = "InProgress"
SUCCEEDED = "Succeeded"
FAILED = "Failed"
STOPPED = "Stopped"
STOPPING = "Stopping"
SUPERSEDED = "Superseded"
ABANDONED = "Abandoned"


@dataclass(frozen=True)
class Location:
    """Where an artifact lies in S3."""

    bucket: str
    key: str


@dataclass(frozen=True)
class Revision:
    """What a source action found: a commit."""

    artifact: str
    id: str
    summary: str
    created: float


@dataclass(frozen=True)
class Result:
    """What an action hands on when it has succeeded."""

    variables: Mapping[str, str] = field(default_factory=dict)
    revision: Revision | None = None
    summary: str | None = None


@dataclass(frozen=True)
class Failure:
    """Why an action failed, as errorDetails shows it."""

    code: str
    message: str


@dataclass
class ActionRun:
    """One run of an action: an action execution in AWS's words."""

    id: str
    execution_id: str
    stage: str
    action: Action
    started: float
    updated: float
    status: str = IN_PROGRESS
    configuration: dict[str, str] = field(default_factory=dict)  # resolved
    inputs: dict[str, Location] = field(default_factory=dict)
    outputs: dict[str, Location] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    revision: Revision | None = None
    failure: Failure | None = None
    summary: str | None = None
    token: str | None = None  # of an approval
    expires: float | None = None  # of an approval
    external_id: str | None = None
    external_url: str | None = None
    percent: int | None = None
    updated_by: str | None = None


@dataclass
class StageRun:
    """What one execution did in one stage; `runs` holds the newest run of each action."""

    status: str = IN_PROGRESS
    attempt: int = 1
    runs: dict[str, ActionRun] = field(default_factory=dict)


@dataclass(frozen=True)
class Trigger:
    """What started an execution."""

    type: str
    detail: str


@dataclass
class Execution:
    """One execution, of the version of the pipeline that it started with."""

    id: str
    number: int  # in order of their start
    pipeline: Pipeline
    trigger: Trigger
    started: float
    updated: float
    status: str = IN_PROGRESS
    status_summary: str | None = None
    variables: dict[str, str] = field(default_factory=dict)
    overrides: dict[str, str] = field(default_factory=dict)  # source action → commit
    stages: dict[str, StageRun] = field(default_factory=dict)
    artifacts: dict[str, Location] = field(default_factory=dict)
    revisions: dict[str, Revision] = field(default_factory=dict)  # by artifact
    namespaces: dict[str, dict[str, str]] = field(default_factory=dict)
    runs: list[ActionRun] = field(default_factory=list)  # all, in order of their start

    def known_variables(self) -> dict[str, dict[str, str]]:
        """Return what references may name, by namespace."""
        own = {"PipelineExecutionId": self.id}
        return {**self.namespaces, "codepipeline": own, "variables": self.variables}


@dataclass
class StageState:
    """A stage of the pipeline, across executions."""

    enabled: bool = True  # the transition into it
    reason: str | None = None
    changed_by: str | None = None
    changed_at: float | None = None
    current: str | None = None  # the execution inside
    latest: str | None = None  # the last one that was inside
    waiting: list[str] = field(default_factory=list)
    last_runs: dict[str, ActionRun] = field(default_factory=dict)
