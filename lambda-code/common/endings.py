"""How an action ends well: done, or not yet (it never sleeps, it asks to be asked again)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from common.failures import ActionFailed


@dataclass(frozen=True)
class Done:
    """An action's success: its output artifact, one line to show, small results as variables."""

    artifact: Mapping[str, Any]
    summary: str
    variables: Mapping[str, str] = field(default_factory=dict)
    external_id: str = ""


class NotYet(Exception):
    """The action is not finished: CodePipeline shall ask again and hand `state` back."""

    def __init__(self, message: str, state: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.state = dict(state or {})


def keep_waiting(
    what: str,
    first_asked: datetime,
    now: datetime,
    deadline_minutes: int,
    state: Mapping[str, Any] | None = None,
) -> NotYet:
    """Return the NotYet to raise, or raise ActionFailed once deadline_minutes have passed.

    The clock starts when this action first asked, so a retried stage gets the full time again.
    """
    waited = now - first_asked
    if waited >= timedelta(minutes=deadline_minutes):
        raise ActionFailed(
            f"{what} after {int(waited.total_seconds() // 60)} minutes of waiting; the deadline is "
            f"{deadline_minutes} (UserParameters 'deadline_minutes'). Look at it in SageMaker. "
            "'Retry failed actions' waits on for the same, 'Retry stage' begins a new one"
        )
    return NotYet(what, state)
