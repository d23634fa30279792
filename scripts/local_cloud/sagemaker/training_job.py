"""The life of a training job, apart from any process, clock or wire."""

from __future__ import annotations

import threading
from typing import Any

from local_cloud.sagemaker.metrics import MetricLog

REASON_LIMIT = 1024
ENDED = {"Completed", "Failed", "Stopped"}
MESSAGES = {
    "Starting": "Preparing the instances for training",
    "Downloading": "Downloading input data",
    "Training": "Training image download completed. Training in progress.",
    "Uploading": "Uploading generated training model",
    "Completed": "Training job completed",
    "Failed": "Training job failed",
    "Stopping": "Stopping the training job",
    "Stopped": "Training job stopped",
    "MaxRuntimeExceeded": "Training job runtime exceeded MaxRuntimeInSeconds provided",
}
FOLLOWS = {
    "Starting": {"Downloading", "Stopping", "Failed"},
    "Downloading": {"Training", "Stopping", "Failed"},
    "Training": {"Uploading", "Stopping", "Failed"},
    "Stopping": {"Uploading", "Stopped", "MaxRuntimeExceeded", "Failed"},
    "Uploading": {"Completed", "Stopping", "Stopped", "MaxRuntimeExceeded", "Failed"},
}
STATUS = {
    "Completed": "Completed",
    "Failed": "Failed",
    "Stopping": "Stopping",
    "Stopped": "Stopped",
    "MaxRuntimeExceeded": "Stopped",
}
ECHOED = (
    "TrainingJobName",
    "HyperParameters",
    "AlgorithmSpecification",
    "RoleArn",
    "InputDataConfig",
    "OutputDataConfig",
    "ResourceConfig",
    "StoppingCondition",
    "CheckpointConfig",
    "Environment",
)


class IllegalTransition(RuntimeError):
    """A step that a training job cannot take; a fault of the emulator."""


