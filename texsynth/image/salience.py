"""How much there is to see at each place of a picture."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

WINDOW = 5  # pixels: the side of the windows over which gradients are averaged


def salience(images: Tensor) -> Tensor:
    """The root mean square of the gradients round each pixel of (n, 3, h, w), over their mean: (n, h, w)."""
    across, down = (images.diff(dim=dim).square().sum(1) for dim in (3, 2))
    energy = average(F.pad(across, (0, 1)) + F.pad(down, (0, 0, 0, 1)), WINDOW).sqrt()
    return energy / energy.mean().clamp(min=1e-6)


def average(values: Tensor, window: int) -> Tensor:
    """The means of (n, h, w) over windows of an odd side, which the borders cut."""
    return F.avg_pool2d(values[:, None], window, 1, window // 2, count_include_pad=False)[:, 0]
