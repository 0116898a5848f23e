"""Real exemplars, kept outside the repository: TEXSYNTH_EXEMPLARS is a folder that holds stationary/*.jpg."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from torch import Tensor
from torch.nn import functional as F

import texsynth
from texsynth import image

FOLDER = os.environ.get("TEXSYNTH_EXEMPLARS", "")
FILES = sorted((Path(FOLDER) / "stationary").glob("*.jpg")) if FOLDER else []
SIDE = 128  # pixels of the shorter side: enough to show an error, small enough for a test

pytestmark = pytest.mark.skipif(not FOLDER, reason="TEXSYNTH_EXEMPLARS is not set to a folder of real exemplars")


def small(path: Path) -> Tensor:
    """(1, 3, h, w) in [0, 1] with a shorter side of SIDE."""
    pixels = image.rgb(image.read(path))
    share = SIDE / min(pixels.shape[2:])
    size = [round(n * share) for n in pixels.shape[2:]]
    return F.interpolate(pixels, size, mode="bilinear", antialias=True).clamp(0, 1)


def test_there_are_sixteen() -> None:
    assert len(FILES) == 16, FILES


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_real_exemplar_keeps_its_colour_at_little_cost(path: Path) -> None:
    """Twice the size: the mean colour within 0.03 of the exemplar's in every channel, the mean cost below 0.15."""
    exemplar = small(path)
    result = texsynth.synthesize(exemplar[0].permute(1, 2, 0).numpy())
    off = (result.image.pixels.mean((0, 2, 3)) - exemplar.mean((0, 2, 3))).abs()
    assert result.field is not None
    cost = float(result.field.cost.mean())
    assert float(off.max()) <= 0.03, f"mean colour off by {[round(float(o), 3) for o in off]}; cost {cost:.3f}"
    assert cost < 0.15
