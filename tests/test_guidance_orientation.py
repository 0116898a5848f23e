"""Direction fields: extraction at every angle, built-in fields, what users may draw, and the drawings of it."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from pictures import noise
from texsynth.errors import InputError, UsageError
from texsynth.guidance import orientation
from texsynth.guidance.orientation import angle_error, built_in

ANGLES = range(0, 180, 5)


def field(text: str, size: tuple[int, int] = (32, 32)) -> Tensor:
    found = built_in(text, size)
    assert found is not None
    return found


def stripes(degrees: float, wavelength: float, side: int = 40) -> Tensor:
    """A grey picture of sine stripes that run in a direction."""
    along = torch.arange(side) - side / 2
    turn = math.radians(degrees)
    across = -along[None] * math.sin(turn) + along[:, None] * math.cos(turn)
    return (0.5 + 0.4 * torch.sin(2 * math.pi * across / wavelength + 0.3)).expand(1, 3, side, side)


def signs(like: Tensor) -> Tensor:
    """Random signs for a field."""
    return torch.where(noise(1, 1, *like.shape[2:]) < 0.5, -1.0, 1.0)


@pytest.mark.parametrize("wavelength", [4, 7, 16])
def test_structure_finds_every_angle(wavelength: float) -> None:
    for degrees in ANGLES:
        found, coherence = orientation.structure(stripes(degrees, wavelength))
        assert angle_error(found, field(f"angle:{degrees}", (40, 40))) < 0.5
        assert float(coherence.min()) > 0.95


@pytest.mark.parametrize("wavelength", [6, 16])
def test_the_histogram_finds_every_angle_axes_included(wavelength: float) -> None:
    errors = [angle_error(orientation.histogram(stripes(a, wavelength)), field(f"angle:{a}", (40, 40))) for a in ANGLES]
    assert max(errors) < 7 and max(errors[0], errors[len(ANGLES) // 2]) < 0.5


def test_coherence_tells_stripes_from_nothing() -> None:
    assert float(orientation.structure(torch.full((1, 3, 32, 32), 0.5))[1].max()) < 1e-6
    grain = orientation.structure(noise(1, 3, 64, 64), sigma=6.0)[1]
    assert float(grain.mean()) < 0.3


def test_a_larger_sigma_averages_further() -> None:
    halves = torch.cat([stripes(0, 6), stripes(90, 6)], 3)
    near, far = (orientation.structure(halves, sigma)[1][0, 0, :, 36].mean() for sigma in (1.5, 12.0))
    assert near > 0.8 > 0.5 > far


@pytest.mark.parametrize("size", [(2, 3), (8, 8), (5, 40)])
@pytest.mark.parametrize("extract", [lambda p: orientation.structure(p)[0], orientation.histogram])
def test_small_pictures_give_unit_vectors(extract: object, size: tuple[int, int]) -> None:
    assert callable(extract)
    found = extract(noise(1, 3, *size))
    assert found.shape == (1, 2, *size)
    assert torch.allclose(found.norm(dim=1), torch.ones(1, *size), atol=1e-5)


@pytest.mark.parametrize("sigma", [0.0, -1.0, math.nan, math.inf])
def test_sigma_is_a_length(sigma: float) -> None:
    with pytest.raises(UsageError, match="--sigma"):
        orientation.structure(noise(1, 3, 8, 8), sigma)


def test_angles_turn_clockwise_on_screen() -> None:
    assert torch.allclose(field("angle:0")[0, :, 0, 0], torch.tensor([1.0, 0.0]))
    assert torch.allclose(field("angle:90")[0, :, 0, 0], torch.tensor([0.0, 1.0]), atol=1e-6)
    assert float(field("angle:30")[0, 1, 0, 0]) == pytest.approx(0.5)  # down, as y is
    assert angle_error(field("angle:-150"), field("angle:30")) < 1e-3


def from_centre(size: tuple[int, int]) -> Tensor:
    y, x = (torch.arange(n) - (n - 1) / 2 for n in size)
    return torch.stack(torch.broadcast_tensors(x[None], y[:, None])).unsqueeze(0)


def test_a_circle_is_square_to_its_radius_and_a_spiral_crosses_it_at_one_angle() -> None:
    size = (20, 30)
    radius = torch.nn.functional.normalize(from_centre(size), dim=1)
    assert angle_error(field("circle", size), radius) == pytest.approx(90, abs=1e-3)
    crossing = (field("spiral", size) * radius).sum(1).abs()
    assert torch.allclose(crossing, crossing[0, 0, 0].expand_as(crossing), atol=1e-5)
    assert 0.2 < float(crossing.mean()) < 0.8


def test_an_s_curve_runs_down_left_then_right_then_left_without_a_kink() -> None:
    curve = field("s-curve", (64, 8))
    down = curve * curve[:, 1:].sign()
    assert bool((down[:, 1] > 0.3).all())
    x = down[0, 0, :, 0]
    assert x[0] < -0.8 and x[32] > 0.8 and x[-1] < -0.8
    assert float(torch.atan2(down[:, 1], down[:, 0]).diff(n=2, dim=1).abs().max()) < 0.02


@pytest.mark.parametrize("name", ["angle:17", "circle", "spiral", "s-curve"])
@pytest.mark.parametrize("size", [(1, 1), (7, 12)])
def test_built_in_fields_are_unit_vectors(name: str, size: tuple[int, int]) -> None:
    assert field(name, size).shape == (1, 2, *size)
    assert torch.allclose(field(name, size).norm(dim=1), torch.ones(1, *size))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("angle:abc", "number of degrees"),
        ("angle:", "number of degrees"),
        ("angle:nan", "number of degrees"),
        ("cirle", "did you mean circle?"),
        ("circle:3", "did you mean circle?"),
        ("wave", "angle:DEG, circle, spiral, s-curve"),
    ],
)
def test_other_words_are_refused(text: str, said: str) -> None:
    with pytest.raises(UsageError) as error:
        built_in(text, (8, 8))
    assert said in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["flow.npy", "maps/flow", "./circle", "flow.png"])
def test_names_of_files_are_left_to_the_caller(text: str) -> None:
    assert built_in(text, (8, 8)) is None


def test_what_is_encoded_is_decoded() -> None:
    wanted = field("spiral") * signs(field("spiral"))
    eight = (orientation.encode(wanted) * 255).round() / 255
    assert angle_error(orientation.decode(eight), wanted) < 0.3
    assert angle_error(orientation.decode((wanted[0] * 1e25).numpy()), wanted) < 0.01
    assert angle_error(orientation.decode((wanted[0] * 1e-25).double().numpy()), wanted) < 0.01


def test_pixels_without_direction_take_that_of_their_surroundings() -> None:
    vectors = field("angle:40")[0] * signs(field("angle:40"))[0]
    vectors[:, 8:24, 4:30] = 0
    assert angle_error(orientation.decode(vectors), field("angle:40")) < 0.01


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (np.zeros((2, 4, 4)), "every vector is zero"),
        (torch.full((1, 3, 4, 4), 0.5).index_fill(1, torch.tensor([2]), 1), "every vector is zero"),
        (np.full((2, 4, 4), np.nan), "NaN or infinite"),
        (np.full((2, 4, 4), np.inf), "NaN or infinite"),
        (np.full((2, 4, 4), 1e300), "NaN or infinite"),
        (np.ones((4, 4, 2)), "(2, height, width)"),
        (np.ones((4, 4)), "(2, height, width)"),
        (np.ones((1, 2, 4, 4)), "(2, height, width)"),
        (np.ones((2, 0, 4)), "(2, height, width)"),
        (np.ones((2, 4, 4), dtype=complex), "complex128"),
        (noise(1, 1, 4, 4).expand(1, 3, 4, 4), "grey"),
    ],
)
def test_bad_fields_are_refused_in_one_line(values: object, said: str) -> None:
    with pytest.raises(InputError) as error:
        orientation.decode(values)  # type: ignore[arg-type]
    assert said in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("size", [(16, 16), (50, 23)])
def test_resizing_does_not_mind_signs(size: tuple[int, int]) -> None:
    wanted = field("angle:75")
    assert angle_error(orientation.resize(wanted * signs(wanted), size), field("angle:75", size)) < 0.01


def test_angle_error_is_symmetric_ignores_signs_and_is_weighted() -> None:
    one, other = field("angle:10"), field("angle:170")
    assert angle_error(one, other) == pytest.approx(20, abs=1e-3)
    assert angle_error(other * signs(other), one) == pytest.approx(20, abs=1e-3)
    assert angle_error(one, one) == 0
    mixed = torch.cat([one[..., :8], other[..., 8:]], 3)
    weight = torch.zeros(1, 1, 32, 32)
    weight[..., :8] = 1
    assert angle_error(mixed, one, weight) == 0
    assert angle_error(mixed, one) == pytest.approx(15, abs=1e-3)


def test_a_colour_stands_for_one_direction_whatever_its_sign() -> None:
    wheel = torch.cat([orientation.as_colour(field(f"angle:{a}", (1, 1)))[..., 0, 0] for a in range(0, 180, 20)])
    assert float(torch.pdist(wheel).min()) > 0.1
    flow = field("circle")
    assert torch.allclose(orientation.as_colour(-flow), orientation.as_colour(flow), atol=1e-5)


@pytest.mark.parametrize("degrees", [0, 30, 90, 135])
def test_strokes_lie_along_the_field(degrees: int) -> None:
    drawn = orientation.strokes(field(f"angle:{degrees}"), (96, 64))
    assert drawn.shape == (1, 3, 96, 64)
    assert 0 <= float(drawn.min()) < 0.9 <= float(drawn.max()) <= 1
    found, coherence = orientation.structure(drawn, sigma=8.0)
    assert angle_error(found, field(f"angle:{degrees}", (96, 64)), coherence) < 8


def test_strokes_are_drawn_over_a_picture() -> None:
    ground = torch.full((1, 3, 20, 20), 0.4)
    drawn = orientation.strokes(field("circle"), (40, 40), ground)
    untouched = (drawn == 0.4).all(1).float().mean()
    assert 0.05 < float(untouched) < 0.95
