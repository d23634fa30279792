"""Waiting for AWS: ask until it takes the request, look until it is done."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from botocore.exceptions import ClientError

from cleanup.aws import is_busy, is_gone

POLL_S = 5.0
TIMEOUT_S = 1_800.0


class StillThere(RuntimeError):
    """Something did not reach its end in time."""


def _never(_status: str) -> bool:
    return False


@dataclass(frozen=True)
class Waiter:
    """Waits with a clock that a test can turn."""

    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    poll_s: float = POLL_S
    timeout_s: float = TIMEOUT_S

    def drive(
        self,
        what: str,
        look: Callable[[], str],
        act: Callable[[], object],
        is_done: Callable[[str], bool] = _never,
        hold: Callable[[str], bool] = _never,
    ) -> None:
        """Act once, as soon as AWS lets us; return when look() is done or finds nothing any more.

        Nothing is asked while `hold` says that a status must pass, or that somebody has asked
        already. A request that is refused for a passing state is made again.
        """
        deadline = self.clock() + self.timeout_s
        asked, refusal, pause_s = False, "", self.poll_s / 16
        while True:
            status = _status(look)
            if status is None or is_done(status):
                return
            if not asked and not hold(status):
                asked, refusal = _ask(act)
            if self.clock() >= deadline:
                minutes = self.timeout_s / 60
                raise StillThere(f"{what} is {status} after {minutes:.0f} minutes{refusal}")
            self.sleep(pause_s)
            pause_s = min(self.poll_s, pause_s * 2)


def _status(look: Callable[[], str]) -> str | None:
    try:
        return look()
    except ClientError as error:
        if is_gone(error):
            return None
        raise


def _ask(act: Callable[[], object]) -> tuple[bool, str]:
    try:
        act()
    except ClientError as error:
        if not is_busy(error):
            raise
        return False, f"; AWS said: {error}"
    return True, ""
