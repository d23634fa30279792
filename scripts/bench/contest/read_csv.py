"""Loads a training channel as `train` does; prints seconds and the most memory it took, in MB."""

import json
import resource
import sys
import time
from pathlib import Path

from ethnicity_prediction.data import read_channel
from ethnicity_prediction.images import InputSpec

begun = time.perf_counter()
data = read_channel(Path(sys.argv[1]).parent, InputSpec())
seconds = time.perf_counter() - begun
most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (
    1e6 if sys.platform == "darwin" else 1e3
)
print(json.dumps({"seconds": seconds, "mb": most, "rows": len(data.values)}))
