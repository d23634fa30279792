#!/usr/bin/env python3
"""Trains, serves and asks the model by itself, as SageMaker would run its container.

Usage: container.py train | serve | predict IMAGE [--port N] [--engine process|docker]

Everything lies in one folder shaped like /opt/ml (build/ml; `ML=` of the Makefile). Put your own
data under input/data/train and input/data/validation; without any, the embedded set is drawn
there. The process engine, which is the default, runs the programs in the environments of the
Dockerfile's targets; the Docker engine builds the targets and mounts the folder at /opt/ml.
"""

from __future__ import annotations

import argparse
import json
import mimetypes
import os
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import draw_glyphs
from local_cloud import engines
from local_cloud.docker_cli.build import BuildError
from local_cloud.docker_cli.prime import environment_of
from local_cloud.sagemaker.docker_engine import give_back
from local_cloud.unpacked import THREADS

ROOT = Path(__file__).resolve().parent.parent
MODEL_CODE = ROOT / "model-code"
IMAGE = "ethnicity-prediction"
SERVED_PORT = 8080  # SageMaker's own
HOW = {
    engines.PROCESS: "as a process; ENGINE=docker takes the real image",
    engines.DOCKER: "in its image, by Docker",
}
CACHE = "sagemaker/warmpoolcache"  # of /opt/ml, as on an instance that SageMaker keeps warm
CACHE_VARIABLE = "SAGEMAKER_MANAGED_WARMPOOL_CACHE_DIRECTORY"


class Refused(RuntimeError):
    """What was asked cannot be done; the message says what to do instead."""


def lay_out(ml: Path, hyperparameters: str) -> None:
    """Make the folder look as SageMaker's does before it starts `train`."""
    data, config = ml / "input/data", ml / "input/config"
    if not any((data / "train").glob("*")):
        drawn = {part: draw_glyphs.ROWS[part] for part in ("train", "validation")}
        draw_glyphs.write_data(data, draw_glyphs.SEED, drawn)
    for folder in (config, ml / "model", ml / "output", ml / "checkpoints", ml / CACHE):
        folder.mkdir(parents=True, exist_ok=True)
    channels = sorted(folder.name for folder in data.iterdir() if folder.is_dir())
    write(config / "hyperparameters.json", read_hyperparameters(hyperparameters))
    write(config / "inputdataconfig.json", {name: {} for name in channels})
    hosts = {"current_host": "algo-1", "hosts": ["algo-1"], "network_interface_name": "lo"}
    write(config / "resourceconfig.json", hosts)


def read_hyperparameters(given: str) -> dict[str, str]:
    """Return texts, as SageMaker sends them, of a JSON object or of a file that holds one."""
    text = given
    try:
        if not given.lstrip().startswith("{"):
            text = Path(given).read_text()
        values = json.loads(text)
        return {name: str(value) for name, value in values.items()}
    except (OSError, ValueError, AttributeError) as error:
        wanted = "a JSON object, or a file that holds one"
        raise Refused(f"HYPERPARAMETERS is {given!r}: {wanted}, is needed ({error})") from None


def write(path: Path, value: object) -> None:
    """Write a JSON file."""
    path.write_text(json.dumps(value, indent=2) + "\n")


def run(program: str, ml: Path, port: int, engine: str) -> int:
    """Run `train` or `serve` on the folder until it ends; return its exit status."""
    if engine == engines.DOCKER:
        return run_docker(program, ml, port)
    build_arguments = {"TORCH_INDEX_URL": os.environ.get("TORCH_INDEX_URL", "")}
    environment = environment_of(MODEL_CODE / "Dockerfile", program, build_arguments)
    variables = {
        "PATH": os.pathsep.join([str(environment / "bin"), os.environ["PATH"]]),
        "ML_ROOT": str(ml),
        "SAGEMAKER_BIND_TO_PORT": str(port),
        CACHE_VARIABLE: str(ml / CACHE),
        "PYTHONUNBUFFERED": "1",
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", str(THREADS)),
    }
    return subprocess.run([str(MODEL_CODE / program)], env=variables).returncode


def run_docker(program: str, ml: Path, port: int) -> int:
    """Build the target and run it as SageMaker does, with the folder at /opt/ml.

    `train` runs as root there; what it wrote is given back to whoever has to delete it.
    """
    engines.require_docker()
    tag = f"{IMAGE}:{program}"
    given = {name: os.environ.get(name) for name in ("BASE_IMAGE", "TORCH_INDEX_URL")}
    arguments = [f"--build-arg={name}={value}" for name, value in given.items() if value]
    build = ["docker", "build", "--target", program, "--tag", tag, *arguments, str(MODEL_CODE)]
    if subprocess.run(build).returncode:
        raise Refused(f"docker cannot build {tag}; ENGINE=process does without Docker")
    publish = ["--publish", f"127.0.0.1:{port}:{SERVED_PORT}"] if program == "serve" else []
    mount = ["--volume", f"{ml}:/opt/ml", "--env", f"{CACHE_VARIABLE}=/opt/ml/{CACHE}"]
    try:
        command = ["docker", "run", "--rm", *mount, *publish, tag, program]
        return subprocess.run(command).returncode
    finally:
        give_back(tag, ml)


def predict(image: Path, port: int) -> str:
    """POST an image, or a CSV of pixels, to /invocations; return the JSON answer."""
    content_type = mimetypes.guess_type(image.name)[0]
    if content_type not in {"image/jpeg", "image/png", "text/csv"}:
        raise Refused(f"{image} is {content_type or 'of no known type'}; give a .jpg, .png or .csv")
    url = f"http://127.0.0.1:{port}/invocations"
    headers = {"Content-Type": content_type, "Accept": "application/json"}
    try:
        request = urllib.request.Request(url, image.read_bytes(), headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.dumps(json.load(answer), indent=2)
    except urllib.error.HTTPError as error:
        raise Refused(f"{url} answers {error.code}: {error.read().decode()}") from error
    except urllib.error.URLError as error:
        raise Refused(f"nobody answers at {url}; run `make serve-local` first") from error


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("program", choices=["train", "serve", "predict"])
    parser.add_argument("image", type=Path, nargs="?")
    parser.add_argument("--ml", type=Path, default=ROOT / "build/ml")
    parser.add_argument("--port", type=int, default=SERVED_PORT)
    parser.add_argument(
        "--engine", choices=[engines.PROCESS, engines.DOCKER], default=engines.PROCESS
    )
    parser.add_argument("--hyperparameters", default="{}", help="a JSON object, or its file")
    return parser.parse_args()


def act(options: argparse.Namespace) -> int:
    """Do one of the three; Refused says what is missing."""
    ml = options.ml.resolve()
    if options.program == "predict":
        if options.image is None:
            raise Refused("which image? give IMAGE=notebooks/test-data/download-1.jpg")
        print(predict(options.image, options.port))
        return 0
    if options.program == "train":
        lay_out(ml, options.hyperparameters)
    elif not (ml / "model/model.onnx").is_file():
        raise Refused(f"{ml}/model holds no model.onnx; run `make train-local` first")
    print(f"{options.program} on {ml} ({HOW[options.engine]})", flush=True)
    status = run(options.program, ml, options.port, options.engine)
    if options.program == "train" and status == 0:
        print(f"how it went: {ml}/model/report.html")
    return status


def main() -> int:
    """Run one program; what cannot be done is told in one line."""
    try:
        return act(arguments())
    except (Refused, BuildError, engines.NoEngine, OSError, json.JSONDecodeError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0


if __name__ == "__main__":
    sys.exit(main())
