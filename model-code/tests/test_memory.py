"""Memory that a step frees is there for the next one."""

import platform
import subprocess
import sys
from pathlib import Path

import pytest

CODE = Path(__file__).resolve().parents[1]

FAULTS = """
import resource
import sys
import numpy as np
from ethnicity_prediction.memory import keep_freed

if sys.argv[1] == "keep":
    assert keep_freed()
def tensors():
    np.ones(9_000_000, np.uint8)  # below the size that glibc learns to keep at hand by itself …
    np.ones(40_000_000, np.uint8)  # … and above it
tensors()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    tensors()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(how: str) -> int:
    command = [sys.executable, "-c", FAULTS, how]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=CODE)
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="it is glibc that is told")
def test_freed_memory_is_not_asked_of_the_system_again():
    assert page_faults("keep") < page_faults("do not") / 10
