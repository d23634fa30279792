"""The limit: decode and predict one body again and again, no HTTP, one process.

`limit.py MODEL BODY TYPE`; for each number read, prints the CPU microseconds of one.
"""

import json
import sys
import time
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
    begun = time.process_time()
    for _ in range(number):
        once()
    print(json.dumps({"cpu_us": (time.process_time() - begun) / number * 1e6}), flush=True)
