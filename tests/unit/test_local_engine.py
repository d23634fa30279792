"""The state machine of CodePipeline, replayed event by event: no clock, no threads, no cloud."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest
from local_cloud.codepipeline.decisions import Abandon, Announce, Effect, Perform
from local_cloud.codepipeline.declaration import Action, Pipeline, Stage
from local_cloud.codepipeline.engine import Engine
from local_cloud.codepipeline.model import ActionRun, Failure, Result, Revision, Trigger
from local_cloud.errors import ApiError

BROKEN = Failure("JobFailed", "it broke")


def action(name: str, order: int = 1, provider: str = "Lambda", **more: Any) -> Action:
    category = {"Lambda": "Invoke", "CodeCommit": "Source", "Manual": "Approval"}[provider]
    return Action(name, provider, category, order, **more)


def pipeline(*stages: tuple[str, list[Action]], mode: str = "SUPERSEDED", **more: Any) -> Pipeline:
    declared = tuple(Stage(name, tuple(actions)) for name, actions in stages)
    return Pipeline("pipe", 1, "arn:role", declared, bucket="store", mode=mode, **more)


THREE = (("Source", [action("Get")]), ("Build", [action("Make")]), ("Deploy", [action("Ship")]))


class Replay:
    """An engine whose effects are kept instead of performed."""

    def __init__(self, declared: Pipeline) -> None:
        numbers = itertools.count(1)
        self.now = 0.0
        self.engine = Engine(
            declared,
            clock=lambda: self.now,
            ids=lambda: f"id-{next(numbers)}",
            keys=lambda: "key",
        )
        self.effects: list[Effect] = []

    def start(self, **more: Any) -> str:
        execution, effects = self.engine.start(Trigger("Test", "me"), **more)
        self.effects += effects
        return execution.id

    def under_way(self) -> dict[str, ActionRun]:
        """The runs that were started and have not ended, by the action's name."""
        runs = [effect.run for effect in self.effects if isinstance(effect, Perform)]
        return {run.action.name: run for run in runs if run.status == "InProgress"}

    def succeed(self, name: str, **result: Any) -> None:
        self.effects += self.engine.succeeded(self.under_way()[name], Result(**result))

    def fail(self, name: str) -> None:
        self.effects += self.engine.failed(self.under_way()[name], BROKEN)

    def status(self, execution_id: str) -> str:
        return self.engine.executions[execution_id].status

    def stage(self, execution_id: str, name: str) -> str:
        return self.engine.executions[execution_id].stages[name].status

    def announced(self) -> list[str]:
        """What was announced of executions and stages."""
        return [
            f"{effect.stage or 'pipeline'} {effect.state}"
            for effect in self.effects
            if isinstance(effect, Announce) and effect.run is None
        ]


def code_of(error: pytest.ExceptionInfo[ApiError]) -> str:
    return error.value.code


def test_stages_run_one_after_the_other_to_success() -> None:
    replay = Replay(pipeline(*THREE))
    execution = replay.start()
    for name in ("Get", "Make", "Ship"):
        assert list(replay.under_way()) == [name]
        replay.succeed(name)
    assert replay.status(execution) == "Succeeded"
    assert replay.announced() == [
        "pipeline STARTED",
        *("Source STARTED", "Source SUCCEEDED", "Build STARTED", "Build SUCCEEDED"),
        *("Deploy STARTED", "Deploy SUCCEEDED", "pipeline SUCCEEDED"),
    ]


def test_actions_of_one_run_order_run_side_by_side() -> None:
    both = [action("A"), action("B"), action("C", order=2)]
    replay = Replay(pipeline(("Source", [action("Get")]), ("Build", both)))
    replay.start()
    replay.succeed("Get")
    assert set(replay.under_way()) == {"A", "B"}
    replay.succeed("B")
    assert set(replay.under_way()) == {"A"}
    replay.succeed("A")
    assert set(replay.under_way()) == {"C"}


