"""The jobs that Lambda actions answer: each is answered once, by its id."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from local_cloud.codepipeline.decisions import new_id
from local_cloud.errors import ApiError

OPEN = "InProgress"
CLOSED = "Closed"  # answered, timed out or abandoned


@dataclass
class Job:
    """One invocation that waits for its answer."""

    id: str
    owner: str  # id of the action's run
    state: str = OPEN


class Jobs:
    """All jobs; a continued action gets a new one each time, as on AWS."""

    def __init__(self, ids: Callable[[], str] = new_id) -> None:
        self._ids = ids
        self._lock = threading.Lock()
        self._jobs: dict[str, Job] = {}

    def open(self, owner: str) -> Job:
        """Make a job of an action's run."""
        job = Job(self._ids(), owner)
        self._jobs[job.id] = job
        return job

    def answer(self, job_id: str) -> Job:
        """Take the one answer of a job; ApiError for an unknown job or a second answer."""
        job = self._jobs.get(job_id)
        if job is None:
            raise ApiError("JobNotFoundException", f"No job exists with the ID {job_id}")
        if not self._close(job):
            raise ApiError(
                "InvalidJobStateException",
                f"Job {job_id} is not in progress: it was answered before, timed out or abandoned",
            )
        return job

    def expire(self, job_id: str) -> bool:
        """Close a job that nobody answered; False if somebody did."""
        return self._close(self._jobs[job_id])

    def abandon(self, owner: str) -> None:
        """Close what is open of an action's run."""
        for job in list(self._jobs.values()):
            if job.owner == owner:
                self._close(job)

    def _close(self, job: Job) -> bool:
        with self._lock:
            was_open, job.state = job.state == OPEN, CLOSED
        return was_open
