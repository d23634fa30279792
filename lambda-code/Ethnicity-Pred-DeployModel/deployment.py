"""One call of the deployment action: look at the endpoint, take the next step."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import deployment_steps as steps
from common.endings import Done, keep_waiting
from common.failures import error_message
from common.job import Job
from common.names import endpoint_name, run_name, tags
from common.settings import from_env
from deployment_plan import Step, hosting_of, plan
from deployment_request import (
    DeploymentParams,
    Settings,
    check,
    config_request,
    deployment_config,
    model_request,
)

UNSEEN = timedelta(minutes=5)  # longer than SageMaker needs to see what it has made itself


@dataclass(frozen=True)
class Target:
    """What is to be deployed where."""

    params: DeploymentParams
    settings: Settings
    trained: Mapping[str, Any]
    name: str  # of the model and of the endpoint config
    endpoint: str


def deploy(job: Job, sagemaker: Any, environ: Mapping[str, str]) -> Done:
    """Set the endpoint on its way to the trained model, or wait until that can be done."""
    target = _target(job, environ)
    now = steps.endpoint_now(sagemaker, target.endpoint)
    step = _plan(sagemaker, now, target)
    previous = now["EndpointConfigName"] if now else job.state.get("previous")
    if step.name == "delete":
        steps.delete_endpoint(sagemaker, target.endpoint)
    if step.name in ("delete", "wait"):
        raise _not_yet(job, step.why, target, previous)
    if step.name == "done":
        previous = steps.replaced_by(sagemaker, target.name)
    else:
        _begin(job, sagemaker, step, target, previous)
    return _done(target, step, previous)


def _target(job: Job, environ: Mapping[str, str]) -> Target:
    params, settings = job.parse(DeploymentParams), from_env(Settings, environ)
    check(params)
    return Target(
        params,
        settings,
        job.input("trained-model"),
        run_name(settings.unique_id, job.action_id),
        endpoint_name(params.environment, settings.unique_id),
    )


def _plan(sagemaker: Any, now: Mapping[str, Any] | None, target: Target) -> Step:
    config = steps.config_now(sagemaker, now["EndpointConfigName"]) if now else None
    return plan(
        now,
        hosting_of(config) if config else None,
        config_name=target.name,
        environment=target.params.environment,
        hosting=target.params.hosting,
    )


def _begin(job: Job, sagemaker: Any, step: Step, target: Target, previous: str | None) -> None:
    """Make model and config and start the deployment; raise NotYet if SageMaker is not ready."""
    params, settings, trained = target.params, target.settings, target.trained
    try:
        steps.create_model(sagemaker, model_request(target.name, trained, params, settings))
        config = config_request(target.name, trained, params, settings, previous)
        steps.create_config(sagemaker, config)
        _start(sagemaker, step, target)
    except Exception as error:
        if steps.is_busy(error):
            raise _not_yet(job, step.why, target, previous) from error
        now = datetime.now(UTC)
        since = job.state.get("unseen_since") or now.isoformat()
        if not steps.is_unseen(error, target.name) or now - datetime.fromisoformat(since) > UNSEEN:
            raise
        what = f"SageMaker does not see yet what it has just made: {error_message(error)}"
        raise _not_yet(job, what, target, previous, since) from error


def _start(sagemaker: Any, step: Step, target: Target) -> None:
    request = {"EndpointName": target.endpoint, "EndpointConfigName": target.name}
    if step.name == "create":
        commit, execution = target.trained["commit"], target.params.execution_id
        own = tags(target.settings.unique_id, execution, commit)
        sagemaker.create_endpoint(**request, Tags=own)
    else:
        guard = deployment_config(target.params)
        sagemaker.update_endpoint(**request, **({"DeploymentConfig": guard} if guard else {}))


def _not_yet(
    job: Job, what: str, target: Target, previous: str | None, unseen_since: str = ""
) -> Exception:
    state = {"previous": previous, "unseen_since": unseen_since}
    kept = {name: value for name, value in state.items() if value}
    now, deadline = datetime.now(UTC), target.params.deadline_minutes
    return keep_waiting(what, job.first_asked, now, deadline, kept)


def _done(target: Target, step: Step, previous: str | None) -> Done:
    passed_on = ("model_data_url", "training_job_name", "serve_image", "commit", "data_bucket")
    artifact = {
        "kind": "endpoint-deployment",
        "environment": target.params.environment,
        "endpoint_name": target.endpoint,
        "endpoint_config_name": target.name,
        "previous_endpoint_config_name": previous,
        "model_name": target.name,
        "execution_id": target.params.execution_id,
        **{key: target.trained[key] for key in passed_on},
    }
    variables = {"EndpointName": target.endpoint, "EndpointConfigName": target.name}
    summary = f"{step.why}: {step.name} with {target.name}"
    return Done(artifact, summary, variables, target.endpoint)
