"""A trained network -> an ONNX graph, checked against the network that it came from."""

import tempfile
import warnings
from pathlib import Path

import numpy as np
import onnxruntime
import torch

from .images import InputSpec
from .model import Classifier

OPSET = 18
TOLERANCE = 1e-3  # of a probability


def to_onnx(model: Classifier, spec: InputSpec) -> bytes:
    """Graph bytes: uint8 images [N, size, size, channels] -> probabilities [N, labels]."""
    model = model.cpu().eval()
    sample = torch.arange(2 * spec.size**2 * spec.channels, dtype=torch.int64) * 7919 % 256
    images = sample.to(torch.uint8).reshape(2, spec.size, spec.size, spec.channels)
    with (
        tempfile.TemporaryDirectory() as folder,
        warnings.catch_warnings(),
    ):  # the older exporter: 0.2 s, not 4 s, and no onnxscript
        warnings.simplefilter("ignore")
        path = str(Path(folder) / "model.onnx")
        torch.onnx.export(
            model,
            (images,),
            path,
            dynamo=False,
            opset_version=OPSET,
            input_names=["images"],
            output_names=["probabilities"],
            dynamic_axes={"images": {0: "rows"}, "probabilities": {0: "rows"}},
        )
        graph = Path(path).read_bytes()
    _check(graph, images.numpy(), model)
    return graph


@torch.no_grad()
def _check(graph: bytes, images: np.ndarray, model: Classifier) -> None:
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    served = session.run(None, {"images": images[:1]})[0]
    trained = model(torch.from_numpy(images[:1])).numpy()
    difference = float(np.abs(served - trained).max())
    if not difference < TOLERANCE:
        raise RuntimeError(f"the exported graph differs from the network by {difference:.2g}")
