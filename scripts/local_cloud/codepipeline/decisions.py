"""What the engine may decide, and the ids it gives."""

from __future__ import annotations

import secrets
import string
import uuid
from dataclasses import dataclass

from local_cloud.codepipeline.model import ActionRun, Execution


@dataclass(frozen=True)
class Perform:
    """Start an action."""

    run: ActionRun
    execution: Execution


@dataclass(frozen=True)
class Abandon:
    """Forget an action that is under way."""

    run: ActionRun


@dataclass(frozen=True)
class Announce:
    """A state changed; `run` for an action, `stage` for a stage, neither for the execution."""

    execution: Execution
    state: str
    stage: str | None = None
    run: ActionRun | None = None


Effect = Perform | Abandon | Announce


def new_id() -> str:
    """Make an id in the form of AWS's."""
    return str(uuid.uuid4())


def new_key() -> str:
    """Make the last part of an artifact's key."""
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(7))
