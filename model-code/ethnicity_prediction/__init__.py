"""The program inside the container: train and serve, and the modules they share."""

import os

# ONNX Runtime's wheels report to their maker unless told not to before they are imported.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
