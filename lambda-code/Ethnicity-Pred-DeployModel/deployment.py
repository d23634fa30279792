"""One call of the deployment action: look at the endpoint, take the next step."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import deployment_steps as steps
from common.endings import Done, keep_waiting
from common.job import Job
from common.names import endpoint_name, run_name
from common.settings import from_env
from deployment_plan import Plan, hosting_of, plan
from deployment_request import (
    DeploymentParams,
    Settings,
    check,
    config_request,
    deployment_config,
    model_request,
)


@dataclass(frozen=True)
class Deployment:
    """What is to be deployed where."""

    params: DeploymentParams
    settings: Settings
    trained: Mapping[str, Any]
    name: str  # of the model and of the endpoint config
    endpoint: str


def deploy(job: Job, sagemaker: Any, environ: Mapping[str, str]) -> Done:
    """Bring the endpoint on its way to the trained model, or wait until it can be."""
    params, settings = job.parse(DeploymentParams), from_env(Settings, environ)
    check(params)
    deployment = Deployment(
        params,
        settings,
        job.input("trained-model"),
        run_name(settings.unique_id, job.action_id),
        endpoint_name(params.environment, settings.unique_id),
    )
    now = steps.endpoint_now(sagemaker, deployment.endpoint)
    config = steps.config_now(sagemaker, now["EndpointConfigName"]) if now else None
    next_step = plan(
        now,
        hosting_of(config) if config else None,
        config_name=deployment.name,
        environment=params.environment,
        hosting=params.hosting,
    )
    previous = now["EndpointConfigName"] if now else job.state.get("previous")
    if next_step.step == "delete":
        steps.delete_endpoint(sagemaker, deployment.endpoint)
    if next_step.step in ("delete", "wait"):
        raise _wait(job, next_step, params, job.state.get("previous") or previous)
    if next_step.step == "done":
        ours = steps.config_now(sagemaker, deployment.name)
        previous = steps.replaced_by(sagemaker, ours) if ours else None
    else:
        try:
            _take(sagemaker, next_step, deployment, previous)
        except Exception as error:
            if not steps.is_busy(error):
                raise
            raise _wait(job, next_step, params, previous) from error
    return _done(deployment, next_step, previous)


def _take(sagemaker: Any, step: Plan, deployment: Deployment, previous: str | None) -> None:
    params, settings, trained = deployment.params, deployment.settings, deployment.trained
    steps.create_model(sagemaker, model_request(deployment.name, trained, params, settings))
    request = config_request(deployment.name, trained, params, settings, previous)
    steps.create_config(sagemaker, request)
    target = {"EndpointName": deployment.endpoint, "EndpointConfigName": deployment.name}
    if step.step == "create":
        sagemaker.create_endpoint(**target, Tags=request["Tags"][:3])
        return
    guard = deployment_config(params)
    sagemaker.update_endpoint(**target, **({"DeploymentConfig": guard} if guard else {}))


def _wait(job: Job, step: Plan, params: DeploymentParams, previous: str | None) -> Exception:
    state = {"previous": previous} if previous else {}
    now = datetime.now(UTC)
    return keep_waiting(step.why, job.first_asked, now, params.deadline_minutes, state)


def _done(deployment: Deployment, step: Plan, previous: str | None) -> Done:
    trained, name = deployment.trained, deployment.name
    passed_on = ("model_data_url", "training_job_name", "serve_image", "commit", "data_bucket")
    artifact = {
        "kind": "endpoint-deployment",
        "environment": deployment.params.environment,
        "endpoint_name": deployment.endpoint,
        "endpoint_config_name": name,
        "previous_endpoint_config_name": previous,
        "model_name": name,
        "execution_id": deployment.params.execution_id,
        **{key: trained[key] for key in passed_on},
    }
    variables = {"EndpointName": deployment.endpoint, "EndpointConfigName": name}
    summary = f"{step.why}: {step.step} with {name}"
    return Done(artifact, summary, variables, deployment.endpoint)
