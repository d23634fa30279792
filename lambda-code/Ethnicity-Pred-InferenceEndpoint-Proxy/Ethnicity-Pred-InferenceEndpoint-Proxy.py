"""The API's one function: POST /<stage>/predict to the stage's SageMaker endpoint."""

import os
from typing import Any

from common.clients import client, config
from prediction import Services, respond

# API Gateway gives up after 29 s: 2 * (1 + 3) s for the image + (1 + 17) s for the model = 26 s.
IMAGES = config(connect_s=1, read_s=3, attempts=2)
MODEL = config(connect_s=1, read_s=17, attempts=1)


def lambda_handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Answer an API Gateway REST proxy event."""
    services = Services(
        s3=lambda: client("s3", IMAGES), runtime=lambda: client("sagemaker-runtime", MODEL)
    )
    return respond(event, services, os.environ)
