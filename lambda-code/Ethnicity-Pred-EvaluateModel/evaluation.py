"""One call of the evaluation action: which test, on what data, against which endpoint."""

from collections.abc import Mapping
from typing import Any

from common.endings import Done
from common.failures import WrongConfiguration
from common.job import Job
from counting import Progress, Services
from evaluation_params import EvaluationParams


def evaluate(job: Job, services: Services) -> Done:
    """Run the test that UserParameters name against the endpoint of the input artifact."""
    params = job.parse(EvaluationParams)
    deployed = job.input("deployed-endpoint", "smoke-test")
    if deployed["environment"] != params.environment:
        raise WrongConfiguration(
            f"UserParameters say environment {params.environment!r}, the input artifact is of "
            f"{deployed['environment']!r}"
        )
    bucket = params.data_bucket or deployed["data_bucket"]
    if params.test == "smoke":
        data = (bucket, params.prefix or "smoketest/")
        return smoke_test(data, params.max_rows or 100, deployed, services)
    from full_test import full_test  # half of the source, which a smoke test need not compile

    data = (bucket, params.prefix or "validation/")
    return full_test(job, data, params, deployed, services)


def smoke_test(
    data: tuple[str, str], max_rows: int, deployed: Mapping[str, Any], services: Services
) -> Done:
    """Ask about a few rows; fail on any malformed answer, report the accuracy without judging."""
    progress = Progress.begin(services.s3, *data)
    progress.go_on(services, deployed, max_rows, reserve_s=0)
    tally, endpoint = progress.tally, deployed["endpoint_name"]
    accuracy = tally.right / tally.labelled if tally.labelled else None
    artifact = {
        **deployed,
        "kind": "smoke-test",
        "data": progress.source,
        "rows": tally.rows,
        "accuracy": accuracy,
        "labels": tally.labels,
        "labels_unknown_to_the_model": tally.unknown_labels,
    }
    told = f"accuracy {accuracy:.3f}" if accuracy is not None else "no labels to compare with"
    variables = {"SmokeTestRows": str(tally.rows), "SmokeTestAccuracy": str(accuracy)}
    summary = f"endpoint {endpoint} answered {tally.rows} rows: {told}"
    return Done(artifact, summary, variables, endpoint)
