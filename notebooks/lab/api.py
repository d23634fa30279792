"""Calls the API: signed with the notebook's role, or plainly where the API lets everybody in."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.httpsession import URLLib3Session

from lab.errors import LabError
from lab.workshop import Workshop

URLS = {"dev": "DevPredictUrl", "prod": "ProdPredictUrl"}  # stage → output of stack 2


def predict(workshop: Workshop, image_name: str, stage: str = "dev") -> dict[str, Any]:
    """Return a stage's answer for an image of the bucket; LabError in the API's own words."""
    request = prediction_request(workshop.outputs[URLS[stage]], image_name, os.environ)
    if workshop.is_signed:
        credentials = workshop.session.get_credentials().get_frozen_credentials()
        SigV4Auth(credentials, "execute-api", workshop.session.region_name).add_auth(request)
    answer = URLLib3Session(timeout=35).send(request.prepare())
    if answer.status_code != 200:
        raise LabError(f"POST {request.url} answered {answer.status_code}: {answer.text}")
    content: dict[str, Any] = json.loads(answer.content)
    return content


def predict_images(
    workshop: Workshop, images: Iterable[str], stage: str = "dev"
) -> dict[str, dict[str, Any]]:
    """Return the API's answer for each image of the data bucket."""
    return {name: predict(workshop, name, stage) for name in images}


def prediction_request(url: str, image_name: str, environ: Any) -> AWSRequest:
    """Return the request, unsigned.

    An endpoint given in the SDK's own variable is where to connect, as for every other call of the
    SDK; the Host header still names the API, as for an API behind an interface endpoint.
    """
    parts = urlsplit(url)
    headers = {"Content-Type": "application/json", "Host": parts.netloc}
    given = environ.get("AWS_ENDPOINT_URL_EXECUTE_API") or environ.get("AWS_ENDPOINT_URL")
    if given:
        scheme, netloc, *_ = urlsplit(given)
        url = urlunsplit((scheme, netloc, parts.path, "", ""))
    return AWSRequest("POST", url, headers, json.dumps({"image_name": image_name}).encode())
