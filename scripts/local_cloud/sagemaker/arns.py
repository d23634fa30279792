"""Names of SageMaker's resources: ARNs are lower-case, whatever case the name was given in."""

from __future__ import annotations

from dataclasses import dataclass

TRAINING_JOB = "training-job"
MODEL = "model"
ENDPOINT_CONFIG = "endpoint-config"
ENDPOINT = "endpoint"
PACKAGE = "model-package"
PACKAGE_GROUP = "model-package-group"
NOTEBOOK = "notebook-instance"
LIFECYCLE_CONFIG = "notebook-instance-lifecycle-config"


@dataclass(frozen=True)
class Place:
    """The account and region that a resource lives in."""

    account: str
    region: str

    def arn(self, kind: str, name: str) -> str:
        """Return the ARN of a resource, as SageMaker writes it."""
        return f"arn:aws:sagemaker:{self.region}:{self.account}:{kind}/{name.lower()}"


def name_of(name_or_arn: str) -> str:
    """Return the name in an ARN (what follows its kind), or the name itself."""
    if not name_or_arn.startswith("arn:"):
        return name_or_arn
    return name_or_arn.split(":", 5)[5].split("/", 1)[1]


def split_s3(uri: str) -> tuple[str, str]:
    """Split s3://bucket/key into bucket and key (which may be empty)."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key
