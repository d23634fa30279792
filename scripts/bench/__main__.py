"""Runs the benchmarks: `python -m bench [--only serving …] [--rounds N] [--write]`."""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

from rich.console import Console

from bench import plot, report
from bench.figures import Row, as_json, from_json
from bench.goals import GOALS, NOTES
from bench.setup import ROOT, SEED_PYTHON, Bench

PARTS = ("packages", "lambdas", "glyphs", "training", "reading", "serving")
RESULTS = ROOT / "docs/benchmarks.json"
PLOTTED = ("csv.seed-network.8.rate", "csv.seed-network.8.cpu", "start", "memory", "packages")
VERSIONS = "import importlib.metadata as m; print(*(f'{n}={m.version(n)}' for n in %r))"


def main(words: Sequence[str] | None = None) -> int:
    """Measure, print the tables, and with --write keep them in docs."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", action="store_true", help="docs/benchmarks.{json,md,svg}")
    options = parser.parse_args(words)
    if options.write and set(options.only) != set(PARTS):
        parser.error(
            "--write keeps a whole run: with --only the other parts' figures would be lost"
        )
    build = ROOT / "build"
    build.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=build) as scratch:
        bench = Bench(Path(scratch), options.rounds)
        load = os.getloadavg()[0]
        measured = [row for part in options.only for row in _measure(bench, part)]
        results: dict[str, Any] = {
            "date": datetime.now(UTC).date().isoformat(),
            "facts": facts(bench, load),
            "rows": as_json(measured),
        }
    if options.write:
        write(results)
    show(from_json(results["rows"]))
    return 0


def _measure(bench: Bench, part: str) -> list[Row]:
    rows: list[Row] = import_module(f"bench.parts.{part}").measure(bench)
    return rows


def show(rows: list[Row]) -> None:
    """Print the figures and the goals."""
    console = Console(width=None if sys.stdout.isatty() else 140)
    head = ("what", "unit", *report.CONTENDERS)
    console.print(report.table("Figures: median (middle half)", head, report.figure_lines(rows)))
    goals = report.goal_lines(GOALS, rows)
    console.print(report.table("Goals", report.GOAL_HEAD, goals))
    for reason in report.reasons(GOALS, rows):
        console.print(reason, markup=False)


def write(results: dict[str, Any]) -> None:
    """Write the results, and the page and the picture that are made of them."""
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    page, picture = documents(results)
    RESULTS.with_suffix(".md").write_text(page)
    RESULTS.with_suffix(".svg").write_text(picture)


def documents(results: dict[str, Any]) -> tuple[str, str]:
    """Return the page and the picture of results."""
    rows = {row.key: row for row in from_json(results["rows"])}
    picture = plot.draw([rows[key] for key in PLOTTED if key in rows])
    return report.markdown(results, GOALS, NOTES), picture


def facts(bench: Bench, load: float) -> dict[str, str]:
    """Return what the figures depend on: machine and versions."""
    ours = _versions(bench.serve_environment / "bin/python", "onnxruntime", "numpy", "uvloop")
    torch = _versions(bench.train_environment / "bin/python", "torch")
    seeds = _versions(SEED_PYTHON, "tensorflow-cpu", "keras", "flask", "gunicorn", "pandas")
    return {
        "processor": f"{_processor()}, {len(os.sched_getaffinity(0))} CPUs",
        "load when it began": f"{load:.1f}",
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "Python": platform.python_version(),
        "commit": _commit(),
        "ours": f"{ours} {torch}",
        "seed": f"{seeds}, {_nginx(bench)}",
    }


def _commit() -> str:
    """Return what was measured, and whether it was changed since."""
    git = ["git", "-C", str(ROOT)]
    head = subprocess.run([*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True)
    if head.returncode:
        return "unknown, for this is no git checkout"
    changes = subprocess.run([*git, "status", "--porcelain"], capture_output=True, text=True)
    return head.stdout.strip() + (", with changes" if changes.stdout else "")


def _processor() -> str:
    try:
        found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    except OSError:
        found = None
    return found[1] if found else platform.processor()


def _versions(python: Path, *names: str) -> str:
    done = subprocess.run([python, "-c", VERSIONS % (names,)], capture_output=True, text=True)
    return done.stdout.strip().replace("=", " ").replace("\n", "") or "not installed"


def _nginx(bench: Bench) -> str:
    if not bench.nginx:
        return "without nginx, which is not installed"
    done = subprocess.run([bench.nginx, "-v"], capture_output=True, text=True)
    return done.stderr.strip().rpartition(": ")[2].replace("/", " ")


if __name__ == "__main__":
    sys.exit(main())
