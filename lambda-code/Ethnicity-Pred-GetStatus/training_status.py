"""What a training job's status means to the pipeline."""

from collections.abc import Mapping
from typing import Any

from common.endings import Done
from common.failures import ActionFailed

# Every status that SageMaker's model lists stands in one of these; another one fails loudly.
WAITING = {"InProgress", "Stopping"}
DONE = {"Completed"}
FAILED = {"Failed", "Stopped", "Deleting"}


def training_verdict(job: Mapping[str, Any], started: Mapping[str, Any]) -> Done | str:
    """Return the success, or in words what there is to wait for; raise if it cannot come."""
    name, status = job["TrainingJobName"], job["TrainingJobStatus"]
    detail = f" ({job['SecondaryStatus']})" if job.get("SecondaryStatus", status) != status else ""
    if status in WAITING:
        return f"training job {name} is {status}{detail}"
    if status in DONE:
        return _trained(job, started)
    if status in FAILED:
        why = job.get("FailureReason") or _why_stopped(job) or "SageMaker gives no reason"
        raise ActionFailed(f"training job {name} ended as {status}{detail}: {why}")
    raise ActionFailed(f"training job {name} has a status that nobody here knows: {status!r}")


def _why_stopped(job: Mapping[str, Any]) -> str:
    return {
        "MaxRuntimeExceeded": "it ran longer than the stack's TrainingMaxRuntimeSeconds",
        "MaxWaitTimeExceeded": (
            "no spot capacity came in time; set the stack's TrainingSpot to false, or try later"
        ),
        "Interrupted": "SageMaker took the spot instance back (the stack's TrainingSpot)",
        "Stopped": "somebody stopped it",
    }.get(job.get("SecondaryStatus", ""), "")


def _trained(job: Mapping[str, Any], started: Mapping[str, Any]) -> Done:
    metrics = {m["MetricName"]: float(m["Value"]) for m in job.get("FinalMetricDataList", [])}
    name, model = job["TrainingJobName"], job["ModelArtifacts"]["S3ModelArtifacts"]
    passed_on = {key: started[key] for key in ("serve_image", "commit", "data_bucket")}
    artifact = {
        "kind": "trained-model",
        "training_job_name": name,
        "model_data_url": model,
        "metrics": metrics,
        "execution_id": started["execution_id"],
        **passed_on,
    }
    numbers = ", ".join(f"{metric} {value:.4g}" for metric, value in sorted(metrics.items()))
    variables = {"TrainingJobName": name, "ModelDataUrl": model}
    return Done(artifact, f"training job {name} is Completed: {numbers}", variables, name)
