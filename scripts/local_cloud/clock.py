"""How long the waits of the local cloud are: AWS's own, times LOCAL_CLOUD_TIME_SCALE."""

from __future__ import annotations

import os

SCALE_VARIABLE = "LOCAL_CLOUD_TIME_SCALE"


def scaled(seconds: float) -> float:
    """Return how long a wait of AWS's takes here; the scale is 1 unless the variable is set.

    Waits for something that really works here (a build, a training) are never scaled.
    """
    return seconds * float(os.environ.get(SCALE_VARIABLE) or 1)
