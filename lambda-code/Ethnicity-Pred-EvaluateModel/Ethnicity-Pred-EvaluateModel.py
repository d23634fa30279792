"""Pipeline actions SmokeTest and FullTest: ask the deployed endpoint, and judge its answers."""

import os
from typing import Any

from common.clients import client, config
from common.job import run_action
from counting import Services
from evaluation import evaluate

INVOCATION = config(read_s=65, attempts=2)  # SageMaker gives a model 60 s


def lambda_handler(event: dict[str, Any], context: Any) -> None:
    """Answer CodePipeline."""

    def action(job: Any) -> Any:
        services = Services(
            s3=client("s3"),
            runtime=client("sagemaker-runtime", INVOCATION),
            sagemaker=lambda: client("sagemaker"),
            environ=os.environ,
            time_left_s=lambda: context.get_remaining_time_in_millis() / 1000,
        )
        return evaluate(job, services)

    run_action(event, action)
