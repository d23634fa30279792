"""Loads a training CSV as the seed does; prints seconds and the most memory it took, in MB."""

import json
import resource
import sys
import time
from pathlib import Path

import pandas as pd  # noqa: F401  its import is no part of the loading
from network import read_training

begun = time.perf_counter()
images, _ = read_training(Path(sys.argv[1]))
seconds = time.perf_counter() - begun
most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (
    1e6 if sys.platform == "darwin" else 1e3
)
print(json.dumps({"seconds": seconds, "mb": most, "rows": len(images)}))
