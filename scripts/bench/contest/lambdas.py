"""What our functions do before their first call: import the handler, make one client.

`lambdas.py FOLDER_OF_THE_UNPACKED_ZIP SERVICE`; prints CPU milliseconds.
"""

import importlib.util
import json
import sys
import time
from pathlib import Path

folder, service = Path(sys.argv[1]), sys.argv[2]
[handler] = folder.glob("Ethnicity-Pred-*.py")
sys.path.insert(0, str(folder))
begun = time.process_time()
spec = importlib.util.spec_from_file_location("handler", handler)
assert spec and spec.loader  # noqa: S101  it is a file
spec.loader.exec_module(importlib.util.module_from_spec(spec))

from common.clients import client  # noqa: E402

client(service)
print(json.dumps({"ms": (time.process_time() - begun) * 1000}))
