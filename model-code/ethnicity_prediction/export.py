"""The model artifact, written and read side by side: model.onnx + model.json."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .errors import MalformedError
from .predictor import Predictor

GRAPH_FILE = "model.onnx"
CARD_FILE = "model.json"
WEIGHTS_FILE = "weights.safetensors"  # for a training that goes on from them
REPORT_FILE, PAGE_FILE = "report.json", "report.html"  # for people
NEEDED = {"name", "version", "labels", "label_values", "sensitive", "image_size", "channels"}


def save(folder: Path, graph: bytes, card: Mapping[str, Any], beside: Mapping[str, bytes]) -> None:
    """All files, each whole or not at all; the card last, as the mark of a complete model.

    `beside` are files that serving does not read, by name.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in {GRAPH_FILE: graph, **beside, CARD_FILE: as_json(card)}.items():
        write_whole(folder / name, content)


def load(folder: Path, threads: int = 1) -> Predictor:
    """The predictor in a model folder; the error says which file is missing or wrong."""
    for name in (CARD_FILE, GRAPH_FILE):
        if not (folder / name).is_file():
            raise MalformedError(f"no {name} in {folder}: the model artifact is incomplete")
    try:
        card = json.loads((folder / CARD_FILE).read_text(encoding="utf-8"))
    except ValueError as error:
        raise MalformedError(f"{CARD_FILE} is not JSON: {error}") from error
    missing = NEEDED - set(card)
    if missing:
        raise MalformedError(f"{CARD_FILE} lacks {', '.join(sorted(missing))}")
    return Predictor(folder / GRAPH_FILE, card, threads)


def as_json(value: Mapping[str, Any]) -> bytes:
    return (json.dumps(value, indent=2) + "\n").encode()


def write_whole(path: Path, data: bytes) -> None:
    """A file that never stands there half written."""
    part = path.with_name(path.name + ".part")
    part.write_bytes(data)
    part.replace(path)
