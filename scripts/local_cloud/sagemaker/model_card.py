"""The form that SageMaker has for the model card of a model package, and what breaks it.

It is narrower than that of a card of its own: an overview has creator and artifact only. Where
AWS's published schema means a limit and words it so that it binds nothing, it binds here.
"""

from __future__ import annotations

import json
from typing import Any

from jsonschema import Draft202012Validator

from local_cloud.sagemaker.refusals import Refused

Schema = dict[str, Any]
NUMBER: Schema = {"type": "number"}


def text(limit: int, least: int = 0) -> Schema:
    """A text of so many characters."""
    return {"type": "string", "maxLength": limit, "minLength": least}


def listed(items: Schema, most: int | None = None, least: int = 0) -> Schema:
    """A list of so many items."""
    return {"type": "array", "items": items, "minItems": least} | (
        {} if most is None else {"maxItems": most}
    )


def closed(required: tuple[str, ...] = (), **members: Schema) -> Schema:
    """An object that has no other members."""
    return {
        "type": "object",
        "properties": members,
        "required": list(required),
        "additionalProperties": False,
    }


def named(limit: int) -> Schema:
    """An object of texts under names of one's own."""
    return {"type": "object", "additionalProperties": text(limit)}


def metric(kinds: list[str], value: Schema, x: Schema, y: Schema) -> Schema:
    """A metric of an evaluation, and what its axes are called."""
    return closed(
        ("name", "type", "value"),
        name=text(255, 1),
        notes=text(1_024),
        type={"enum": kinds},
        value=value,
        x_axis_name=x,
        y_axis_name=y,
    )


NAME, NAMES = text(63), listed(text(63))
METRICS = [
    metric(
        ["number", "string", "boolean"],
        {"anyOf": [NUMBER, text(63), {"type": "boolean"}]},
        NAME,
        NAME,
    ),
    metric(["linear_graph"], listed(listed(NUMBER, 2, 2), least=1), NAME, NAME),
    metric(["bar_chart"], listed(NUMBER, least=1), NAMES, NAME),
    metric(["matrix"], listed(listed(NUMBER, 20, 1), 20, 1), NAMES, NAMES),
]
TRAINING_METRIC = closed(
    ("name", "value"), name=text(255, 1), notes=text(1_024), value={"type": "number"}
)
HYPER_PARAMETER = closed(("name", "value"), name=text(255, 1), value=text(255, 1))
TRAINING_JOB = closed(
    training_arn=text(1_024),
    training_datasets=listed(text(1_024), 15),
    training_environment=closed(container_image=listed(text(1_024), 15)),
    training_metrics=listed(TRAINING_METRIC, 50),
    user_provided_training_metrics=listed(TRAINING_METRIC, 50),
    hyper_parameters=listed(HYPER_PARAMETER, 100),
    user_provided_hyper_parameters=listed(HYPER_PARAMETER, 100),
)
OBJECTIVE = closed(
    function=closed(
        function={"enum": ["Maximize", "Minimize"]}, facet=text(63), condition=text(63)
    ),
    notes=text(1_024),
)
EVALUATION = closed(
    ("name",),
    name=text(63, 1),
    evaluation_observation=text(2_096),
    evaluation_job_arn=text(256),
    datasets=listed(text(1_024), 10),
    metadata=named(1_024),
    metric_groups=listed(
        closed(("name", "metric_data"), name=text(63, 1), metric_data=listed({"anyOf": METRICS}))
    ),
)
CARD = closed(
    model_overview=closed(model_creator=text(1_024), model_artifact=listed(text(1_024), 15)),
    intended_uses=closed(
        purpose_of_model=text(2_048),
        intended_uses=text(2_048),
        factors_affecting_model_efficiency=text(2_048),
        risk_rating={"enum": ["High", "Medium", "Low", "Unknown"]},
        explanations_for_risk_rating=text(2_048),
    ),
    business_details=closed(
        business_problem=text(2_048),
        business_stakeholders=text(2_048),
        line_of_business=text(2_048),
    ),
    training_details=closed(
        objective_function=OBJECTIVE,
        training_observations=text(1_024),
        training_job_details=TRAINING_JOB,
    ),
    evaluation_details=listed(EVALUATION),
    additional_information=closed(
        ethical_considerations=text(2_048),
        caveats_and_recommendations=text(2_048),
        custom_details=named(1_024),
    ),
)


def check_card(request: dict[str, Any]) -> None:
    """Refuse a request whose ModelCard has a content that is no such card."""
    content = request.get("ModelCard", {}).get("ModelCardContent")
    if content is None:
        return
    try:
        card = json.loads(content)
    except ValueError as error:
        raise Refused(f"ModelCardContent is not JSON: {error}") from error
    if faults := [*Draft202012Validator(CARD).iter_errors(card)]:
        told = "; ".join(f"{fault.json_path}: {fault.message[:200]}" for fault in faults[:5])
        raise Refused(f"ModelCardContent does not follow the model card schema: {told}")
