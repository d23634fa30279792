"""What belongs to one UniqueID, by name. Everything that clean-up touches passes through here.

Names are compared whole, never by prefix: of a person with the id `dev` a prefix would also take
everybody else's endpoint `ethnicity-pred-dev-…`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

PREFIX = "ethnicity-pred-"
FUNCTIONS = ("TrainModel", "GetStatus", "DeployModel", "EvaluateModel", "InferenceEndpoint-Proxy")
KEPT_BUCKETS = ("data", "model-artifacts")  # their stack retains them
WORKING_BUCKETS = ("lambda-code", "codepipeline-artifacts")
TRAINING_LOGS = "/aws/sagemaker/TrainingJobs"  # shared by the whole account, as the next one is
EXECUTION_LOGS = "API-Gateway-Execution-Logs_"  # then the API's id, a slash and its stage
NOTEBOOK_LOGS = "/aws/sagemaker/NotebookInstances"

_UNIQUE_ID = re.compile(r"[a-z][a-z0-9]{2}")
_UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_STACK_HASH = r"[0-9a-f]{8}"
_STACK = re.compile(r"Ethnicity prediction MLOps, stack ([12]) of 2\b")


@dataclass(frozen=True)
class Names:
    """The names of everything that the two stacks and their pipeline make for one UniqueID."""

    unique_id: str

    def __post_init__(self) -> None:
        if not _UNIQUE_ID.fullmatch(self.unique_id):
            raise ValueError(
                f"UniqueID {self.unique_id!r} is not three characters, a lower-case letter and "
                "then two lower-case letters or digits (kmm)"
            )

    @property
    def pipeline(self) -> str:
        return f"{PREFIX}pipeline-{self.unique_id}"

    @property
    def build_project(self) -> str:
        return f"{PREFIX}build-{self.unique_id}"

    @property
    def image_repository(self) -> str:
        return f"{PREFIX}ecr-{self.unique_id}"

    @property
    def api(self) -> str:
        return f"{PREFIX}api-{self.unique_id}"

    @property
    def notebook(self) -> str:
        return f"Ethnicity-Prediction-Notebook-{self.unique_id}"

    @property
    def key_alias(self) -> str:
        return f"alias/{PREFIX}{self.unique_id}"

    @property
    def key_description(self) -> str:
        return f"Data, models, artifacts and logs of ethnicity prediction {self.unique_id}"

    @property
    def repository_description(self) -> str:
        """CodeCommit's repository bears no id in its name; the template writes it in here."""
        return (
            f"Model code of the ethnicity prediction pipeline {self.unique_id}; "
            "a push starts the pipeline"
        )

    @property
    def endpoints(self) -> tuple[str, ...]:
        return tuple(f"{PREFIX}{environment}-{self.unique_id}" for environment in ("dev", "prod"))

    @property
    def model_package_group(self) -> str:
        """The first model that passes the gate makes it; no stack does."""
        return f"{PREFIX}models-{self.unique_id}"

    @property
    def functions(self) -> tuple[str, ...]:
        return tuple(f"Ethnicity-Pred-{stem}-{self.unique_id}" for stem in FUNCTIONS)

    @property
    def log_groups(self) -> tuple[str, ...]:
        """Groups of this id alone, made by the stack or by the services themselves."""
        return (
            *(f"/aws/lambda/{name}" for name in self.functions),
            f"/aws/codebuild/{self.build_project}",
            f"/aws/apigateway/{self.api}",
            *(f"/aws/sagemaker/Endpoints/{name}" for name in self.endpoints),
        )

    @property
    def log_stream_prefixes(self) -> dict[str, str]:
        """Groups that are shared with others → what our streams in them begin with."""
        return {
            TRAINING_LOGS: f"{PREFIX}{self.unique_id}-",
            NOTEBOOK_LOGS: f"{self.notebook}/",
        }

    def is_run(self, name: str) -> bool:
        """Say whether a training job, model or endpoint config was made by this id's pipeline."""
        return bool(re.fullmatch(f"{PREFIX}{self.unique_id}-{_UUID}", name))

    def is_log_stream(self, group: str, stream: str) -> bool:
        """Say whether a stream of a shared group is this id's."""
        if group == TRAINING_LOGS:
            return self.is_run(stream.split("/", 1)[0])
        return group == NOTEBOOK_LOGS and stream.startswith(f"{self.notebook}/")

    def is_bucket(self, name: str, purposes: tuple[str, ...]) -> bool:
        """Say whether a bucket is this id's, for one of the purposes in its name."""
        any_purpose = "|".join(purposes)
        return bool(re.fullmatch(f"{PREFIX}(?:{any_purpose})-{self.unique_id}-{_STACK_HASH}", name))


def stack_number(description: str) -> int | None:
    """Return 1 or 2 for our stacks by their template's description, None for any other."""
    found = _STACK.search(description)
    return int(found[1]) if found else None


def is_execution_log(group: str, api_ids: set[str]) -> bool:
    """Say whether API Gateway wrote a log group for one of these APIs."""
    api_id, _, stage = group.removeprefix(EXECUTION_LOGS).partition("/")
    return group.startswith(EXECUTION_LOGS) and api_id in api_ids and bool(stage)
