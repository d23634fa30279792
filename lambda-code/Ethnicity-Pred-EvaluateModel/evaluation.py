"""One call of the evaluation action: which test, on what data, against which endpoint."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from common.endings import Done
from common.failures import WrongConfiguration
from common.fields import one_of, whole
from common.job import Job
from evaluation_source import Place, find_data, find_label_names
from invocation import ask, batches


@dataclass(frozen=True)
class EvaluationParams:
    """UserParameters of actions SmokeTest and FullTest."""

    execution_id: str
    test: str = one_of("smoke", "full")
    environment: str = one_of("dev", "prod")
    data_bucket: str = ""
    prefix: str = ""
    max_rows: int = whole(0, 100_000, default=0)  # 0: as many as the test wants
    thresholds: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Services:
    """What an evaluation may reach: S3, endpoints, and the time that is left to it."""

    s3: Any
    runtime: Any
    time_left_s: Callable[[], float]


def evaluate(job: Job, services: Services) -> Done:
    """Run the test that UserParameters name against the endpoint of the input artifact."""
    params = job.parse(EvaluationParams)
    deployed = job.input("deployed-endpoint")
    if deployed["environment"] != params.environment:
        raise WrongConfiguration(
            f"UserParameters say environment {params.environment!r}, the input artifact is of "
            f"{deployed['environment']!r}"
        )
    return smoke_test(params, deployed, services)


def smoke_test(params: EvaluationParams, deployed: Mapping[str, Any], services: Services) -> Done:
    """Ask about a few rows; fail on any malformed answer, report the accuracy without judging."""
    bucket, prefix = params.data_bucket or deployed["data_bucket"], params.prefix or "smoketest/"
    data = find_data(services.s3, bucket, prefix)
    names = find_label_names(services.s3, bucket, prefix)
    endpoint, version = deployed["endpoint_name"], deployed["training_job_name"]
    rows = labelled = right = 0
    labels: tuple[str, ...] = ()
    unknown: set[str] = set()
    for batch in batches(data, Place(), params.max_rows or 100):
        answer = ask(services.runtime, endpoint, batch, version)
        labels, rows = answer.labels, rows + len(batch.rows)
        for row, predicted in zip(batch.rows, answer.predicted, strict=True):
            if row.label is None:
                continue
            label = names.get(row.label, row.label)
            labelled, right = labelled + 1, right + (label == predicted)
            if label not in labels:
                unknown.add(label)
    if not rows:
        raise WrongConfiguration(f"the CSVs under s3://{bucket}/{prefix} hold no rows")
    accuracy = right / labelled if labelled else None
    artifact = {
        **deployed,
        "kind": "smoke-test",
        "data": f"s3://{bucket}/{prefix}",
        "rows": rows,
        "accuracy": accuracy,
        "labels": list(labels),
        "labels_unknown_to_the_model": sorted(unknown),
    }
    told = f"accuracy {accuracy:.3f}" if accuracy is not None else "no labels to compare with"
    variables = {"SmokeTestRows": str(rows), "SmokeTestAccuracy": f"{accuracy}"}
    return Done(artifact, f"endpoint {endpoint} answered {rows} rows: {told}", variables, endpoint)
