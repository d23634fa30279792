"""Decides what a pipeline does next: a state machine that performs nothing itself.

Every method changes the state and returns what is to be done because of it: actions to perform,
actions to abandon, and state changes to announce. Clock and ids are given, so a test can replay
any order of events.

At most one execution is in a stage. Behind a stage that is taken, or closed, SUPERSEDED keeps the
newest execution only; QUEUED keeps all of them, in order.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from local_cloud.codepipeline import model
from local_cloud.codepipeline.decisions import (
    Abandon,
    Announce,
    Effect,
    Perform,
    new_id,
    new_key,
)
from local_cloud.codepipeline.declaration import Action, Pipeline, Stage
from local_cloud.codepipeline.model import (
    ActionRun,
    Execution,
    Failure,
    Location,
    Result,
    StageRun,
    StageState,
    Trigger,
)
from local_cloud.codepipeline.variables import UnresolvedVariable, resolve
from local_cloud.errors import ApiError

QUEUE_LIMIT = 50
ENDED = {model.SUCCEEDED, model.FAILED, model.STOPPED, model.SUPERSEDED}


@dataclass
class Engine:
    """One pipeline with all its executions."""

    pipeline: Pipeline
    clock: Callable[[], float] = time.time
    ids: Callable[[], str] = new_id
    keys: Callable[[], str] = new_key
    executions: dict[str, Execution] = field(default_factory=dict)
    stages: dict[str, StageState] = field(default_factory=dict)

    def stage(self, name: str) -> StageState:
        """Return the state of a stage."""
        return self.stages.setdefault(name, StageState())

    def start(
        self,
        trigger: Trigger,
        variables: Mapping[str, str] | None = None,
        overrides: Mapping[str, str] | None = None,
    ) -> tuple[Execution, list[Effect]]:
        """Start an execution; ApiError for variables that do not fit."""
        values = _values(self.pipeline, variables or {})
        if self.pipeline.mode == "QUEUED" and self._unfinished() >= QUEUE_LIMIT:
            raise ApiError(
                "ConcurrentPipelineExecutionsLimitExceededException",
                f"{QUEUE_LIMIT} executions of {self.pipeline.name} are queued or in progress",
            )
        now = self.clock()
        number = len(self.executions) + 1
        execution = Execution(self.ids(), number, self.pipeline, trigger, now, now)
        execution.variables = values
        execution.overrides = dict(overrides or {})
        self.executions[execution.id] = execution
        effects: list[Effect] = [Announce(execution, "STARTED")]
        return execution, effects + self._arrive(execution, self.pipeline.stages[0])

    def succeeded(self, run: ActionRun, result: Result) -> list[Effect]:
        """Note that an action succeeded; one that ended before is left as it is."""
        if run.status != model.IN_PROGRESS:
            return []
        execution = self.executions[run.execution_id]
        run.variables = dict(result.variables)
        run.revision = result.revision
        run.summary = result.summary or run.summary
        execution.artifacts |= run.outputs
        if run.action.namespace:
            execution.namespaces[run.action.namespace] = run.variables
        if result.revision:
            execution.revisions[result.revision.artifact] = result.revision
        return self._end(run, model.SUCCEEDED)

    def failed(self, run: ActionRun, failure: Failure) -> list[Effect]:
        """Note that an action failed; one that ended before is left as it is."""
        if run.status != model.IN_PROGRESS:
            return []
        run.failure = failure
        return self._end(run, model.FAILED)

    def stop(self, execution_id: str, abandon: bool, reason: str | None) -> list[Effect]:
        """Stop an execution: at once, or when the actions under way have ended."""
        execution = self.execution(execution_id)
        if execution.status == model.STOPPING and not abandon:
            raise ApiError(
                "DuplicatedStopRequestException", f"Execution {execution_id} is already stopping"
            )
        if execution.status in ENDED:
            raise ApiError(
                "PipelineExecutionNotStoppableException",
                f"Execution {execution_id} has ended as {execution.status}",
            )
        execution.status_summary = reason
        under_way = [r for r in execution.runs if r.status == model.IN_PROGRESS]
        effects: list[Effect] = []
        if under_way and not abandon:
            self._set(execution, model.STOPPING)
            return [Announce(execution, "STOPPING")]
        for run in under_way:
            run.status, run.updated = model.ABANDONED, self.clock()
            effects += [Abandon(run), Announce(execution, "ABANDONED", run.stage, run)]
        return effects + self._stopped(execution)

    def stop_all(self, reason: str) -> list[Effect]:
        """Stop every execution at once; those that wait come first, so that none enters a stage."""
        unfinished = [e for e in self.executions.values() if e.status not in ENDED]
        unfinished.sort(key=lambda e: any(run.status == model.IN_PROGRESS for run in e.runs))
        return [effect for e in unfinished for effect in self.stop(e.id, True, reason)]

    def retry(self, stage_name: str, execution_id: str, all_actions: bool) -> list[Effect]:
        """Run the failed actions of a stage again, or all of them, in the same execution."""
        execution = self.execution(execution_id)
        stage_run = execution.stages.get(stage_name)
        if stage_name not in {stage.name for stage in execution.pipeline.stages}:
            raise ApiError("StageNotFoundException", f"Stage {stage_name} does not exist")
        if stage_run is None or stage_run.status not in (model.FAILED, model.STOPPED):
            status = stage_run.status if stage_run else "not started"
            raise ApiError(
                "StageNotRetryableException",
                f"Stage {stage_name} cannot be retried: in this execution it is {status}",
            )
        if execution.pipeline.stages != self.pipeline.stages:
            raise ApiError(
                "StageNotRetryableException",
                f"Stage {stage_name} cannot be retried: the pipeline was changed since; "
                "start a new execution",
            )
        state = self.stage(stage_name)
        if state.latest != execution_id or state.current is not None:
            raise ApiError(
                "NotLatestPipelineExecutionException",
                f"Execution {execution_id} is not the latest one in stage {stage_name}",
            )
        stage_run.status = model.IN_PROGRESS
        stage_run.attempt += 1
        stage_run.runs = {
            name: run
            for name, run in stage_run.runs.items()
            if run.status == model.SUCCEEDED and not all_actions
        }
        state.current = execution_id
        self._set(execution, model.IN_PROGRESS)
        resumed: list[Effect] = [
            Announce(execution, "RESUMED"),
            Announce(execution, "RESUMED", stage_name),
        ]
        return resumed + self._advance(execution, self._stage_of(execution, stage_name))

    def set_transition(
        self, stage_name: str, enabled: bool, reason: str | None, by: str
    ) -> list[Effect]:
        """Open or close the way into a stage."""
        stage = next((s for s in self.pipeline.stages if s.name == stage_name), None)
        if stage is None:
            raise ApiError("StageNotFoundException", f"Stage {stage_name} does not exist")
        state = self.stage(stage_name)
        state.enabled, state.reason = enabled, None if enabled else reason
        state.changed_by, state.changed_at = by, self.clock()
        return self._admit(stage_name)

    def execution(self, execution_id: str) -> Execution:
        """Find an execution; ApiError if there is none."""
        if execution_id not in self.executions:
            raise ApiError(
                "PipelineExecutionNotFoundException",
                f"The pipeline {self.pipeline.name} has no execution {execution_id}",
            )
        return self.executions[execution_id]

    def _unfinished(self) -> int:
        return sum(execution.status not in ENDED for execution in self.executions.values())

    def _arrive(self, execution: Execution, stage: Stage) -> list[Effect]:
        """Put an execution before a stage; in SUPERSEDED mode only the newest one waits there."""
        state = self.stage(stage.name)
        state.waiting.append(execution.id)
        effects = self._admit(stage.name)
        if execution.pipeline.mode == "SUPERSEDED" and len(state.waiting) > 1:
            state.waiting.sort(key=lambda waiting: self.executions[waiting].number)
            for older in state.waiting[:-1]:
                self._set(self.executions[older], model.SUPERSEDED)
                effects.append(Announce(self.executions[older], "SUPERSEDED"))
            del state.waiting[:-1]
        return effects

    def _admit(self, stage_name: str) -> list[Effect]:
        """Let the next execution into a stage that is free and open."""
        state = self.stage(stage_name)
        if state.current is not None or not state.enabled or not state.waiting:
            return []
        execution = self.executions[state.waiting.pop(0)]
        state.current = state.latest = execution.id
        execution.stages[stage_name] = StageRun()
        stage = self._stage_of(execution, stage_name)
        started: list[Effect] = [Announce(execution, "STARTED", stage_name)]
        return started + self._advance(execution, stage)

    def _advance(self, execution: Execution, stage: Stage) -> list[Effect]:
        """Start the next actions of a stage, or end it, unless something is under way in it."""
        stage_run = execution.stages[stage.name]
        statuses = {run.status for run in stage_run.runs.values()}
        if model.IN_PROGRESS in statuses:
            return []
        if execution.status == model.STOPPING:
            return self._stopped(execution)
        if model.FAILED in statuses:
            return self._leave(execution, stage, model.FAILED)
        for order in stage.orders():
            pending = [action for action in order if action.name not in stage_run.runs]
            if pending:
                return self._begin(execution, stage, pending)
        return self._leave(execution, stage, model.SUCCEEDED)

    def _begin(self, execution: Execution, stage: Stage, actions: list[Action]) -> list[Effect]:
        effects: list[Effect] = []
        broken: list[tuple[ActionRun, Failure]] = []
        for action in actions:
            now = self.clock()
            run = ActionRun(self.ids(), execution.id, stage.name, action, now, now)
            execution.runs.append(run)
            execution.stages[stage.name].runs[action.name] = run
            self.stage(stage.name).last_runs[action.name] = run
            run.inputs = {name: execution.artifacts[name] for name in action.inputs}
            run.outputs = {name: self._location(execution, name) for name in action.outputs}
            effects.append(Announce(execution, "STARTED", stage.name, run))
            try:
                run.configuration = resolve(action.configuration, execution.known_variables())
            except UnresolvedVariable as error:
                message = f"Failed to resolve the action configuration: {error}"
                broken.append((run, Failure("ConfigurationError", message)))
            else:
                effects.append(Perform(run, execution))
        for run, failure in broken:
            effects += self.failed(run, failure)
        return effects

    def _location(self, execution: Execution, artifact: str) -> Location:
        pipeline = execution.pipeline
        return Location(pipeline.bucket, f"{pipeline.name[:20]}/{artifact[:10]}/{self.keys()}")

    def _end(self, run: ActionRun, status: str) -> list[Effect]:
        run.status, run.updated = status, self.clock()
        execution = self.executions[run.execution_id]
        execution.updated = run.updated
        ended: list[Effect] = [Announce(execution, status.upper(), run.stage, run)]
        return ended + self._advance(execution, self._stage_of(execution, run.stage))

    def _leave(self, execution: Execution, stage: Stage, status: str) -> list[Effect]:
        """End a stage, go on to the next one or end the execution, and let the next one in."""
        execution.stages[stage.name].status = status
        self.stage(stage.name).current = None
        effects: list[Effect] = [Announce(execution, status.upper(), stage.name)]
        following = _after(execution.pipeline, stage)
        if status == model.SUCCEEDED and following is not None:
            effects += self._arrive(execution, following)
        elif status != model.STOPPED:
            self._set(execution, status)
            effects.append(Announce(execution, status.upper()))
        return effects + self._admit(stage.name)

    def _stopped(self, execution: Execution) -> list[Effect]:
        """End an execution that was stopped, wherever it is."""
        self._set(execution, model.STOPPED)
        effects: list[Effect] = []
        for name, state in self.stages.items():
            if execution.id in state.waiting:
                state.waiting.remove(execution.id)
            if state.current == execution.id:
                stage = self._stage_of(execution, name)
                effects += self._leave(execution, stage, model.STOPPED)
        return [*effects, Announce(execution, "STOPPED")]

    def _set(self, execution: Execution, status: str) -> None:
        execution.status, execution.updated = status, self.clock()

    @staticmethod
    def _stage_of(execution: Execution, name: str) -> Stage:
        return next(stage for stage in execution.pipeline.stages if stage.name == name)


def _after(pipeline: Pipeline, stage: Stage) -> Stage | None:
    names = [known.name for known in pipeline.stages]
    number = names.index(stage.name) + 1
    return pipeline.stages[number] if number < len(names) else None


def _values(pipeline: Pipeline, given: Mapping[str, str]) -> dict[str, str]:
    """Return the value of each pipeline variable: as given, else its default."""
    if unknown := sorted(given.keys() - pipeline.variables.keys()):
        raise ApiError(
            "ValidationException", f"The pipeline {pipeline.name} has no variable {unknown[0]}"
        )
    values = {**pipeline.variables, **given}
    missing = sorted(name for name, value in values.items() if value is None)
    if missing:
        raise ApiError("ValidationException", f"The variable {missing[0]} needs a value")
    return {name: value for name, value in values.items() if value is not None}
