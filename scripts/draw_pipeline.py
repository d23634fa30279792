#!/usr/bin/env python3
"""Draws docs/pipeline.svg, the picture in the README, from the two templates.

Usage: draw_pipeline.py [OUT]
Stages, actions and names are read from the templates, so the picture cannot tell of a pipeline
that is not there; `tests/contract/test_readme.py` compares the committed file.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

from cfn_template import Resolver, load
from svg_canvas import Canvas

ROOT = Path(__file__).resolve().parent.parent
YOURS = {"UniqueID": "<id>", "AWS::StackId": "arn:aws:cloudformation:r:a:stack/name/<hash>-"}
WIDTH, MARGIN, PAD, GAP, COLUMNS = 860, 10, 18, 24, 4  # pixels; stages in a row
BAND = WIDTH - 2 * MARGIN
CARD = (BAND - 2 * PAD - (COLUMNS - 1) * GAP) / COLUMNS
PILL, FLOW = 36, 48  # height of an action; how far below its top a stage is entered
PROVIDERS = {"CodeCommit": "CodeCommit", "CodeBuild": "CodeBuild", "Manual": "a person"}
NOTES = {  # stage → what it does, in lines that fit its card
    "Source": ("starts on a push, or on a", "new train/*.csv in the", "data bucket; nothing polls"),
    "Build": ("tests the container and", "pushes two images to ECR;", "reuses those of a commit"),
    "TrainModel": ("trains on train/ and", "validation/, leaves a", "model.onnx in its bucket"),
    "DeployModel-Dev": ("updates dev, then asks it", "the rows of smoketest/"),
    "EvaluateModel": (
        "a gate on the recall of all",
        "labels and groups; what",
        "passes is registered",
    ),
    "Approve": ("a person reads the report", "and decides"),
    "DeployModel-Prod": ("updates prod by a canary;", "alarms roll it back"),
}
RUNS = (
    ("s", "both templates, the five Lambda zips,"),
    ("s", "buildspec.yml with the real AWS CLI,"),
    ("s", "the container's train and serve programs,"),
    ("s", "a git push, and every role's IAM policy"),
)
STANDS_IN = (
    ("s", "ministack: CloudFormation, S3, IAM, KMS,"),
    ("s", "ECR, Lambda, API Gateway, EventBridge, logs;"),
    ("s", "scripts/local_cloud: CodeCommit, CodeBuild,"),
    ("s", "CodePipeline, SageMaker, and stricter rules"),
)
Stage = tuple[str, list[tuple[str, str]]]  # its name; each action and who does it


def name_of(template: Mapping[str, Any], resource: str, key: str) -> str:
    """Return a resource's name as people see it, with `<id>` and `<hash>` for what is theirs."""
    return str(Resolver(template, YOURS)(template["Resources"][resource]["Properties"][key]))


def stages(template: Mapping[str, Any]) -> list[Stage]:
    """Return the pipeline's stages in order."""
    declared = template["Resources"]["Pipeline"]["Properties"]["Stages"]
    return [(s["Name"], [(a["Name"], _by(template, a)) for a in s["Actions"]]) for s in declared]


def _by(template: Mapping[str, Any], action: Mapping[str, Any]) -> str:
    provider = action["ActionTypeId"]["Provider"]
    if provider != "Lambda":
        return PROVIDERS[provider]
    name = name_of(template, action["Configuration"]["FunctionName"]["Ref"], "FunctionName")
    return "Lambda " + name.removeprefix("Ethnicity-Pred-").removesuffix("-<id>")


def column(number: int) -> float:
    """Return the left edge of a column."""
    return MARGIN + PAD + number * (CARD + GAP)


def band(canvas: Canvas, y: float, height: float, kind: str, title: str) -> None:
    """Draw a band over the whole width with its title."""
    canvas.box(MARGIN, y, BAND, height, kind, 12)
    canvas.text(MARGIN + PAD, y + 25, title, "h", 340, f"{kind}-ink")


def draw_stack_1(canvas: Canvas, prep: Mapping[str, Any], y: float) -> float:
    """Draw the first band; return its lower edge."""
    height, top, wide = 122, y + 38, 272
    band(canvas, y, height, "one", "Stack 1: 01-prep.yml")
    repository = name_of(prep, "Repository", "RepositoryName")
    notebook = name_of(prep, "NotebookInstance", "NotebookInstanceName")
    left, middle, right = column(0), column(0) + CARD + 74, column(COLUMNS - 1)
    canvas.card(left, top, CARD, "CodeCommit", ("m", repository), ("s", "the model's code"))
    canvas.card(middle, top, wide, "Notebook instance", ("m", notebook), ("s", "runs the lab"))
    zips = ("s", "five Lambda zips and"), ("m", "byo-staging.zip")
    canvas.card(right, top, CARD, "Lambda code bucket", *zips)
    canvas.arrow((middle, top + 36), (left + CARD, top + 36))
    canvas.text(left + CARD + 10, top + 28, "git push", "s", 64)
    canvas.arrow((right, top + 36), (middle + wide, top + 36))
    return y + height


def stage_height(stage: Stage) -> float:
    """Return the height that a stage's card needs."""
    name, actions = stage
    return 42 + (PILL + 6) * len(actions) + 16 * len(NOTES[name])


