"""Trains a recipe with several seeds, and tells how right they are about a test part.

`python -m bench.accuracy gray DATA [--seeds 0 1 2] [--write]`; DATA holds train/ and test/. What a
seed learnt is kept under build/accuracy and not learnt again while the recipe, the contents of the
data and the program are the same.
Nothing is chosen by the test part: it is asked once, of finished models.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from bench import report
from bench.servers import MODEL_CODE
from bench.setup import HERE, ROOT, Bench, environment

RECIPES = HERE / "recipes"
RUNS = ROOT / "build/accuracy"
RESULTS = ROOT / "docs/accuracy.json"
NAMES = {
    "accuracy": "accuracy",
    "macro_recall": "macro recall",
    "worst_recall": "worst label's recall",
    "calibration_error": "calibration error",
    "minutes": "minutes of fitting",
}
AT_MOST = ("calibration_error", "minutes")  # the others are to be at least the goal
GOALS = {
    "gray": {
        **{"accuracy": 0.835, "macro_recall": 0.785, "worst_recall": 0.45},
        **{"calibration_error": 0.03, "minutes": 15.0},
    },
    "rgb": {
        **{"accuracy": 0.855, "macro_recall": 0.80, "worst_recall": 0.46},
        **{"calibration_error": 0.03, "minutes": 30.0},
    },
}
TITLES = {"gray": "48 x 48 gray", "rgb": "96 x 96 RGB, learnt from at 64 x 64"}


class Refused(Exception):
    """What was asked for cannot be measured; says why."""


def main() -> int:
    """Train what is not trained yet, score, print, and with --write keep the result in docs."""
    parser = argparse.ArgumentParser(prog="bench.accuracy", description=__doc__)
    parser.add_argument("recipe", choices=sorted(GOALS))
    parser.add_argument("data", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--write", action="store_true", help="docs/accuracy.{json,md}")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        bench = Bench(Path(scratch), rounds=1)
        try:
            result = measured(bench, options.recipe, options.data.resolve(), options.seeds)
        except Refused as refused:
            print(f"accuracy: {refused}", file=sys.stderr)
            return 1
    print_result(options.recipe, result)
    if options.write:
        known = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
        known[options.recipe] = result
        RESULTS.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")
        RESULTS.with_suffix(".md").write_text(page(known))
    return 0


def measured(bench: Bench, recipe: str, data: Path, seeds: Sequence[int]) -> dict[str, Any]:
    """Return what docs/accuracy.json keeps of a recipe."""
    for part in ("train", "test"):
        if not any((data / part).glob("*.csv")):
            raise Refused(f"{data / part} has no CSV; DATA= must hold train/ and test/")
    origin = json.loads(bench.run(bench.ours("origin.py", data / "train", training=True)))
    runs = [trained(bench, recipe, data, seed, origin) for seed in seeds]
    models = [run / "model" for run in runs]
    scored = bench.measured(bench.ours("score.py", data / "test", *models, training=True))
    cards = [json.loads((model / "model.json").read_text()) for model in models]
    return {
        "date": max(card["created"] for card in cards)[:10],  # UTC, as the cards tell it
        **origin,
        "recipe": json.loads((RECIPES / f"{recipe}.json").read_text()),
        "cpus": len(os.sched_getaffinity(0)),
        "seeds": list(seeds),
        "minutes": [card["training"]["seconds"] / 60 for card in cards],
        "epochs": [len(card["training"]["epochs"]) for card in cards],
        **scored,
    }


def trained(bench: Bench, recipe: str, data: Path, seed: int, origin: Mapping[str, str]) -> Path:
    """Return the folder, shaped like /opt/ml, of a finished training of this origin."""
    run = RUNS / recipe / f"seed-{seed}"
    given = json.loads((RECIPES / f"{recipe}.json").read_text()) | {"seed": seed}
    facts = {"hyperparameters": given, **origin}
    record = run / "run.json"
    if record.exists() and facts == json.loads(record.read_text()):
        return run
    bench.say(f"seed {seed} trains; its log is {run / 'log'}")
    (run / "input/config").mkdir(parents=True, exist_ok=True)
    (run / "input/data").mkdir(exist_ok=True)
    texts = {name: str(value) for name, value in given.items()}
    (run / "input/config/hyperparameters.json").write_text(json.dumps(texts))
    channel = run / "input/data/train"
    channel.unlink(missing_ok=True)
    channel.symlink_to(data / "train")
    program = [str(bench.train_environment / "bin/python"), str(MODEL_CODE / "train")]
    variables = environment(ML_ROOT=str(run), TRAINING_JOB_NAME=f"{recipe}-seed-{seed}")
    with (run / "log").open("w") as log:
        done = subprocess.run(program, env=variables, stdout=log, stderr=subprocess.STDOUT)
    if done.returncode:
        raise Refused(f"seed {seed} ended with {done.returncode}; its log is {run / 'log'}")
    record.write_text(json.dumps(facts, indent=1))
    return run


def print_result(recipe: str, result: Mapping[str, Any]) -> None:
    """Print the table."""
    head, *lines = table(recipe, result)
    console = Console(width=None if sys.stdout.isatty() else 140)
    console.print(report.table(TITLES[recipe], head, lines))


def table(recipe: str, result: Mapping[str, Any]) -> list[report.Line]:
    """Return head and lines: each seed, mean and interval, spread, goal, and whether reached.

    The goal for the minutes is held against the slowest seed, the others against the mean.
    """
    mean, minutes = result["mean"], result["minutes"]
    shapes = {name: "{:.1f}" if name == "minutes" else "{:.3f}" for name in NAMES}
    lines = [
        (f"seed {seed}", *(shapes[name].format(values[name]) for name in NAMES))
        for seed, values in _of_seeds(result)
    ]
    means = [shapes[name].format(statistics.fmean(_of_all(result, name))) for name in NAMES]
    intervals = ["{:.3f} to {:.3f}".format(*interval(mean[n])) if n in mean else "" for n in NAMES]
    spreads = [_spread(_of_all(result, name), shapes[name]) for name in NAMES]
    goals = [
        f"{'≤' if name in AT_MOST else '≥'} {shapes[name].format(limit)}"
        for name, limit in GOALS[recipe].items()
    ]
    values = {name: mean[name]["value"] for name in mean} | {"minutes": max(minutes)}
    reached = [
        (values[name] <= limit if name in AT_MOST else values[name] >= limit)
        for name, limit in GOALS[recipe].items()
    ]
    verdicts = ["reached" if good else "NOT reached" for good in reached]
    return [
        ("", *NAMES.values()),
        *lines,
        ("mean", *means),
        ("its 95 % interval", *intervals),
        ("standard deviation over seeds", *spreads),
        ("goal", *goals),
        ("", *verdicts),
    ]


def interval(mean: Mapping[str, float]) -> tuple[float, float]:
    """Return the basic bootstrap interval of a share whose draws have the quantiles low and high.

    2 x value - quantile, and not the quantile itself: of rows drawn again the worst of several
    recalls is lower, and a calibration error, which adds up absolute gaps, is greater than of the
    rows themselves, and the quantiles are off twice as far as the value (Davison and Hinkley,
    "Bootstrap methods and their application", 1997, equation 5.6).
    """
    twice = 2 * mean["value"]
    return max(0.0, twice - mean["high"]), min(1.0, twice - mean["low"])


def _of_all(result: Mapping[str, Any], name: str) -> list[float]:
    return [values[name] for _, values in _of_seeds(result)]


def _spread(values: Sequence[float], shape: str) -> str:
    return shape.format(statistics.stdev(values)) if len(values) > 1 else "one seed only"


def _of_seeds(result: Mapping[str, Any]) -> list[tuple[int, dict[str, float]]]:
    triples = zip(result["seeds"], result["models"], result["minutes"], strict=True)
    return [(seed, values | {"minutes": minutes}) for seed, values, minutes in triples]


def page(results: Mapping[str, Mapping[str, Any]]) -> str:
    """Return docs/accuracy.md."""
    lines = [
        "# Accuracy on real faces",
        "",
        "Made by `make accuracy` of UTKFace; not edited. Trained on a machine without a graphics "
        "card; reading and saving add some 15 s to the minutes of fitting. Epochs, trade-off and "
        "temperature are chosen on a validation part cut from `train`; `test` was asked about "
        "finished models only. Intervals are basic bootstrap intervals of 2,000 draws of the test "
        "rows: they say what other rows would have shown of these models. What other seeds would, "
        "says the standard deviation.",
        "",
    ]
    for recipe, result in sorted(results.items()):
        head, *body = table(recipe, result)
        where = (RECIPES / f"{recipe}.json").relative_to(ROOT)
        lines += [
            f"## {TITLES[recipe]}",
            "",
            f"{result['date']}, {result['rows']:,} test rows, {_work(result)}; "
            f"hyperparameters: [`{where}`](../{where}).{_origin(result)}",
            "",
            *report.markdown_table(head, body),
            "",
            *_frontier(result),
        ]
    return "\n".join(lines)


def _frontier(result: Mapping[str, Any]) -> list[str]:
    """The trade-offs that the same models could have had, where the entry tells them."""
    if "frontier" not in result:
        return []
    names = [name for name in NAMES if name in result["frontier"][0]]
    head = ("tau of all models", *(NAMES[name] for name in names))
    body = [
        (f"{point['tau']:.1f}", *(f"{point[name]:.3f}" for name in names))
        for point in result["frontier"]
    ]
    return [
        "Other trade-offs between the labels, the mean of the same models on the same rows: shown, "
        "not chosen from.",
        "",
        *report.markdown_table(head, body),
        "",
    ]


def _work(result: Mapping[str, Any]) -> str:
    """What the minutes were worth: another processor comes to other epochs, another model."""
    kind = "multiply bfloat16" if result["bfloat16"] else "do not multiply bfloat16"
    least, most = min(result["epochs"]), max(result["epochs"])
    epochs = f"{least}" if least == most else f"{least} to {most}"
    return f"{result['cpus']} CPUs that {kind}, {epochs} epochs"


def _origin(result: Mapping[str, Any]) -> str:
    """What was measured, where the entry tells it."""
    if "program" not in result:
        return ""
    return f" Program `{result['program'][:12]}`, training data `{result['data'][:12]}` (SHA-256)."


if __name__ == "__main__":
    sys.exit(main())
