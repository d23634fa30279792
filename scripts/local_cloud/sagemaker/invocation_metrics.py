"""What CloudWatch is told of invocations: AWS/SageMaker, by endpoint and variant.

A busy endpoint answers thousands of requests a second, so they are counted here and handed over
before each look at the alarms; latencies keep two digits, which keeps percentiles and memory fair.
"""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from typing import Any

from local_cloud import seams

NAMESPACE = "AWS/SageMaker"
CLIENT_ERRORS, SERVER_ERRORS = range(400, 500), range(500, 600)
NO_ANSWER = 0

Key = tuple[str, str, str, str]  # endpoint, variant, metric, unit


class InvocationMetrics:
    """Counts invocations until `publish` hands them over."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[Key, Counter[float]] = defaultdict(Counter)

    def count(self, endpoint: str, variant: str, status: int, model_us: float) -> None:
        """Count one invocation: the container's status (NO_ANSWER if none), its microseconds."""
        with self._lock:
            for name, unit, value in _metrics(status, model_us):
                self._counts[endpoint, variant, name, unit][value] += 1

    def publish(self) -> None:
        """Put what was counted since the last time, as of now."""
        with self._lock:
            counts, self._counts = self._counts, defaultdict(Counter)
        for (endpoint, variant, name, unit), values in counts.items():
            dimensions = {"EndpointName": endpoint, "VariantName": variant}
            seams.put_metric(NAMESPACE, name, dimensions, unit, dict(values))


def _metrics(status: int, model_us: float) -> list[tuple[str, str, float]]:
    server_error = status in SERVER_ERRORS or status == NO_ANSWER
    client_error = status in CLIENT_ERRORS
    flags: list[tuple[str, Any]] = [
        ("Invocations", True),
        ("Invocation4XXErrors", client_error),
        ("Invocation5XXErrors", server_error),
        ("InvocationModelErrors", client_error or server_error),
    ]
    latency = float(f"{model_us:.1e}")
    return [
        *((name, "None", float(flag)) for name, flag in flags),
        ("ModelLatency", "Microseconds", latency),
    ]
