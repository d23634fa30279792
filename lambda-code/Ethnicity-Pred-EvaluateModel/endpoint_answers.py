"""What an endpoint's answer must look like before anybody counts it."""

import json
import math
from dataclasses import dataclass
from typing import Any

from common.failures import ActionFailed

TOLERANCE = 0.02  # of the sum of probabilities, which the model rounds


class BadAnswer(ActionFailed):
    """The endpoint answered something that the API could not pass on to a caller."""


@dataclass(frozen=True)
class Answer:
    """A checked answer: one label per row, and all the labels that the model knows."""

    predicted: list[str]
    labels: tuple[str, ...]
    model: dict[str, Any]


def check_answer(body: bytes, rows: int, version: str) -> Answer:
    """Read the JSON answer to `rows` rows of the model `version`, or raise BadAnswer."""
    try:
        content = json.loads(body)
        predictions, model = content["predictions"], content["model"]
        count, seen = len(predictions), model.get("version")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise BadAnswer(
            f"the endpoint's answer is not in the documented form: {body[:200]!r}"
        ) from error
    if count != rows:
        raise BadAnswer(f"the endpoint gave {count} predictions for {rows} rows")
    if seen != version:
        raise BadAnswer(
            f"the endpoint answers with model version {seen!r}; {version!r} was deployed: a "
            "newer run has most likely deployed to it meanwhile, and is tested in its turn"
        )
    labels = _labels(predictions[0], 0)
    for number, prediction in enumerate(predictions):
        if _labels(prediction, number) != labels:
            raise BadAnswer(f"prediction {number} has other labels than the one before")
    return Answer([p["predict"] for p in predictions], tuple(sorted(labels)), model)


def _labels(prediction: Any, number: int) -> set[str]:
    if not isinstance(prediction, dict) or not isinstance(prediction.get("probabilities"), dict):
        raise BadAnswer(f"prediction {number} is not {{'predict', 'probabilities'}}")
    probabilities, predict = prediction["probabilities"], prediction.get("predict")
    if predict not in probabilities:
        raise BadAnswer(
            f"prediction {number} is {predict!r}, none of the model's labels "
            f"({', '.join(sorted(probabilities))})"
        )
    values = list(probabilities.values())
    numbers = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
    if len(numbers) != len(values) or not all(0 <= v <= 1 for v in numbers):
        raise BadAnswer(f"prediction {number} has a probability outside 0 to 1")
    if not math.isclose(sum(numbers), 1, abs_tol=TOLERANCE):
        raise BadAnswer(f"prediction {number} has probabilities that sum to {sum(numbers):.3f}")
    if probabilities[predict] < max(numbers):
        raise BadAnswer(f"prediction {number} is {predict!r}, which is not the likeliest label")
    return set(probabilities)