class TrainingJob:
    """One job: its request, its statuses with their times, and what came of it."""

    def __init__(self, request: dict[str, Any], arn: str, now: float) -> None:
        self.request = request
        self.name: str = request["TrainingJobName"]
        self.arn = arn
        self.created = self.modified = now
        self.started: float | None = None
        self.ended: float | None = None
        self.status = "InProgress"
        self.failure_reason = ""
        self.transitions: list[dict[str, Any]] = []
        specification = request["AlgorithmSpecification"]
        self.metrics = MetricLog(specification.get("MetricDefinitions", []))
        self._described = False
        self._lock = threading.Lock()
        self._append("Starting", now)

    @property
    def secondary(self) -> str:
        """The current SecondaryStatus."""
        status: str = self.transitions[-1]["Status"]
        return status

    @property
    def has_ended(self) -> bool:
        """Whether the job has reached a final status."""
        return self.status in ENDED

    @property
    def artifact(self) -> str:
        """The S3 URI of model.tar.gz, whether it has been written or not."""
        base = self.request["OutputDataConfig"]["S3OutputPath"].rstrip("/")
        return f"{base}/{self.name}/output/model.tar.gz"

    def enter(self, secondary: str, now: float) -> None:
        """Take one step; IllegalTransition if it does not follow from the last."""
        with self._lock:
            self._step(secondary, now)

    def proceed(self, secondary: str, now: float) -> bool:
        """Take one step unless the job was asked to stop; say whether it was taken."""
        with self._lock:
            if self.status == "Stopping":
                return False
            self._step(secondary, now)
            return True

    def request_stop(self, now: float) -> bool:
        """Become Stopping; False if the job already stops or has ended."""
        with self._lock:
            if self.status != "InProgress":
                return False
            self._step("Stopping", now)
            return True

    def end(self, secondary: str, now: float) -> None:
        """Take the last step; a job that was asked to stop while it ended is Stopped."""
        with self._lock:
            stopped = secondary == "Completed" and self.status == "Stopping"
            self._step("Stopped" if stopped else secondary, now)

    def fail(self, reason: str, now: float) -> None:
        """End the job as Failed with the first 1,024 characters of the reason."""
        with self._lock:
            self.failure_reason = reason[:REASON_LIMIT]
            self._step("Failed", now)

    def describe(self) -> dict[str, Any]:
        """Return DescribeTrainingJob's answer.

        The first one never shows an end: on AWS nobody sees a job finish in less than minutes,
        so a caller that does not wait must fail here too.
        """
        with self._lock:
            first, self._described = not self._described, True
            steps = [dict(step) for step in self.transitions]
            return self._view(steps[:-1] if first and self.has_ended else steps)

    def summary(self) -> dict[str, Any]:
        """Return the job's entry in ListTrainingJobs."""
        return {
            "TrainingJobName": self.name,
            "TrainingJobArn": self.arn,
            "CreationTime": self.created,
            "LastModifiedTime": self.modified,
            "TrainingJobStatus": self.status,
            "SecondaryStatus": self.secondary,
            **({"TrainingEndTime": self.ended} if self.ended else {}),
        }

    def _step(self, secondary: str, now: float) -> None:
        if secondary not in FOLLOWS.get(self.secondary, set()):
            raise IllegalTransition(f"{self.name}: {secondary} after {self.secondary}")
        self.status = STATUS.get(secondary, self.status)
        if secondary == "Downloading":
            self.started = now
        if self.has_ended:
            self.ended = now
        self._append(secondary, now)

    def _append(self, secondary: str, now: float) -> None:
        if self.transitions:
            self.transitions[-1]["EndTime"] = now
        step = {"Status": secondary, "StartTime": now, "StatusMessage": MESSAGES[secondary]}
        if self.failure_reason and secondary == "Failed":
            step["StatusMessage"] = self.failure_reason
        if secondary in STATUS and STATUS[secondary] in ENDED:
            step["EndTime"] = now
        self.transitions.append(step)
        self.modified = now

    def _view(self, transitions: list[dict[str, Any]]) -> dict[str, Any]:
        whole = len(transitions) == len(self.transitions)
        view = {name: self.request[name] for name in ECHOED if name in self.request}
        view |= {
            "TrainingJobArn": self.arn,
            "TrainingJobStatus": self.status if whole else _status_of(transitions),
            "SecondaryStatus": transitions[-1]["Status"],
            "SecondaryStatusTransitions": transitions,
            "ModelArtifacts": {"S3ModelArtifacts": self.artifact},
            "CreationTime": self.created,
            "LastModifiedTime": self.modified,
            "EnableNetworkIsolation": self.request.get("EnableNetworkIsolation", False),
            "EnableInterContainerTrafficEncryption": self.request.get(
                "EnableInterContainerTrafficEncryption", False
            ),
            "EnableManagedSpotTraining": self.request.get("EnableManagedSpotTraining", False),
            "ProfilingStatus": "Disabled",
        }
        if self.started:
            view["TrainingStartTime"] = self.started
        if whole and self.has_ended:
            view |= self._ending()
        if whole and (final := self.metrics.final()):
            view["FinalMetricDataList"] = final
        return view

    def _ending(self) -> dict[str, Any]:
        ended = self.ended or self.modified
        seconds = max(1, round(ended - (self.started or self.created)))
        times = {"TrainingTimeInSeconds": seconds, "BillableTimeInSeconds": seconds}
        reason = {"FailureReason": self.failure_reason} if self.failure_reason else {}
        return {"TrainingEndTime": ended, **times, **reason}


def algorithm_error(message: str, exit_code: int) -> str:
    """Return the FailureReason of a program that ended badly, within its 1,024 characters."""
    tail = f", exit code: {exit_code}"
    head = "AlgorithmError: "
    return head + message[: REASON_LIMIT - len(head) - len(tail)] + tail


def _status_of(transitions: list[dict[str, Any]]) -> str:
    stopping = any(step["Status"] == "Stopping" for step in transitions)
    return "Stopping" if stopping else "InProgress"
