"""What no function that calls AWS does without: botocore's import; prints CPU milliseconds."""

import gc
import json
import time

gc.disable()  # as our functions do
begun = time.process_time()

import botocore.session  # noqa: E402, F401

print(json.dumps({"ms": (time.process_time() - begun) * 1000}))
