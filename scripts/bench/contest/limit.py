"""The limit: decode and predict one body again and again, no HTTP, one process.

`limit.py MODEL BODY TYPE`; for each number read, prints the CPU microseconds of one, on average,
and the milliseconds that it takes, the median.
"""

import json
import statistics
import sys
import time
from itertools import pairwise
from pathlib import Path

from ethnicity_prediction import export
from ethnicity_prediction.wire import read_request

predictor = export.load(Path(sys.argv[1]))
body, content_type = Path(sys.argv[2]).read_bytes(), sys.argv[3]


def once() -> None:
    predictor.predict(read_request(body, content_type, predictor.spec))


for _ in range(50):
    once()
print("ready", flush=True)
for line in sys.stdin:
    number = int(line)
    begun, walls = time.process_time(), [time.perf_counter()]
    for _ in range(number):
        once()
        walls.append(time.perf_counter())
    cpu = (time.process_time() - begun) / number * 1e6
    p50 = statistics.median(end - start for start, end in pairwise(walls)) * 1e3
    print(json.dumps({"cpu": cpu, "p50": p50}), flush=True)
