"""The law of turning: the normals of a turned or mirrored piece are those of the turned surface, in both conventions.

The surfaces are analytic; their turned copies are the same functions of turned coordinates, whose gradients follow by
the chain rule.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from conftest import Draw, Texsynth, array
from fields import atlas_of, copying, grid, whole_plane
from pictures import bytes_of, noise, spots
from texsynth.field.atlas import COPY_SETS, settle, turn
from texsynth.field.follow import follow
from texsynth.field.geometry import rotated

ALL = COPY_SETS["all"]
CONVENTIONS = pytest.mark.parametrize("role", ["normal", "normal_dx"])


def slopes(y: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """The derivatives of a smooth height, by rows (down) and by columns (right), in the units of pixels."""
    down = 0.6 * torch.cos(y / 5 + 0.3) - 0.2 * torch.sin((x + y) / 7)
    right = 0.5 * torch.sin(x / 6 + 1) - 0.2 * torch.sin((x + y) / 7)
    return down, right


def encoded(down: Tensor, right: Tensor, role: str) -> Tensor:
    """The normals (1, 3, h, w) in [0, 1] of a surface with these slopes: they lean away from where it rises."""
    green = down if role == "normal" else -down  # up is against the rows
    return (F.normalize(torch.stack([-right, green, torch.ones_like(down)])[None], dim=1) + 1) / 2


def of_turned(place: Tensor, role: str, scale: int = 1) -> Tensor:
    """The normals of the surface that has at each value the height at `place` (h, w, 2), (y, x), which is affine; so
    many values are as long as a pixel."""
    down, right = slopes(*place.unbind(-1))
    by_row, by_column = ((place[at] - place[0, 0]) * scale for at in ((1, 0), (0, 1)))
    return encoded(down * by_row[0] + right * by_row[1], down * by_column[0] + right * by_column[1], role)


@CONVENTIONS
@pytest.mark.parametrize("scale", [1, 3])
@pytest.mark.parametrize("number", range(len(ALL)))
def test_the_normals_of_a_copy_are_those_of_the_turned_surface(number: int, scale: int, role: str) -> None:
    y, x = grid(12 * scale, 15 * scale)
    layer = encoded(*slopes(y.float(), x.float()), role)
    field = whole_plane(atlas_of(noise(1, 3, 12, 15), copies="all"), number)
    place = torch.stack([turn(y, ALL[number]), turn(x, ALL[number])], -1).float()
    out = follow(field, [layer], role, scale)
    assert float((out - of_turned(place, role)).abs().max()) < 1e-6


@CONVENTIONS
@pytest.mark.parametrize("angle", [0.0, 0.3, 1.2, 2.9, -0.7, -2.1])
@pytest.mark.parametrize("scale", [1, 2])
def test_the_normals_of_a_piece_at_any_angle_are_those_of_the_turned_surface(
    angle: float, scale: int, role: str
) -> None:
    """At the places that are read; each value is the nearest one, whose slopes differ by what half a pixel brings."""
    size, origin = (9, 9), torch.tensor([21.0, 24.0])
    atlas, turns = atlas_of(noise(1, 3, 44, 48)), torch.full(size, angle)
    place = origin + rotated(-turns, torch.stack(grid(*size), -1).float())
    index, exact = settle(atlas, torch.zeros(size, dtype=torch.long), place)
    field = replace(copying(atlas, *atlas.split(index)[1:]), place=exact, angle=turns)
    y, x = ((n + 0.5) / scale - 0.5 for n in grid(44 * scale, 48 * scale))
    out = follow(field, [encoded(*slopes(y, x), role)], role, scale)
    offset = torch.stack(grid(9 * scale, 9 * scale), -1).float()
    fine = origin + rotated(-torch.full(offset.shape[:2], angle), (offset + 0.5) / scale - 0.5)
    assert float((out - of_turned(fine, role, scale)).abs().max()) < 0.07
    # Where the slopes are the same everywhere, nothing is rounded.
    level = torch.full((44 * scale, 48 * scale), 0.4), torch.full((44 * scale, 48 * scale), -0.3)
    exactly = follow(field, [encoded(*level, role)], role, scale)
    turn_back = torch.tensor([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]], dtype=torch.float32)
    down, right = turn_back.T @ torch.tensor([0.4, -0.3])
    flat = encoded(torch.full_like(out[0, 0], float(down)), torch.full_like(out[0, 0], float(right)), role)
    assert float((exactly - flat).abs().max()) < 1e-5


@pytest.mark.parametrize(
    "words",
    ["synthesize a.png --set copies=rotations -s 24", "control a.png --orientation circle -s 24"],
    ids=["copies", "orientation"],
)
def test_a_set_of_either_convention_comes_out_the_same(texsynth: Texsynth, draw: Draw, words: str) -> None:
    """Green of the one is the inverse of green of the other, everywhere."""
    draw("a.png", bytes_of(spots(24, 24)))
    y, x = grid(24, 24)
    for name, role in (("gl", "normal"), ("dx", "normal_dx")):
        draw(f"{name}.png", bytes_of(encoded(*slopes(y.float(), x.float()), role)))
    quick = ["--set", "passes=[1]", "--set", "starts=1", "-q", "--force", "--save-field"]
    made = {}
    for name in ("gl", "dx"):
        ran = texsynth(*words.split(), "--map", f"normal={name}.png", "--normals", name, "-o", f"{name}_o.png", *quick)
        assert ran.code == 0, ran.err
        made[name] = array(f"{name}_o_normal.png").astype(int)
    off = made["gl"] - made["dx"]
    turns_freely = "orientation" in words  # which rounds, and may round halves to either side
    assert abs(off[..., ::2]).max() <= turns_freely and abs(made["gl"][..., 1] + made["dx"][..., 1] - 255).max() <= 1
    assert (abs(made["gl"][..., 1] + made["dx"][..., 1] - 255) == 0).mean() > 0.99
    if not turns_freely:
        field = np.load("gl_o_field.npz")
        assert len(set(field["copy"].flatten())) > 1 and (made["gl"][..., 1] + made["dx"][..., 1] == 255).all()


@pytest.mark.parametrize(
    ("dtype", "file"), [("uint8", "png"), ("uint16", "png"), ("uint16", "tif"), ("float16", "tif"), ("float32", "tif")]
)
def test_dx_to_gl_and_back_gives_the_same_values(texsynth: Texsynth, draw: Draw, dtype: str, file: str) -> None:
    """With copies that do not turn: integers to the last bit, floats to half of the step that they have near 1, as 1
    less a small number is rounded to it; what has made the way once comes back to the bit."""
    draw("a.png", bytes_of(spots(24, 24)))
    y, x = grid(24, 24)
    normals = encoded(*slopes(y.float(), x.float()), "normal_dx")[0].permute(1, 2, 0).numpy()
    top = {"uint8": 255, "uint16": 65535}.get(dtype, 1)
    values = (normals * top).round() if top > 1 else normals
    draw(f"dx0.{file}", values.astype(dtype))
    keep = ("inpaint", "a.png", "--mask", "hole.png", "-p", "steady", "-q", "--force")
    draw("hole.png", np.pad(np.full((4, 4), 255, np.uint8), 10))
    stays = np.pad(np.zeros((4, 4), bool), 10, constant_values=True)
    for number in range(2):
        for before, after in (("dx", "gl"), ("gl", "dx")):
            source = f"{before}{number}.{file}"
            words = ("--normals", before, "--normals-out", after, "-o", f"o.{file}", "--map", f"normal={source}")
            assert texsynth(*keep, *words).code == 0
            target = Path(f"{after}{number + (after == 'dx')}.{file}")
            Path(f"o_normal.{file}").rename(target)
            there, here = (array(name)[stays].astype(float) / top for name in (source, target))
            assert abs(there[:, 1] + here[:, 1] - 1).max() < 1e-3 and (there[:, ::2] == here[:, ::2]).all()
    first, second, third = (array(f"dx{number}.{file}")[stays] for number in range(3))
    assert first.dtype == dtype and (second == third).all()
    step = {"float16": 2.0**-12, "float32": 2.0**-25}.get(dtype, 0)
    assert abs(first.astype(float) - second).max() <= step
