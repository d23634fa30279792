"""The model card of one version in the model registry: what it is for, and how it did.

Its form is the one that SageMaker has for the cards of model packages. What is true of every
model of this project stands in docs/model-card.md in the same words.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from common.failures import clipped

PURPOSE = (
    "It gives a picture one probability per label of the training data: a guess at how the data "
    "set's labellers would have tagged it."
)
INTENDED = (
    "Learning how an MLOps pipeline works; studying how a model fails a group that its data leaves "
    "out, and how a gate stops it; auditing the balance of a data set."
)
REFUSED = (
    "Decisions about a person, identification, profiling, surveillance, or naming the ethnicity of "
    "people at all. Article 5 of the EU AI Act prohibits biometric categorisation systems that "
    "infer race from biometric data; other laws forbid it too."
)
FACTORS = (
    "A model knows only the labels that it was trained on, and forces everybody into one of them. "
    "It learns light, camera and cropping along with faces. On other pictures than those it was "
    "evaluated on, its numbers do not hold."
)
ETHICS = (
    "Equal recall is not justice: a system can be equally wrong about everybody, or equally right "
    "at something that should not be done."
)
CAVEATS = (
    "Accuracy alone decides nothing: a model can be right three times in four and never once for "
    "the smallest group."
)
NOT_ABOUT_PEOPLE = "The data set says that its labels are not about people."
MAX_BARS = 50  # more make no chart, and the whole card may have 100,000 characters
MAX_MATRIX = 20  # SageMaker's limit on either side
AXIS_NAME = 63  # characters, SageMaker's limit
OBSERVATION = 2_096


def model_card(
    report: Mapping[str, Any], deployed: Mapping[str, Any], page: str, training_arn: str
) -> dict[str, Any]:
    """Return the card's content; the same test of the same model gives the same card."""
    note = report["note"]
    return {
        "model_overview": {
            "model_creator": f"pipeline execution {report['execution_id']}",
            "model_artifact": [deployed["model_data_url"]],
        },
        "intended_uses": {
            "purpose_of_model": PURPOSE,
            "intended_uses": f"{INTENDED} Refused: {REFUSED}",
            "factors_affecting_model_efficiency": FACTORS,
            "risk_rating": "High" if note else "Low",
            "explanations_for_risk_rating": note or NOT_ABOUT_PEOPLE,
        },
        "training_details": {
            "training_job_details": {
                "training_arn": training_arn,
                "training_datasets": [f"s3://{deployed['data_bucket']}/train/"],
            }
        },
        "evaluation_details": [_evaluation(report, page)],
        "additional_information": {
            "ethical_considerations": f"{note} {ETHICS}" if note else ETHICS,
            "caveats_and_recommendations": CAVEATS,
            "custom_details": {
                "commit": report["commit"],
                "model_version": str(report["model"].get("version")),
                "serving_image": report["serve_image"],
            },
        },
    }


def _evaluation(report: Mapping[str, Any], page: str) -> dict[str, Any]:
    few = [f"{e['label']} ({e['rows']} rows)" for e in report["labels"] if not e["judged"]]
    aside = f" Too few rows to judge: {', '.join(few)}." if few else ""
    limits = {f"limit_{name}": f"{limit:g}" for name, limit in report["thresholds"].items()}
    return {
        "name": "FullTest",
        "evaluation_observation": clipped(f"Every threshold is met.{aside}", OBSERVATION),
        "datasets": [report["data"]],
        "metadata": {"report": page, "endpoint": report["endpoint_name"], **limits},
        "metric_groups": [_overall(report), _labels(report), *_groups(report)],
    }


def _overall(report: Mapping[str, Any]) -> dict[str, Any]:
    worst = min((e for e in report["labels"] if e["judged"]), key=lambda e: e["value"])
    metrics = [
        _estimate("macro_recall", report["macro_recall"]),
        _estimate("worst_label_recall", worst, f"label {worst['label']}"),
        _estimate("accuracy", report["accuracy"], "not judged"),
        {"name": "rows", "type": "number", "value": report["rows"]},
    ]
    return {"name": "overall", "metric_data": metrics}


def _labels(report: Mapping[str, Any]) -> dict[str, Any]:
    entries = [entry | {"name": entry["label"]} for entry in report["labels"] if entry["rows"]]
    metrics = [_bars("recall of each label", entries)]
    truths = [entry["label"] for entry in entries]
    predicted = [entry["label"] for entry in report["labels"] if entry["known"]]
    if max(len(truths), len(predicted)) <= MAX_MATRIX:
        matrix = {
            "name": "rows by label (down) and prediction (across)",
            "type": "matrix",
            "value": [[report["confusion"][t].get(p, 0) for p in predicted] for t in truths],
            "x_axis_name": _axis(predicted),
            "y_axis_name": _axis(truths),
        }
        metrics.append(matrix)
    return {"name": "labels", "metric_data": metrics}


def _groups(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a metric group for each kind of group of people that the data knows."""
    found = []
    for kind, of_kind in report["groups"].items():
        entries = [e | {"name": e["group"]} for e in of_kind["groups"] if e["judged"]]
        if entries:
            metrics = [_bars(f"recall by {kind}", entries)]
            if gap := of_kind["gap"]:
                metrics.append(_estimate("recall_gap", gap, f"{gap['better']} over {gap['worse']}"))
            found.append({"name": kind, "metric_data": metrics})
    return found


def _estimate(name: str, estimate: Mapping[str, Any], aside: str = "") -> dict[str, Any]:
    interval = f"95 % interval {estimate['low']:.3f} to {estimate['high']:.3f}"
    notes = clipped(f"{interval}; {aside}" if aside else interval, 1_024)
    return {"name": name, "type": "number", "value": round(estimate["value"], 6), "notes": notes}


def _bars(name: str, entries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    shown = entries[:MAX_BARS]
    return {
        "name": name,
        "type": "bar_chart",
        "value": [round(entry["value"], 6) for entry in shown],
        "x_axis_name": _axis([entry["name"] for entry in shown]),
        "y_axis_name": "recall",
        "notes": ", ".join(f"{e['rows']} rows" for e in shown),
    }


def _axis(names: Sequence[str]) -> list[str]:
    return [clipped(name, AXIS_NAME) for name in names]
