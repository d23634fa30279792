"""What the arithmetic runs on."""

from pathlib import Path

import torch


def cpu_has_bf16() -> bool:
    """Whether the CPU multiplies bfloat16 itself; emulated, it would be slower than float32."""
    try:
        flags = Path("/proc/cpuinfo").read_text().split()
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags


def best_device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