def test_a_stage_fails_only_when_its_other_actions_have_ended() -> None:
    both = [action("A"), action("B"), action("C", order=2)]
    replay = Replay(pipeline(("Source", [action("Get")]), ("Build", both)))
    execution = replay.start()
    replay.succeed("Get")
    replay.fail("A")
    assert replay.status(execution) == "InProgress"
    replay.succeed("B")
    assert replay.status(execution) == "Failed"
    assert not replay.under_way()


def test_an_action_ends_only_once() -> None:
    replay = Replay(pipeline(*THREE))
    execution = replay.start()
    run = replay.under_way()["Get"]
    replay.fail("Get")
    assert replay.engine.succeeded(run, Result()) == []
    assert replay.engine.failed(run, BROKEN) == []
    assert replay.status(execution) == "Failed"


def test_a_retry_runs_the_failed_actions_again_in_the_same_execution() -> None:
    both = [action("A"), action("B")]
    replay = Replay(pipeline(("Source", [action("Get")]), ("Build", both)))
    execution = replay.start()
    replay.succeed("Get")
    replay.succeed("A")
    first = replay.under_way()["B"].id
    replay.fail("B")
    replay.effects += replay.engine.retry("Build", execution, all_actions=False)
    assert list(replay.under_way()) == ["B"]
    assert replay.under_way()["B"].id != first
    replay.succeed("B")
    assert replay.status(execution) == "Succeeded"
    assert replay.engine.executions[execution].stages["Build"].attempt == 2
    assert "pipeline RESUMED" in replay.announced()


def test_a_retry_of_all_actions_begins_with_the_first_run_order() -> None:
    stages = (("Source", [action("Get")]), ("Build", [action("A"), action("B", order=2)]))
    replay = Replay(pipeline(*stages))
    execution = replay.start()
    replay.succeed("Get")
    replay.succeed("A")
    replay.fail("B")
    replay.effects += replay.engine.retry("Build", execution, all_actions=True)
    assert list(replay.under_way()) == ["A"]


def test_only_a_failed_stage_can_be_retried() -> None:
    replay = Replay(pipeline(*THREE))
    execution = replay.start()
    with pytest.raises(ApiError) as refused:
        replay.engine.retry("Source", execution, all_actions=False)
    assert code_of(refused) == "StageNotRetryableException"
    with pytest.raises(ApiError) as refused:
        replay.engine.retry("Nowhere", execution, all_actions=False)
    assert code_of(refused) == "StageNotFoundException"


def test_a_stage_is_not_retried_once_the_pipeline_was_changed() -> None:
    replay = Replay(pipeline(*THREE))
    execution = replay.start()
    replay.fail("Get")
    replay.engine.pipeline = pipeline(*THREE[:2])
    with pytest.raises(ApiError, match="was changed") as error:
        replay.engine.retry("Source", execution, False)
    assert code_of(error) == "StageNotRetryableException"
    replay.engine.pipeline = replace(pipeline(*THREE), version=3)
    replay.engine.retry("Source", execution, False)


def test_a_stage_that_saw_a_newer_execution_is_not_retried() -> None:
    replay = Replay(pipeline(*THREE))
    old = replay.start()
    replay.fail("Get")
    replay.start()
    with pytest.raises(ApiError) as refused:
        replay.engine.retry("Source", old, all_actions=False)
    assert code_of(refused) == "NotLatestPipelineExecutionException"


def test_superseded_mode_keeps_only_the_newest_behind_a_taken_stage() -> None:
    replay = Replay(pipeline(*THREE))
    first = replay.start()
    replay.succeed("Get")
    second = replay.start()
    replay.succeed("Get")
    third = replay.start()
    replay.succeed("Get")
    assert [replay.status(e) for e in (first, second, third)] == [
        "InProgress",
        "Superseded",
        "InProgress",
    ]
    replay.succeed("Make")
    assert replay.under_way()["Make"].execution_id == third