def draw_stage(canvas: Canvas, stage: Stage, x: float, y: float, height: float) -> None:
    """Draw one stage as a column of its actions, and what it does."""
    name, actions = stage
    canvas.box(x, y, CARD, height, "card")
    canvas.text(x + 10, y + 21, name, "t", CARD - 20, "two-ink")
    below = y + 30
    for action, by in actions:
        canvas.box(x + 8, below, CARD - 16, PILL, "pill", 6)
        canvas.text(x + 16, below + 15, action, "m", CARD - 32)
        canvas.text(x + 16, below + 30, by, "s", CARD - 32)
        below += PILL + 6
    for row, line in enumerate(NOTES[name]):
        canvas.text(x + 10, below + 12 + 16 * row, line, "s", CARD - 12)


def draw_stages(canvas: Canvas, rows: list[list[Stage]], y: float) -> list[tuple[float, float]]:
    """Draw the stages row by row; return each row's upper and lower edge."""
    edges = []
    for row in rows:
        height = max(map(stage_height, row))
        edges.append((y, y + height))
        for number, stage in enumerate(row):
            x = column(number)
            draw_stage(canvas, stage, x, y, height)
            if number + 1 < len(row):
                canvas.arrow((x + CARD, y + FLOW), (x + CARD + GAP, y + FLOW))
        y += height + GAP
    for (_, low), (top, _) in pairwise(edges):
        last, first, turn = column(COLUMNS - 1) + 24, column(0) + CARD / 2, low + GAP / 2
        canvas.arrow((last, low), (last, turn), (first, turn), (first, top))
    return edges


def draw_endpoints(canvas: Canvas, template: Mapping[str, Any], y: float, low: float) -> float:
    """Draw the endpoints in the last column, below the dev stage (it ends at low)."""
    names = [template["Outputs"][f"{e}EndpointName"]["Value"] for e in ("Dev", "Prod")]
    lines = [("m", str(Resolver(template, YOURS)(name))) for name in names]
    last = column(COLUMNS - 1)
    height = canvas.card(last, y, CARD, "SageMaker endpoints", *lines)
    canvas.arrow((last + CARD - 30, low), (last + CARD - 30, y))
    canvas.arrow((last - GAP, y + FLOW), (last, y + FLOW))
    return height


def draw_use(canvas: Canvas, template: Mapping[str, Any], y: float) -> float:
    """Draw the data and the API in a row; return the lower edge."""
    left = column(0)
    folders = ("s", "train/, validation/,"), ("s", "smoketest/, images/")
    height = canvas.card(left, y, CARD, "Data bucket", *folders)
    proxy = name_of(template, "InferenceProxyFunction", "FunctionName")
    lines = ("s", "API Gateway, then the Lambda"), ("m", proxy)
    wide = 3 * CARD + 2 * GAP
    canvas.card(column(1), y, wide, "POST /dev/predict and POST /prod/predict", *lines)
    canvas.arrow((left + CARD, y + 36), (column(1), y + 36))
    return y + height


def draw_stack_2(canvas: Canvas, template: Mapping[str, Any], y: float) -> float:
    """Draw the second band; return its lower edge."""
    inner, every = Canvas(), stages(template)
    rows = [every[start : start + COLUMNS] for start in range(0, len(every), COLUMNS)]
    if len(rows) < 2 or len(rows[-1]) != COLUMNS - 1:
        raise ValueError(f"{len(every)} stages leave no place for the endpoints: draw anew")
    edges = draw_stages(inner, rows, y + 38)
    (top, _), (_, above), (start, low) = edges[0], edges[-2], edges[-1]
    ends = start + draw_endpoints(inner, template, start, above)
    use, left, edge = low + GAP, column(0), MARGIN + PAD / 2
    bottom = draw_use(inner, template, use) + PAD
    inner.arrow((left, use + 36), (edge, use + 36), (edge, top + FLOW), (left, top + FLOW))
    inner.arrow((column(COLUMNS - 1) + CARD - 30, use), (column(COLUMNS - 1) + CARD - 30, ends))
    band(canvas, y, bottom - y, "two", "Stack 2: 02-build-pipeline.yml")
    canvas.text(column(2), y + 25, name_of(template, "Pipeline", "Name"), "m", 2 * CARD)
    canvas.parts += inner.parts
    return bottom


def draw_twin(canvas: Canvas, y: float) -> float:
    """Draw the offline twin; return its lower edge."""
    wide, height = 2 * CARD + GAP, 38 + 36 + 17 * len(RUNS) + PAD
    band(canvas, y, height, "twin", "The same offline: make demo")
    canvas.card(column(0), y + 38, wide, "What really runs, unchanged", *RUNS)
    canvas.card(column(2), y + 38, wide, "What stands in for AWS", *STANDS_IN)
    return y + height


def draw() -> str:
    """Return the whole picture as SVG."""
    prep, pipeline = (load(ROOT / f"{name}.yml") for name in ("01-prep", "02-build-pipeline"))
    canvas, gap = Canvas(), 38
    low = draw_stack_1(canvas, prep, MARGIN)
    bottom = draw_twin(canvas, draw_stack_2(canvas, pipeline, low + gap) + 16)
    for number, label in (0, "a push starts the pipeline"), (3, "zips become functions"):
        x = column(number) + 24
        canvas.arrow((x, low - 14), (x, low + gap))
        canvas.text(x + 10, low + 24, label, "s", 190 if number == 0 else CARD - 34)
    names = ", ".join(name for name, _ in stages(pipeline))
    title = "The pipeline, its two stacks and the offline twin"
    return canvas.svg(WIDTH, bottom + MARGIN, title, f"Stages in order: {names}")


def main() -> None:
    """Write the picture."""
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs/pipeline.svg"
    out.write_text(draw())


if __name__ == "__main__":
    main()
