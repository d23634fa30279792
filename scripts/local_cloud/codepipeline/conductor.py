"""Brings engine and effects together: performs what the engine decides, one change at a time."""

from __future__ import annotations

import contextvars
import logging
import threading
from collections.abc import Callable

from botocore.exceptions import BotoCoreError, ClientError

from local_cloud import seams
from local_cloud.background import spawn
from local_cloud.codepipeline import announcements
from local_cloud.codepipeline.decisions import Abandon, Announce, Effect, Perform
from local_cloud.codepipeline.effects import message_of
from local_cloud.codepipeline.engine import Engine
from local_cloud.codepipeline.model import ABANDONED, IN_PROGRESS, ActionRun, Failure, Result
from local_cloud.codepipeline.work import ActionFailed, Cancel, Work
from local_cloud.codepipeline.work import Effect as ActionEffect
from local_cloud.errors import ApiError

logger = logging.getLogger("local_cloud")


class Conductor:
    """The effects of one pipeline; engine calls are made under its lock."""

    def __init__(self, engine: Engine, effects: dict[str, ActionEffect]) -> None:
        self.engine = engine
        self.effects = effects
        self.lock = threading.RLock()
        self._account, self._region = seams.account_and_region()

    def carry_out(self, effects: list[Effect]) -> None:
        """Perform, in order, what an engine call returned."""
        for effect in effects:
            if isinstance(effect, Announce):
                self._announce(effect)
            elif isinstance(effect, Abandon):
                self.effects[effect.run.action.provider].abandon(effect.run)
            else:
                self._perform(effect)

    def succeeded(self, run: ActionRun, result: Result) -> None:
        """Report an action's success to the engine."""
        with self.lock:
            self.carry_out(self.engine.succeeded(run, result))

    def failed(self, run: ActionRun, failure: Failure) -> None:
        """Report an action's failure to the engine."""
        with self.lock:
            self.carry_out(self.engine.failed(run, failure))

    def after(self, run: ActionRun, seconds: float, call: Callable[[], None]) -> Cancel:
        """Call something in a thread of its own, unless the run has ended before.

        An exception in it fails the action; what it began of a run that was abandoned meanwhile
        is abandoned too.
        """
        context = contextvars.copy_context()
        timer = threading.Timer(seconds, context.run, [self._guarded, run, call])
        timer.daemon = True
        timer.start()
        return timer.cancel

    def _perform(self, effect: Perform) -> None:
        run = effect.run
        reporter = RunReporter(self, run)
        work = Work(run, effect.execution, self._account, self._region, reporter)
        action = self.effects[run.action.provider]
        self.after(run, 0, lambda: action.perform(work))

    def _announce(self, change: Announce) -> None:
        detail_type, detail, resources = announcements.event(change, self._account, self._region)
        spawn("announce", seams.emit_event, "aws.codepipeline", detail_type, detail, resources)

    def _guarded(self, run: ActionRun, call: Callable[[], None]) -> None:
        if self._status(run) != IN_PROGRESS:
            return
        try:
            call()
        except ActionFailed as error:
            self.failed(run, error.failure)
        except ApiError as error:
            self.failed(run, Failure("PermissionError", error.message))
        except ClientError as error:
            self.failed(run, Failure("JobFailed", message_of(error)))
        except (BotoCoreError, OSError) as error:
            self.failed(run, Failure("SystemUnavailable", str(error)))
        except Exception as error:
            logger.exception("action %s broke", run.action.name)
            self.failed(run, Failure("SystemUnavailable", f"local cloud: {error!r}"))
        if self._status(run) == ABANDONED:
            self.effects[run.action.provider].abandon(run)

    def _status(self, run: ActionRun) -> str:
        with self.lock:
            return run.status


class RunReporter:
    """A conductor as one run sees it."""

    def __init__(self, conductor: Conductor, run: ActionRun) -> None:
        self._conductor = conductor
        self._run = run

    def succeeded(self, run: ActionRun, result: Result) -> None:
        """Report success."""
        self._conductor.succeeded(run, result)

    def failed(self, run: ActionRun, failure: Failure) -> None:
        """Report failure."""
        self._conductor.failed(run, failure)

    def after(self, seconds: float, call: Callable[[], None]) -> Cancel:
        """Call something later."""
        return self._conductor.after(self._run, seconds, call)
