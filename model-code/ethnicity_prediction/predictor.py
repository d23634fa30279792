"""The model as served: ONNX Runtime and nothing of the training framework."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from .images import InputSpec
from .labels import Labels

BATCH = 32  # rows in one run: enough for speed, and a bound on memory
TRIALS = 5  # of one row at the start: the first one also prepares what all need


class Predictor:
    """Images uint8 [N, size, size, channels] -> probabilities float32 [N, labels]."""

    def __init__(self, graph: bytes | Path, card: Mapping[str, Any], threads: int = 1) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        source = str(graph) if isinstance(graph, Path) else graph
        self.session = onnxruntime.InferenceSession(
            source, options, providers=["CPUExecutionProvider"]
        )
        self.card = card
        self.labels = Labels.from_json(card)
        self.spec = InputSpec(card["image_size"], card["channels"])
        self.input = self.session.get_inputs()[0].name
        self.outputs = [self.session.get_outputs()[0].name]

    def warm_up(self) -> float:
        """Predict for the first times; the CPU seconds that one row takes in this thread."""
        row = np.zeros((1, self.spec.size, self.spec.size, self.spec.channels), np.uint8)
        trials = []
        for _ in range(TRIALS):
            begun = time.thread_time()
            self.predict(row)
            trials.append(time.thread_time() - begun)
        return min(trials)

    def predict(self, images: np.ndarray) -> np.ndarray:
        if len(images) <= BATCH:
            return self.session.run(self.outputs, {self.input: images})[0]
        parts = [self.predict(images[i : i + BATCH]) for i in range(0, len(images), BATCH)]
        return np.concatenate(parts)
