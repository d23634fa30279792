"""How many CPUs this container has, and how many workers are started for them."""

import math
import os
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")
QUOTAS = (["cpu.max"], ["cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us"])  # version 2, version 1
MOST_WORKERS = 1000


def usable() -> int:
    """CPUs that this process may run on."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS
        return os.cpu_count() or 1


def quota(cgroup: Path = CGROUP) -> float:
    """CPUs whose time the container gets, as `docker run --cpus` sets it; infinite without."""
    for names in QUOTAS:
        try:
            given, period = " ".join((cgroup / name).read_text() for name in names).split()
        except OSError:
            continue
        return math.inf if given in ("max", "-1") else int(given) / int(period)
    return math.inf


def workers(asked: str, cpus: float) -> int:
    """As many as were asked for, or else one for each CPU; ValueError for what is no number."""
    if not asked:
        return max(1, math.ceil(cpus))
    if not asked.isdecimal() or not 1 <= int(asked) <= MOST_WORKERS:
        raise ValueError(
            f"SAGEMAKER_MODEL_SERVER_WORKERS is {asked!r}; it must be a whole number from 1 to "
            f"{MOST_WORKERS}, or empty for one worker per CPU"
        )
    return int(asked)
