"""Names and tags of what the pipeline makes in SageMaker."""

import re

_RUN_NAME = re.compile(
    r"(ethnicity-pred-[a-z][a-z0-9]{2}-)[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
)
VARIANT = "AllTraffic"


def run_name(unique_id: str, action_id: str) -> str:
    """Name a training job, model or endpoint config after the CodePipeline job that makes it."""
    return f"ethnicity-pred-{unique_id}-{action_id}"


def endpoint_name(environment: str, unique_id: str) -> str:
    """Name the one endpoint of an environment; it stays the same through every deployment."""
    return f"ethnicity-pred-{environment}-{unique_id}"


def tags(unique_id: str, execution_id: str, commit: str) -> list[dict[str, str]]:
    """Return the tags that every SageMaker object of a run carries."""
    values = {"pipeline-execution-id": execution_id, "commit": commit, "unique-id": unique_id}
    return [{"Key": key, "Value": value} for key, value in values.items()]


def is_ours_to_delete(name: str | None, current: str) -> bool:
    """Tell whether name is another run of the same pipeline as current, and so may be deleted."""
    mine, other = _RUN_NAME.fullmatch(current), _RUN_NAME.fullmatch(name or "")
    return bool(mine and other and name != current and mine[1] == other[1])