def test_queued_mode_keeps_every_execution_in_order() -> None:
    replay = Replay(pipeline(*THREE, mode="QUEUED"))
    executions = [replay.start() for _ in range(3)]
    for execution in executions:
        assert replay.under_way()["Get"].execution_id == execution
        replay.succeed("Get")
        replay.succeed("Make")
        replay.succeed("Ship")
    assert {replay.status(e) for e in executions} == {"Succeeded"}


def test_queued_mode_refuses_the_fifty_first_execution() -> None:
    replay = Replay(pipeline(*THREE, mode="QUEUED"))
    for _ in range(50):
        replay.start()
    with pytest.raises(ApiError) as refused:
        replay.start()
    assert code_of(refused) == "ConcurrentPipelineExecutionsLimitExceededException"


def test_a_failed_stage_lets_the_next_execution_in() -> None:
    replay = Replay(pipeline(*THREE))
    replay.start()
    second = replay.start()
    replay.fail("Get")
    assert replay.under_way()["Get"].execution_id == second


def test_a_closed_transition_holds_executions_and_opening_it_lets_the_newest_on() -> None:
    replay = Replay(pipeline(*THREE))
    replay.engine.set_transition("Build", False, "not now", "me")
    first = replay.start()
    replay.succeed("Get")
    second = replay.start()
    replay.succeed("Get")
    assert not replay.under_way()
    assert replay.status(first) == "Superseded"
    replay.effects += replay.engine.set_transition("Build", True, None, "me")
    assert replay.under_way()["Make"].execution_id == second


def test_stop_and_wait_lets_the_action_end_and_starts_no_other() -> None:
    replay = Replay(pipeline(*THREE))
    execution = replay.start()
    replay.effects += replay.engine.stop(execution, abandon=False, reason="enough")
    assert replay.status(execution) == "Stopping"
    with pytest.raises(ApiError) as refused:
        replay.engine.stop(execution, abandon=False, reason=None)
    assert code_of(refused) == "DuplicatedStopRequestException"
    replay.succeed("Get")
    assert replay.status(execution) == "Stopped"
    assert replay.stage(execution, "Source") == "Stopped"
    assert not replay.under_way()


def test_stop_and_abandon_forgets_the_action_at_once() -> None:
    replay = Replay(pipeline(*THREE))
    execution = replay.start()
    run = replay.under_way()["Get"]
    waiting = replay.start()
    replay.effects += replay.engine.stop(execution, abandon=True, reason=None)
    assert replay.status(execution) == "Stopped"
    assert run.status == "Abandoned"
    assert Abandon(run) in replay.effects
    assert replay.under_way()["Get"].execution_id == waiting


def test_an_execution_that_waits_can_be_stopped() -> None:
    replay = Replay(pipeline(*THREE))
    first = replay.start()
    second = replay.start()
    replay.effects += replay.engine.stop(second, abandon=False, reason=None)
    assert replay.status(second) == "Stopped"
    replay.succeed("Get")
    assert replay.under_way()["Make"].execution_id == first


@pytest.mark.parametrize("mode", ["SUPERSEDED", "QUEUED"])
def test_an_end_to_all_executions_lets_none_of_them_on(mode: str) -> None:
    replay = Replay(pipeline(*THREE, mode=mode))
    for _ in range(3):
        replay.start()
    started = list(replay.under_way())
    effects = replay.engine.stop_all("over")
    assert {e.status for e in replay.engine.executions.values()} <= {"Stopped", "Superseded"}
    assert [e for e in effects if isinstance(e, Perform)] == []
    assert [e.run.action.name for e in effects if isinstance(e, Abandon)] == started


def test_a_stopped_stage_can_be_retried() -> None:
    replay = Replay(pipeline(*THREE))
    execution = replay.start()
    replay.effects += replay.engine.stop(execution, abandon=True, reason=None)
    replay.effects += replay.engine.retry("Source", execution, all_actions=False)
    replay.succeed("Get")
    assert replay.status(execution) == "InProgress"
    assert list(replay.under_way()) == ["Make"]


