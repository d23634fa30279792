"""What a cold Lambda function does before its first call, in CPU time of a fresh process."""

from __future__ import annotations

import sys
import zipfile
from collections import defaultdict
from pathlib import Path

from bench.figures import LOWER, Figure, Row
from bench.setup import HERE, ROOT, Bench

FUNCTIONS = {  # ours, and the service of its first client
    "proxy": ("Ethnicity-Pred-InferenceEndpoint-Proxy", "sagemaker-runtime"),
    "other": ("Ethnicity-Pred-TrainModel", "sagemaker"),
}
WHO = ("ours", "limit", "seed")
WHAT = {"proxy": "the proxy", "other": "another function (TrainModel)"}
ACCOUNT = {
    **{"AWS_DEFAULT_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "x"},
    **{"AWS_SECRET_ACCESS_KEY": "x", "LOG_LEVEL": "INFO"},
}


def measure(bench: Bench) -> list[Row]:
    """Return a row for the proxy and one for the others."""
    samples: dict[tuple[str, str], list[float]] = defaultdict(list)
    folders = {name: _unpacked(bench, zip_name) for name, (zip_name, _) in FUNCTIONS.items()}
    for _ in range(bench.rounds + 1):  # the first writes bytecode
        for name, (_, service) in FUNCTIONS.items():
            commands = {
                "ours": [_script("contest"), str(folders[name]), service],
                "limit": [str(HERE / "contest/botocore_import.py")],
                "seed": [_script("seed"), name],
            }
            for who, words in commands.items():
                measured = bench.measured([sys.executable, *words], **ACCOUNT)
                samples[name, who].append(measured["ms"])
    bench.say("Lambda functions were measured")
    return [_row(samples, name) for name in FUNCTIONS]


def _row(samples: dict[tuple[str, str], list[float]], name: str) -> Row:
    figures = {who: Figure(tuple(samples[name, who][1:])) for who in WHO}
    what = f"{WHAT[name]}: import and first client"
    return Row(f"lambda.{name}", what, "ms of CPU", LOWER, figures)


def _unpacked(bench: Bench, name: str) -> Path:
    folder = bench.scratch / name
    with zipfile.ZipFile(ROOT / "build/lambda" / f"{name}.py.zip") as archive:
        archive.extractall(folder)
    return folder


def _script(side: str) -> str:
    return str(HERE / side / "lambdas.py")
