"""Random views of a batch: what a face may look like without being another class."""

import torch
from torch import Tensor
from torch.nn import functional

TURN = 0.2  # radians
SCALE = 0.12
SHIFT = 0.1  # of half the width
TONE = 0.2
CUTOUT_SHARE = 0.6
CUTOUT_SIDE = 0.3  # of the width, at most


def augment(
    x: Tensor, mirrored: Tensor, strength: float, generator: torch.Generator, side: int
) -> Tensor:
    """Turn images float [N, C, S, S] in [-1, 1] into other views of the side; strength 0 into none.

    `mirrored`, bool [N], tells which are seen in the mirror.
    """
    if strength <= 0:
        return scaled(x, side)

    def spread(limit: float, *shape: int) -> Tensor:
        unit = torch.rand(len(x), *shape, generator=generator) * 2 - 1
        return unit * limit * strength

    views = _affine(spread(TURN), 1 + spread(SCALE), spread(SHIFT, 2), mirrored)
    shape = [*x.shape[:2], side, side]
    grid = functional.affine_grid(views.to(x.device), shape, align_corners=False)
    x = functional.grid_sample(x, grid, padding_mode="reflection", align_corners=False)
    contrast, brightness = 1 + spread(TONE, 1, 1, 1), spread(TONE, 1, 1, 1)
    x = x * contrast.to(x.device) + brightness.to(x.device)
    return _cut_out(x.clamp(-1, 1), strength, generator)


def scaled(x: Tensor, side: int) -> Tensor:
    """Images float [N, C, S, S] -> [N, C, side, side], by areas."""
    return x if side == x.shape[-1] else functional.interpolate(x, side, mode="area")


def _affine(turn: Tensor, scale: Tensor, shift: Tensor, mirrored: Tensor) -> Tensor:
    """Turned, scaled, shifted and mirrored views, [N, 2, 3]."""
    mirror = 1 - 2 * mirrored.float()
    c, s = torch.cos(turn) * scale, torch.sin(turn) * scale
    rows = [
        torch.stack([c * mirror, -s, shift[:, 0]], dim=1),
        torch.stack([s * mirror, c, shift[:, 1]], dim=1),
    ]
    return torch.stack(rows, dim=1)


def _cut_out(x: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """A gray box over some images, so that no single spot decides."""
    rows, side = len(x), x.shape[-1]
    box = torch.rand(rows, 1, 2, generator=generator) * CUTOUT_SIDE * min(strength, 1.5) * side
    box *= torch.rand(rows, 1, 1, generator=generator) < CUTOUT_SHARE
    start = torch.rand(rows, 1, 2, generator=generator) * (side - box)
    place = torch.arange(side).view(1, side, 1)
    inside = (place >= torch.floor(start)) & (place < torch.floor(start + box))  # [N, S, 2]
    mask = inside[:, None, :, None, 0] & inside[:, None, None, :, 1]
    return x.masked_fill(mask.to(x.device), 0.0)
