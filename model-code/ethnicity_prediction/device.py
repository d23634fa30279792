"""What the arithmetic runs on: a graphics card if there is one, else the CPU."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor


def best_device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def has_bf16(device: torch.device) -> bool:
    """Whether it multiplies bfloat16 itself; emulated, it would be slower than float32.

    Of the cards, Turing (T4) and Volta only emulate it.
    """
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    try:
        flags = Path("/proc/cpuinfo").read_text().split()
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags


def to_device(array: np.ndarray, device: torch.device) -> Tensor:
    """Return the numbers there; the copy to a card overlaps with what it still computes."""
    tensor = torch.from_numpy(array)
    if device.type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)
