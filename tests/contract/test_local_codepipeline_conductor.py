"""An action that was abandoned does not start, and what it began is abandoned with it."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from local_cloud.codepipeline.conductor import Conductor
from local_cloud.codepipeline.decisions import Abandon, Effect, Perform
from local_cloud.codepipeline.declaration import Action, Pipeline, Stage
from local_cloud.codepipeline.engine import Engine
from local_cloud.codepipeline.model import ActionRun, Trigger
from local_cloud.codepipeline.work import Work


class Recording:
    """An effect that notes what is asked of it; `begin` is what it takes to perform."""

    def __init__(self, begin: Callable[[], None] = lambda: None) -> None:
        self.begin = begin
        self.seen: list[str] = []

    def perform(self, work: Work) -> None:
        self.begin()
        self.seen.append("performed")

    def abandon(self, run: ActionRun) -> None:
        self.seen.append("abandoned")


def conducted(effect: Recording) -> Conductor:
    stages = (Stage("Source", (Action("Get", "CodeCommit", "Source"),)),)
    return Conductor(Engine(Pipeline("pipe", 1, "arn:role", stages)), {"CodeCommit": effect})


def carry_out(conductor: Conductor, effects: list[Effect]) -> None:
    conductor.carry_out([e for e in effects if isinstance(e, Perform | Abandon)])


def join_timers() -> None:
    for thread in threading.enumerate():
        if isinstance(thread, threading.Timer):
            thread.join(30)


def test_an_action_that_was_abandoned_before_its_thread_ran_never_starts() -> None:
    effect = Recording()
    conductor = conducted(effect)
    with conductor.lock:
        execution, effects = conductor.engine.start(Trigger("Test", "me"))
        carry_out(conductor, effects)
        carry_out(conductor, conductor.engine.stop(execution.id, True, None))
    join_timers()
    assert effect.seen == ["abandoned"]


@pytest.mark.timeout(60)
def test_what_an_action_began_while_it_was_abandoned_is_abandoned_too() -> None:
    begun, stopped = threading.Event(), threading.Event()

    def begin() -> None:
        begun.set()
        stopped.wait()

    effect = Recording(begin)
    conductor = conducted(effect)
    with conductor.lock:
        execution, effects = conductor.engine.start(Trigger("Test", "me"))
        carry_out(conductor, effects)
    begun.wait()
    with conductor.lock:
        carry_out(conductor, conductor.engine.stop(execution.id, True, None))
    stopped.set()
    join_timers()
    assert effect.seen == ["abandoned", "performed", "abandoned"]
