"""Runs a plan step by step, and repeats it on what is left while that becomes less."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from botocore.exceptions import BotoCoreError, ClientError

from cleanup.plan import Deed, Found, Resource, Step, plan

MAX_ROUNDS = 6
Do = Callable[[Deed, Resource], None]
Report = Callable[[str], None]


@dataclass(frozen=True)
class Failure:
    """A step that was not done, and why."""

    step: Step
    reason: str

    def __str__(self) -> str:
        return f"{self.step}: {self.reason}"


@dataclass(frozen=True)
class Outcome:
    """What is left in the end, and what the last round could not do."""

    left: Found
    failures: tuple[Failure, ...] = ()

    @property
    def is_clean(self) -> bool:
        """Say whether nothing is left but what stays on purpose, and all of it was seen."""
        return not self.left.to_delete and not self.left.unseen


def perform(steps: Iterable[Step], do: Do, report: Report) -> list[Failure]:
    """Do the steps in order, going on after a failure; what needs a failed step is not tried."""
    failures: list[Failure] = []
    undone: set[Deed] = set()
    for step in steps:
        missing = [need for need in step.rule.needs if need in undone]
        if missing:
            reason = f"not tried, for this failed: {' '.join(missing[0])}"
        else:
            reason = _try(step, do)
        if reason:
            undone.add(step.deed)
            failures.append(Failure(step, reason))
        report(f"{'failed' if reason else 'done':<8}{failures[-1] if reason else step}")
    return failures


def _try(step: Step, do: Do) -> str:
    """Return '' if the step is done, else why not."""
    try:
        do(step.deed, step.resource)
    except (ClientError, BotoCoreError, RuntimeError) as error:
        return str(error)
    return ""


def clean(found: Found, look: Callable[[], Found], do: Do, report: Report) -> Outcome:
    """Delete what was found, look again, and go on until nothing is left or nothing moves.

    A later round takes what an earlier one brought to light: what stacks leave behind, and what
    was being made while the pipeline was stopped.
    """
    failures: list[Failure] = []
    for _ in range(MAX_ROUNDS):
        failures = perform(plan(found.resources), do, report)
        before, found = found, look()
        if not found.to_delete or set(found.to_delete) == set(before.to_delete):
            break
        report(f"{len(found.to_delete)} left, once more")
    return Outcome(found, tuple(failures))