def test_an_ended_execution_cannot_be_stopped() -> None:
    replay = Replay(pipeline(*THREE))
    execution = replay.start()
    replay.fail("Get")
    with pytest.raises(ApiError) as refused:
        replay.engine.stop(execution, abandon=True, reason=None)
    assert code_of(refused) == "PipelineExecutionNotStoppableException"


def test_artifacts_and_variables_go_from_action_to_action() -> None:
    get = action("Get", outputs=("Code",), namespace="Src", provider="CodeCommit")
    use = action(
        "Use",
        inputs=("Code",),
        configuration={
            "UserParameters": "#{Src.CommitId} #{variables.env}",
            "FunctionName": "#{codepipeline.PipelineExecutionId}",
        },
    )
    declared = pipeline(("Source", [get]), ("Build", [use]), variables={"env": "dev"})
    replay = Replay(declared)
    execution = replay.start(variables={"env": "prod"})
    revision = Revision("Code", "abc", "a change", 1.0)
    replay.succeed("Get", variables={"CommitId": "abc"}, revision=revision)
    run = replay.under_way()["Use"]
    assert run.inputs["Code"].key == "pipe/Code/key"
    assert run.configuration == {"UserParameters": "abc prod", "FunctionName": execution}
    assert replay.engine.executions[execution].revisions == {"Code": revision}


def test_a_variable_that_nobody_set_fails_the_action() -> None:
    use = action("Use", configuration={"UserParameters": "#{Src.Missing}"})
    get = action("Get", namespace="Src")
    replay = Replay(pipeline(("Source", [get]), ("Build", [use])))
    execution = replay.start()
    replay.succeed("Get")
    run = replay.engine.executions[execution].runs[-1]
    assert replay.status(execution) == "Failed"
    assert run.failure is not None
    assert "#{Src.Missing}" in run.failure.message


def test_pipeline_variables_must_exist_and_have_a_value() -> None:
    replay = Replay(pipeline(*THREE, variables={"env": None}))
    with pytest.raises(ApiError, match="env needs a value"):
        replay.start()
    with pytest.raises(ApiError, match="no variable other"):
        replay.start(variables={"env": "x", "other": "y"})


def test_an_execution_keeps_the_version_it_started_with() -> None:
    replay = Replay(pipeline(*THREE))
    execution = replay.start()
    replay.engine.pipeline = pipeline(("Source", [action("Get")]), ("Other", [action("Else")]))
    for name in ("Get", "Make", "Ship"):
        replay.succeed(name)
    assert replay.status(execution) == "Succeeded"


@pytest.mark.parametrize("mode", ["SUPERSEDED", "QUEUED"])
def test_at_most_one_execution_is_in_a_stage_whatever_happens(mode: str) -> None:
    """Replays every short history of starts, ends, stops and retries."""
    for history in itertools.product(["start", "succeed", "fail", "stop", "retry"], repeat=4):
        replay = Replay(pipeline(*THREE, mode=mode))
        for event in history:
            play(replay, event)
            runs = [r for e in replay.engine.executions.values() for r in e.runs]
            open_stages = [run.stage for run in runs if run.status == "InProgress"]
            assert len(open_stages) == len(set(open_stages)), history


def play(replay: Replay, event: str) -> None:
    executions = list(replay.engine.executions.values())
    if event == "start":
        replay.start()
    elif event in ("succeed", "fail") and replay.under_way():
        getattr(replay, event)(next(iter(replay.under_way())))
    elif event == "stop":
        for execution in executions[:1]:
            if execution.status == "InProgress":
                replay.effects += replay.engine.stop(execution.id, True, None)
    elif event == "retry":
        for execution in executions:
            failed = [n for n, s in execution.stages.items() if s.status in ("Failed", "Stopped")]
            state = replay.engine.stage(failed[-1]) if failed else None
            if state and state.latest == execution.id and state.current is None:
                replay.effects += replay.engine.retry(failed[-1], execution.id, False)
