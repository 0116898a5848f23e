"""Real exemplars, kept outside the repository: TEXSYNTH_EXEMPLARS is a folder that holds stationary/*.jpg."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import texsynth
from texsynth.image import picture as image

FOLDER = os.environ.get("TEXSYNTH_EXEMPLARS", "")
FILES = sorted((Path(FOLDER) / "stationary").glob("*.jpg")) if FOLDER else []

pytestmark = pytest.mark.skipif(not FOLDER, reason="TEXSYNTH_EXEMPLARS is not set to a folder of real exemplars")


def test_there_are_sixteen() -> None:
    assert len(FILES) == 16, FILES


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_real_exemplar_keeps_its_colour_at_little_cost(path: Path) -> None:
    """Twice the size: the mean colour within 0.03 of the exemplar's in every channel, the mean cost below 0.15."""
    exemplar = image.rgb(image.read(path))
    result = texsynth.synthesize(path)
    off = (result.image.pixels.mean((0, 2, 3)) - exemplar.mean((0, 2, 3))).abs()
    assert result.field is not None
    cost = float(result.field.cost.mean())
    assert float(off.max()) <= 0.03, f"mean colour off by {[round(float(o), 3) for o in off]}; cost {cost:.3f}"
    assert cost < 0.15
