"""What the two test actions can be told."""

from dataclasses import dataclass, field
from typing import Any

from common.fields import one_of, whole


@dataclass(frozen=True)
class EvaluationParams:
    """UserParameters of actions SmokeTest and FullTest."""

    execution_id: str
    test: str = one_of("smoke", "full")
    environment: str = one_of("dev", "prod")
    data_bucket: str = ""
    prefix: str = ""
    max_rows: int = whole(0, 100_000, default=0)  # 0: as many as the test wants
    deadline_minutes: int = whole(1, 1_380, default=180)
    thresholds: dict[str, Any] = field(default_factory=dict)
    instance_types: list[str] = field(default_factory=list)  # that the model may be released to
