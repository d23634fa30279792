"""Brings endpoints up, updates them while the old fleet answers, and takes them down."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from local_cloud import alarms, seams
from local_cloud.background import time_scale
from local_cloud.sagemaker.endpoint import Endpoint
from local_cloud.sagemaker.fleet import Fleet, Traffic
from local_cloud.sagemaker.rollout import Rollout
from local_cloud.sagemaker.server import Unhealthy

logger = logging.getLogger("local_cloud")

ALARM_INTERVAL_S = 5.0


class RollBack(RuntimeError):
    """The update has to be given up; the message is the endpoint's FailureReason."""


@dataclass
class Deployment:
    """One endpoint with its traffic; each method runs in a thread of its own and never raises."""

    endpoint: Endpoint
    traffic: Traffic

    def create(self, fleet: Fleet) -> None:
        """Bring the first fleet up."""
        try:
            fleet.start()
        except Unhealthy as failure:
            self.endpoint.failed(str(failure), time.time())
        except Exception as error:
            logger.exception("endpoint %s", self.endpoint.name)
            self.endpoint.failed(f"The local cloud failed: {error}", time.time())
        else:
            self.traffic.serve(fleet)
            self.endpoint.created_in_service(time.time())

    def update(self, green: Fleet, rollout: Rollout) -> None:
        """Replace the fleet step by step; the blue one answers until the green one is proven."""
        blue = self.traffic.blue
        deadline = time.monotonic() + rollout.timeout_s
        started = False
        try:
            self._phase("Creating")
            green.start()
            started = True
            self._shift(green, rollout, deadline)
        except (RollBack, Unhealthy) as failure:
            self._roll_back(blue, green if started else None, str(failure))
        except Exception as error:
            logger.exception("endpoint %s", self.endpoint.name)
            failure_text = f"The local cloud failed: {error}"
            self._roll_back(blue, green if started else None, failure_text)
        else:
            self.traffic.serve(green)
            self._stop(blue)
            self.endpoint.updated(time.time())

    def delete(self, forget: Callable[[], None]) -> None:
        """Take the fleet down, then forget the endpoint."""
        try:
            if fleet := self.traffic.end():
                fleet.stop()
        except Exception:
            logger.exception("endpoint %s", self.endpoint.name)
        finally:
            forget()

    def _shift(self, green: Fleet, rollout: Rollout, deadline: float) -> None:
        for step in rollout.steps:
            self._check(rollout, deadline)
            self._phase("ActivatingTraffic")
            self.traffic.shift(green, step.share)
            self._phase("Baking")
            self._bake(step.bake_s, rollout, deadline)
        self._bake(rollout.termination_wait_s, rollout, deadline)

    def _bake(self, seconds: float, rollout: Rollout, deadline: float) -> None:
        """Watch the alarms for this long (by the time scale), and once more at the end."""
        scale = time_scale()
        end = time.monotonic() + seconds * scale
        while (left := end - time.monotonic()) > 0:
            self._check(rollout, deadline)
            time.sleep(min(left, ALARM_INTERVAL_S * scale))
        self._check(rollout, deadline)

    def _check(self, rollout: Rollout, deadline: float) -> None:
        alarms.judge_now()
        tripped = [name for name in rollout.alarms if seams.alarm_state(name) == "ALARM"]
        if tripped:
            raise RollBack(
                "The update was rolled back because these CloudWatch alarms are in state ALARM: "
                f"{', '.join(tripped)}"
            )
        if time.monotonic() > deadline:
            raise RollBack(
                f"The update was rolled back because it took longer than {rollout.timeout_s:g} s "
                "(MaximumExecutionTimeoutInSeconds)"
            )

    def _roll_back(self, blue: Fleet, green: Fleet | None, reason: str) -> None:
        self.endpoint.roll_back(reason, time.time())
        self.traffic.shift_back()
        if green:
            self._stop(green)
        if blue.answers():
            self.endpoint.rolled_back(time.time())
        else:
            self.endpoint.rollback_failed(
                f"{reason} The previous fleet does not answer either.", time.time()
            )

    def _stop(self, fleet: Fleet) -> None:
        self.endpoint.phases.clear()
        try:
            fleet.stop()
        except Exception:
            logger.exception("a fleet of endpoint %s would not stop", self.endpoint.name)

    def _phase(self, status: str) -> None:
        pending: dict[str, Any] = self.endpoint.pending or {}
        if name := pending.get("EndpointConfigName"):
            self.endpoint.phases[name] = status
