"""Colours whose faint structure counts nearly as much as the strong: by plain differences, cuts would keep to the
outlines of bright objects, and fuse dark ones."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from texsynth.field.atlas import Atlas

WINDOW = 9  # pixels, at the coarsest level, over which contrast is measured
EVENING = 0.7  # 0 keeps contrast as it is, 1 raises all that is fainter than the mean up to it
FAINTEST = 0.02  # variances: contrast below is noise, and stays faint


def evened(atlas: Atlas) -> Tensor:
    """What an atlas is compared by, (N, C), in standard deviations, with local contrast that is below the mean raised
    towards it: nothing counts for less than it does without, least of all the tone."""
    middle = atlas.compared[atlas.valid].mean(0)
    colours = atlas.picture((atlas.compared - middle) / atlas.deviation)
    mean = _blurred(colours)
    contrast = _blurred((colours - mean).square().sum(1, keepdim=True))
    factor = ((contrast + FAINTEST) / (contrast.mean() + FAINTEST)) ** (-EVENING / 2)
    return (mean + (colours - mean) * factor.clamp(min=1)).permute(0, 2, 3, 1).reshape(len(atlas.compared), -1)


def _blurred(pictures: Tensor) -> Tensor:
    """Means over WINDOW x WINDOW pixels of (planes, C, h, w)."""
    return F.avg_pool2d(F.pad(pictures, (WINDOW // 2,) * 4, mode="replicate"), WINDOW, stride=1)
