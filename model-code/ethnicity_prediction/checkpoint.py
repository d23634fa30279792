"""Progress on disk, for jobs that are interrupted: arrays and JSON, no pickle."""

import io
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .export import write_whole
from .progress import Epoch, Progress

FILE = "progress.npz"


def save(folder: Path, progress: Progress, identity: str) -> None:
    """Replace the checkpoint; `identity` tells data and hyperparameters apart from others'."""
    arrays: dict[str, np.ndarray] = {}
    for part in ("weights", "averaged", "best"):
        for name, value in getattr(progress, part).items():
            arrays[f"{part}/{name}"] = value.detach().cpu().numpy()
    for number, optimizer in enumerate(progress.optimizers):
        for index, state in optimizer["state"].items():
            for name, value in state.items():
                key = f"optimizer-{number}/{index}/{name}"
                arrays[key] = torch.as_tensor(value).cpu().numpy()
    about = {
        "identity": identity,
        "history": [asdict(epoch) for epoch in progress.history],
        "step": progress.step,
        "elapsed_s": progress.elapsed_s,
        "groups": [optimizer["param_groups"] for optimizer in progress.optimizers],
    }
    buffer = io.BytesIO()
    arrays["about"] = np.frombuffer(json.dumps(about).encode(), np.uint8)
    np.savez(buffer, allow_pickle=False, **arrays)
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / FILE, buffer.getvalue())


def read(folder: Path) -> bytes:
    """What was saved there, for this host or another to load; nothing where nothing was."""
    path = folder / FILE
    return path.read_bytes() if path.exists() else b""


def load(saved: bytes, identity: str) -> Progress | None:
    """The progress that was saved, or None where there is none or it belongs to another job."""
    if not saved:
        return None
    with np.load(io.BytesIO(saved), allow_pickle=False) as file:
        about = json.loads(file["about"].tobytes())
        if about["identity"] != identity:
            return None
        arrays = {name: torch.from_numpy(file[name]) for name in file.files if name != "about"}
    return Progress(
        _part(arrays, "weights"),
        _part(arrays, "averaged"),
        [
            {"state": _states(arrays, number), "param_groups": groups}
            for number, groups in enumerate(about["groups"])
        ],
        _part(arrays, "best"),
        [Epoch(**epoch) for epoch in about["history"]],
        about["step"],
        about["elapsed_s"],
    )


def _part(arrays: dict[str, Tensor], part: str) -> dict[str, Tensor]:
    return {n.split("/", 1)[1]: v for n, v in arrays.items() if n.startswith(f"{part}/")}


def _states(arrays: dict[str, Tensor], number: int) -> dict[int, dict[str, Any]]:
    states: dict[int, dict[str, Any]] = {}
    for name, value in _part(arrays, f"optimizer-{number}").items():
        index, key = name.split("/")
        states.setdefault(int(index), {})[key] = value
    return states
