"""What clean-up says: the plan before the question, and what is left at the end. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

from cleanup.plan import Found, Step
from cleanup.rounds import Outcome

SHOWN = 4  # names of one kind before "and N more"


def plan_lines(steps: Iterable[Step]) -> list[str]:
    """Return the plan, one line for each deed."""
    lines = []
    for (verb, kind), group in groupby(steps, key=lambda step: step.deed):
        resources = [step.resource for step in group]
        names = [f"{r.name} ({r.status})" if r.status else r.name for r in resources[:SHOWN]]
        if len(resources) > SHOWN:
            names.append(f"and {len(resources) - SHOWN} more")
        lines.append(f"  {verb} {kind}".ljust(32) + ", ".join(names))
    return lines


def stay_lines(found: Found) -> list[str]:
    """Return what is left on purpose, and what could not be seen."""
    stays = [f"  stays: {r.kind} {r.name}: {r.stays}" for r in found.staying]
    return [*stays, *(f"  {line}" for line in found.unseen)]


def outcome_lines(outcome: Outcome) -> list[str]:
    """Return what is left and why."""
    left = outcome.left.to_delete
    lines = [f"Left: {len(left)} of what was to be deleted" if left else "Left: nothing"]
    lines += [f"  {r.kind} {r.name}{f' ({r.status})' if r.status else ''}" for r in left]
    lines += stay_lines(outcome.left)
    if left:
        lines += ["Why:", *(f"  {failure}" for failure in outcome.failures)]
    if not outcome.is_clean:
        lines.append("Run it again to go on; what is done stays done.")
    return lines
