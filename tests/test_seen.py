"""Linear colours are compared, and moved, as eyes see them; all others as they were."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from conftest import Texsynth
from texsynth.image import load
from texsynth.image import picture as image
from texsynth.image.codecs.tags import LINEAR_GAMMA, Tags
from texsynth.image.seen import Range, is_linear

STEPS = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)[0].repeat(3, 2)
SHARES = STEPS.astype(np.float64) / 255
LIGHT = np.where(SHARES <= 0.04045, SHARES / 12.92, ((SHARES + 0.055) / 1.055) ** 2.4)  # by the standard


def linear(values: np.ndarray) -> load.Picture:
    return replace(image.from_array(values.astype(np.float32)), tags=Tags(gamma=LINEAR_GAMMA))


@pytest.mark.parametrize("top", [1.0, 40.0])
def test_linear_floats_are_compared_as_srgb(top: float) -> None:
    """Also where the brightest of them is the range."""
    plain, light = image.from_array(STEPS), linear(LIGHT * top)
    (seen,) = load.matching((light,))
    assert torch.allclose(seen, plain.pixels, atol=1e-6)
    assert load.matching((plain,))[0].data_ptr() == plain.pixels.data_ptr()
    unsaid = replace(light, tags=Tags())
    assert torch.equal(load.matching((unsaid,))[0], (unsaid.pixels / top).clamp(0, 1))


def test_only_floats_that_say_so_are_linear() -> None:
    assert is_linear(linear(LIGHT)) and not is_linear(image.from_array(LIGHT))
    assert not is_linear(replace(image.from_array(STEPS), tags=Tags(gamma=LINEAR_GAMMA)))
    assert not is_linear(replace(linear(LIGHT), tags=Tags(gamma=LINEAR_GAMMA, cicp=bytes(4))))


def test_values_come_back() -> None:
    values = torch.linspace(-3, 9, 1001)
    for span in (Range(), Range(9.0), Range(9.0, True)):
        assert torch.allclose(span.stored(span.seen(values)), values, atol=1e-5)
        assert torch.allclose(span.seen(span.moved(values, torch.tensor(0.25))), span.seen(values) + 0.25, atol=1e-6)
        assert torch.allclose(span.distance(span.stored(span.seen(values) + 0.1), values), torch.tensor(0.1), atol=1e-5)


@pytest.mark.parametrize("name", ["a.exr", "a.tif"])
def test_what_a_method_draws_is_in_the_exemplars_light(texsynth: Texsynth, tmp_path: Path, name: str) -> None:
    """The middle of what is seen is a fifth of linear light; of floats that say nothing it is half of their range."""
    light = np.random.default_rng(0).gamma(2.0, 1.0, (16, 16, 3)).astype(np.float32)
    image.write(tmp_path / name, image.from_array(light))
    assert texsynth("synthesize", name, "-p", "afloat", "-s", "16", "-q", "-o", "o.exr").code == 0
    middle = 0.21404114 if name == "a.exr" else 0.5
    np.testing.assert_allclose(image.to_array(image.read("o.exr")), middle * light.max(), rtol=1e-5)
