"""Pipeline actions DeployToDevEnv and DeployToProdEnv: a trained model in, a deployment out."""

import os
from typing import Any

from common.clients import client
from common.job import run_action
from deployment import deploy


def lambda_handler(event: dict[str, Any], context: object) -> None:
    """Answer CodePipeline."""
    run_action(event, lambda job: deploy(job, client("sagemaker"), os.environ))
