"""Evening out the light of an exemplar."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from torch import Tensor

import texsynth
from pictures import noise
from texsynth.image.codecs.tags import LINEAR_GAMMA, Tags
from texsynth.image.light import flatten, relit
from texsynth.image.picture import Picture
from texsynth.image.seen import light_of


def texture(h: int, w: int) -> Tensor:
    """Fine grain of one brightness, (1, 3, h, w)."""
    tint = torch.tensor([0.5, 0.4, 0.3]).view(1, 3, 1, 1)
    return tint * (0.7 + 0.6 * noise(1, 1, h, w))


def vignette(h: int, w: int, dark: float) -> Tensor:
    """1 in the centre falling to `dark` in the corners, (1, 1, h, w)."""
    y, x = torch.linspace(-1, 1, h)[:, None], torch.linspace(-1, 1, w)
    return (1 - (1 - dark) * (y**2 + x**2) / 2)[None, None]


def corner_to_centre(image: Tensor) -> float:
    """Ratio of the mean brightness of the corners to that of the centre, an eighth of the sides each."""
    h, w = image.shape[2] // 8, image.shape[3] // 8
    corners = [image[..., y, x].mean() for y in (slice(h), slice(-h, None)) for x in (slice(w), slice(-w, None))]
    return float(torch.stack(corners).mean() / image[..., 3 * h : 5 * h, 3 * w : 5 * w].mean())


def figures(message: str) -> tuple[float, float]:
    """The figures of a message: how much the light varied, and how many per cent were clipped."""
    match = re.fullmatch(r"flatten: evened out light that varied by x([\d.]+); ([\d.]+)% of pixels clipped", message)
    assert match is not None, message
    return float(match[1]), float(match[2])


@pytest.mark.parametrize("size", [(64, 64), (96, 60), (300, 260)])
def test_a_vignette_is_evened_out(size: tuple[int, int]) -> None:
    """At least half of it is gone."""
    image = texture(*size) * vignette(*size, dark=0.5)
    before = corner_to_centre(image)
    out, message = flatten(image)
    assert before < 0.65 and 1 - (1 - before) / 2 < corner_to_centre(out) < 1.1
    assert figures(message)[0] > 1.05
    assert out.shape == image.shape and float(out.min()) >= 0 and float(out.max()) <= 1


def test_a_shadow_on_one_side_is_evened_out() -> None:
    image = texture(80, 96) * torch.linspace(0.4, 1, 96)
    before, after = (float(i[..., :16].mean() / i[..., -16:].mean()) for i in (image, flatten(image)[0]))
    assert before < 0.55 and 0.75 < after < 1.1


def test_hues_and_the_mean_brightness_are_kept() -> None:
    """One gain for all three channels, whose geometric mean is 1."""
    image = texture(64, 80) * vignette(64, 80, 0.6)
    out, message = flatten(image)
    assert figures(message)[1] == 0
    gain = out / image
    assert torch.allclose(gain, gain[:, :1].expand_as(gain), rtol=1e-4)
    assert float(gain.log().mean()) == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize("grey", [0.0, 0.01, 0.5, 1.0])
def test_a_flat_picture_is_left_alone(grey: float) -> None:
    image = torch.full((1, 3, 40, 56), grey)
    out, message = flatten(image)
    assert torch.allclose(out, image, atol=1e-4) and figures(message) == (1.0, 0.0)


def test_even_texture_is_almost_left_alone() -> None:
    out, message = flatten(texture(96, 96))
    assert float((out - texture(96, 96)).abs().max()) < 0.03 and figures(message)[0] < 1.06


def test_detail_is_kept() -> None:
    """What changes within an eighth of the side is texture: its contrast against the local mean stays."""
    stripes = torch.where(torch.arange(96) % 8 < 4, 0.6, 0.3).expand(1, 3, 96, 96)
    out, _ = flatten(stripes * vignette(96, 96, 0.5))
    ratio = out[..., ::8].mean() / out[..., 4::8].mean()
    assert float(ratio) == pytest.approx(2, rel=0.06)


def test_what_had_to_be_clipped_is_said() -> None:
    image = (texture(64, 64) * 2.2 * vignette(64, 64, 0.2)).clamp(0, 1)
    image[..., :4, :4] = 1.0
    out, message = flatten(image)
    assert figures(message)[1] > 0
    assert float(out.max()) <= 1


def test_black_stays_finite() -> None:
    image = texture(48, 48)
    image[..., :24] = 0
    out, _ = flatten(image)
    assert out.isfinite().all()
    assert (out[..., :24] == 0).all()


@pytest.mark.parametrize("shape", [(40, 40, 3), (40, 40), (40, 40, 4)])
def test_the_flag_evens_out_the_exemplar_only(shape: tuple[int, ...]) -> None:
    """Of any number of channels, in its own depth; a map stays as it is."""
    light = (vignette(40, 40, 0.3)[0, 0].numpy() * 60000).astype(np.uint16)
    exemplar = np.broadcast_to(light.reshape(40, 40, *[1] * (len(shape) - 2)), shape).copy()
    if shape[-1] == 4:
        exemplar[..., 3] = 65535
    plain, even = (texsynth.synthesize(exemplar, 40, flatten=f, maps={"m": light}) for f in (False, True))
    spread = [float(r.image.pixels.std()) for r in (plain, even)]
    assert spread[1] < 0.8 * spread[0]
    assert plain.image.depth == even.image.depth == "uint16"
    assert even.image.pixels.shape[1] == plain.image.pixels.shape[1]
    assert set(np.unique((even.maps["m"].pixels.numpy() * 65535).round().astype(int))) <= set(light.flatten().tolist())


def test_floats_keep_their_range_and_linear_ones_are_evened_out_as_eyes_see_them() -> None:
    """A change of light sees the sRGB that they look like, and what it makes is brought back."""
    shares = (texture(40, 50) * vignette(40, 50, 0.4)).clamp(0, 1)
    shares[0, :, 0, 0] = 1.0
    even = flatten(shares)[0]
    wide, _ = relit(Picture(4 * shares, depth="float32"), flatten)
    assert wide.pixels.max() > 2 and torch.allclose(wide.pixels, 4 * even, atol=1e-4)
    linear = Picture(light_of(shares), depth="float32", tags=Tags(gamma=LINEAR_GAMMA))
    assert torch.allclose(relit(linear, flatten)[0].pixels, light_of(even), atol=1e-4)
    kept, line = relit(linear, lambda values: (values, "nothing to do"))
    assert kept is linear and line == "nothing to do"
