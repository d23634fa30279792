"""Loads a training channel as `train` does; prints seconds and the most memory it took, in MB.

`read_csv.py CSV [CACHE]`; with a cache, the channel comes from it if it was there before.
"""

import json
import resource
import sys
import time
from pathlib import Path

from ethnicity_prediction import cache
from ethnicity_prediction.images import InputSpec

begun = time.perf_counter()
folder = Path(sys.argv[2]) if len(sys.argv) > 2 else None
data = cache.read(Path(sys.argv[1]).parent, InputSpec(), folder)
seconds = time.perf_counter() - begun
most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (
    1e6 if sys.platform == "darwin" else 1e3
)
print(json.dumps({"seconds": seconds, "mb": most, "rows": len(data.values)}))
