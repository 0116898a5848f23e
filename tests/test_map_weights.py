"""Pieces, cuts and windows are compared by all maps together, each with its weight."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from conftest import Draw, Picture, Refused, Texsynth, array
from pictures import box, bumps, bytes_of, noise, spots
from texsynth.field.atlas import COPY_SETS, MIDDLE, Field, build_atlas
from texsynth.field.geometry import moved_normals, rotated_normals
from texsynth.field.planes import COPIES
from texsynth.field.turned.space import in_frames
from texsynth.image import picture as image
from texsynth.image.picture import Picture as Pixels
from texsynth.material.matching import Weighed, with_maps
from texsynth.methods import field
from texsynth.methods._placement import place
from texsynth.task import Exemplar, Task

FIELD = ("-q", "--force", "-p", "guided-correspondence", "--exact-copies")
SMALL = (*FIELD, "-s", "24", "--set", "passes=[1]", "--set", "recuts=[2]", "--set", "tries=2")


def steps(name: str) -> float:
    """The mean squared step between neighbours of a grey picture."""
    values = array(name).squeeze().astype(float) / 255
    return float(np.square(np.diff(values, axis=0)).mean() + np.square(np.diff(values, axis=1)).mean())


def test_seams_meet_in_relief_where_colours_say_nothing(texsynth: Texsynth, picture: Picture, draw: Draw) -> None:
    """Of colours that are noise, and a height that is smooth; what is copied is an exact copy in both."""
    colours = picture("a.png", (64, 64))
    height = draw("h.png", bytes_of(spots(64, 64)[:, :1]))
    command = ("synthesize", "a.png", "--map", "height=h.png", "-s", "96", *FIELD, "--save-field", "-o", "o.png")
    above = {}
    for weight in (0, 1):
        assert texsynth(*command, "--map-weight", f"height={weight}").code == 0
        above[weight] = steps("o_height.png") - steps("h.png")
        stored = np.load("o_field.npz")
        assert (array("o.png") == colours[stored["y"], stored["x"]]).all()
        assert (array("o_height.png").squeeze() == height[stored["y"], stored["x"]].squeeze()).all()
    assert above[1] < 0.5 * above[0] and above[0] > 0


def test_a_band_that_wraps_meets_in_relief(texsynth: Texsynth, picture: Picture, draw: Draw) -> None:
    """Pixels outside it stay, and normals count with height by default."""
    colours = picture("a.png", (64, 64))
    height = draw("h.png", bytes_of(spots(64, 64)[:, :1]))
    above = {}
    for weight in ("all=0", "height=1"):
        command = ("inpaint", "a.png", "--map", "height=h.png", "--make-tileable", "xy", "-o", "o.png", *FIELD)
        assert texsynth(*command, "--map-weight", weight).code == 0
        above[weight] = steps("o_height.png") - steps("h.png")
        stays = ~np.pad(np.zeros((40, 40), bool), 12, constant_values=True)
        assert (array("o.png")[stays] == colours[stays]).all()
        assert (array("o_height.png").squeeze()[stays] == height.squeeze()[stays]).all()
    assert above["height=1"] < 0.3 * above["all=0"]


def test_without_weights_the_picture_is_that_without_maps(texsynth: Texsynth, picture: Picture, draw: Draw) -> None:
    picture("a.png", (24, 24))
    draw("n.png", bytes_of(bumps(24, 24) / 2 + 0.5))
    command, maps = ("synthesize", "a.png", *SMALL), ("--map", "normal=n.png", "--map", "h=n.png")
    assert texsynth(*command, "-o", "plain.png", "--no-metadata").code == 0
    pictures = {}
    for weight in ("all=0", "normal=0", "h=1", "normal=0.3"):
        assert texsynth(*command, *maps, "--map-weight", weight, "-o", f"{weight}.png").code == 0
        pictures[weight] = array(f"{weight}.png").tobytes()
    assert texsynth(*command, *maps, "-o", "usual.png").code == 0
    plain, usual = array("plain.png").tobytes(), array("usual.png").tobytes()
    assert pictures["all=0"] == plain != usual
    assert (pictures["normal=0"] == plain, pictures["normal=0.3"] == usual) == (True, True)  # h may mean anything
    assert len({plain, usual, *pictures.values()}) == 3


def test_weights_are_recorded_and_repeated(texsynth: Texsynth, picture: Picture, draw: Draw) -> None:
    """Maps that a repeated run adds leave the picture as it is; one that is missing is told."""
    picture("a.png", (24, 24))
    draw("n.png", bytes_of(bumps(24, 24) / 2 + 0.5))
    maps = ("--map", "normal=n.png", "--map", "rough=n.png")
    assert texsynth("synthesize", "a.png", *SMALL, *maps, "--map-weight", "rough=0.5", "-o", "o.png").code == 0
    record = image.read_metadata("o.png")
    assert record is not None and record["map_weight"] == {"normal": 0.3, "rough": 0.5, "all": 0}
    repeat = ("synthesize", "--from", "o.png", "-o", "again.png", "--force")
    assert texsynth(*repeat, "-q").code == 0
    assert Path("again.png").read_bytes() == Path("o.png").read_bytes()
    assert texsynth(*repeat, "-q", *maps, "--map", "height=n.png").code == 0
    assert (array("again.png") == array("o.png")).all() and Path("again_height.png").exists()
    assert "the recorded run compared rough beside its colours" in texsynth(*repeat, *maps[:2]).err
    assert texsynth("synthesize", "a.png", *SMALL, "-o", "o.png").code == 0
    assert "map_weight" not in (image.read_metadata("o.png") or {})
    assert texsynth(*repeat, "-q", *maps).code == 0
    assert (array("again.png") == array("o.png")).all()


def test_a_larger_original_repeats_the_small_run_with_its_maps(
    texsynth: Texsynth, picture: Picture, draw: Draw
) -> None:
    colours = picture("a.png", (24, 24))
    draw("large.png", colours.repeat(2, 0).repeat(2, 1))
    draw("n.png", bytes_of(bumps(24, 24) / 2 + 0.5))
    still = ("--set", "passes=[0]", "--set", "align=0")
    assert texsynth("synthesize", "a.png", *SMALL, *still, "--map", "normal=n.png", "-o", "o.png").code == 0
    assert texsynth("synthesize", "large.png", "--from", "o.png", "-q", "-o", "l.png").code == 0
    assert array("l.png").shape == (48, 48, 3) and (array("l.png")[::2, ::2] == array("o.png")).all()


def test_an_estimate_counts_what_is_compared() -> None:
    exemplar, settings = Exemplar("a", spots(64, 64)), field.Settings()
    more = with_maps([exemplar], [material(spots(64, 64, 1))])[0]
    task, wider = (Task((each,), (128, 128)) for each in (exemplar, more))
    before, after = (field.estimate(each, settings) for each in (task, wider))
    assert after.memory > before.memory and after.seconds > before.seconds
    assert sum(map(sum, field.seconds(wider, settings))) > sum(map(sum, field.seconds(task, settings)))


@pytest.mark.parametrize("words", ["height=-1", "height=inf", "height=nan", "height", "=1", "height=x", "h/t=1"])
def test_what_is_no_weight_is_refused(words: str, refused: Refused) -> None:
    problem = refused(2, "synthesize", "a.png", "--map", "height=h.png", "--map-weight", words)
    assert f"--map-weight {words!r} is not NAME=W with a number from 0 up" in problem


@pytest.mark.usefixtures("exemplar")
def test_weights_of_what_is_no_map_or_means_nothing_are_refused(refused: Refused, picture: Picture) -> None:
    picture("h.png", channels=1)
    maps = ("synthesize", "a.png", "-q", "--map", "height=h.png", "--map", "id=h.png", "--map-weight")
    assert "no map has this name; the maps are height, id" in refused(2, *maps, "normal=1")
    assert "holds labels, which are not compared" in refused(2, *maps, "id=1")
    assert "there are no maps; --map NAME=FILE" in refused(2, "synthesize", "a.png", "--map-weight", "height=1")
    assert "makes nothing of it here" in refused(2, *maps, "height=1", "-m", "ot")


def material(channels: Tensor, kind: str = "data", weight: float = 1.0, scale: Fraction = Fraction(1)) -> Weighed:
    return Weighed((Pixels(channels, None, "uint8"),), kind, scale, weight)


def test_a_map_of_weight_one_varies_as_much_as_the_colours() -> None:
    """Whatever its range; a finer one by its means, and what hardly varies is not raised to that."""
    exemplar = Exemplar("a", spots(40, 50))
    height = spots(40, 50, 1)[:, :1]
    total = float(exemplar.image.var((2, 3), unbiased=False).sum())
    for values, weight in ((height, 1.0), (height * 0.1 + 0.4, 1.0), (height, 0.3)):
        further = with_maps([exemplar], [material(values, weight=weight)])[0].further
        assert further is not None and further.shape == (1, 1, 40, 50)
        assert float(further.var(unbiased=False)) == pytest.approx(weight * total, rel=0.02)
    fine = height.repeat_interleave(2, 2).repeat_interleave(2, 3) + 0.01 * (noise(1, 1, 80, 100) - 0.5)
    twice = with_maps([exemplar], [material(fine, scale=Fraction(2))])[0].further
    once = with_maps([exemplar], [material(height)])[0].further
    assert twice is not None and once is not None and (twice - once).abs().max() < 0.05 * once.abs().max()
    faint = with_maps([exemplar], [material(0.5 + 0.001 * height)])[0].further
    assert faint is not None and float(faint.var()) < 0.1 * total
    assert with_maps([exemplar], [material(height, weight=0.0)]) == (exemplar,)


def test_many_scalars_become_few_and_nothing_is_lost_that_they_share() -> None:
    exemplar, base = Exemplar("a", spots(40, 50)), spots(40, 50, 1)
    grey = [material(base[:, :1] * gain + 0.1) for gain in (0.2, 0.5, 0.8)]
    maps = [*grey, material(spots(40, 50, 2), "normal")]
    after = with_maps([exemplar], maps)[0]
    assert after.further is not None and after.further.shape[1] == 3 and after.vectors == 1
    one = with_maps([exemplar], [material(base[:, :1], weight=3.0)])[0].further
    assert one is not None and (after.further[:, 2:] - one).abs().max() < 0.05 * one.abs().max()


def turned_normals(kind: str) -> tuple[Exemplar, Tensor]:
    """An exemplar with normals that have no mean, and these."""
    normals = spots(20, 26, 3)
    return with_maps([Exemplar("a", spots(20, 26))], [material(normals, kind)])[0], normals


@pytest.mark.parametrize("kind", ["normal", "normal_dx"])
def test_normals_that_are_compared_turn_with_their_copy(kind: str) -> None:
    """As those that are written do: x is right and y is down in every copy."""
    exemplar, normals = turned_normals(kind)
    atlas = build_atlas(Task((exemplar,), (8, 8)), COPY_SETS["all"], 2)
    alone = build_atlas(Task((Exemplar("a", normals),), (8, 8)), COPY_SETS["all"], 2).colours
    down, moves = kind == "normal_dx", list(COPIES.values())
    plane = torch.arange(len(atlas.home)) // (atlas.rows * atlas.row)
    written = moved_normals(alone.T[None, :, None], plane[None], moves, down)[0, :, 0].T
    x, y = written[:, 0] - 0.5, (written[:, 1] - 0.5) * (1 if down else -1)
    compared = atlas.compared[atlas.valid][:, 3:]
    gain = compared.norm() / torch.stack([x, y], 1)[atlas.valid].norm()
    clipped = compared.abs().amax(1) < 0.99 * compared.abs().max()
    assert torch.allclose(compared[clipped], gain * torch.stack([x, y], 1)[atlas.valid][clipped], atol=0.02)
    assert torch.equal(atlas.compared[:, :3], atlas.colours - MIDDLE)


def test_normals_turn_by_any_angle() -> None:
    normals, angle = noise(1, 3, 4, 5), 6 * noise(4, 5, seed=1)
    turned = rotated_normals(normals, angle)
    vectors = torch.stack([normals[0, 0] - 0.5, 0.5 - normals[0, 1]], -1).flatten(0, 1)
    windows = torch.cat([torch.zeros(20, 3), vectors], 1)[:, None]
    back = torch.stack([angle.cos(), -angle.sin()], -1).flatten(0, 1)
    after = in_frames(windows, back, 1)[:, 0, 3:]
    assert torch.allclose(after[:, 0] + 0.5, turned[0, 0].flatten(), atol=1e-5)
    assert torch.allclose(0.5 - after[:, 1], turned[0, 1].flatten(), atol=1e-5)


def test_windows_beside_a_hole_see_what_maps_are_copied_into_it() -> None:
    exemplar, _ = turned_normals("normal")
    hole = torch.from_numpy(box(20, 26, (5, 12, 8, 17)))[None, None]
    task = Task((Exemplar("a", exemplar.image, ~hole, exemplar.further, 1),), (20, 26), hole=hole)
    atlas = build_atlas(task, COPY_SETS["flips"], 4)
    placement = place(task, atlas)
    assert placement is not None
    index = torch.where(hole[0, 0], atlas.join(torch.tensor(1), torch.tensor(2), torch.tensor(3)), placement.places)
    filled = placement.fill_sources(atlas, Field(index, torch.zeros(20, 26), atlas, (False, False)))
    copied = filled.compared[placement.inside]
    assert torch.equal(copied[:, :3], filled.colours[placement.inside] - MIDDLE)
    plane = atlas.split(placement.inside.nonzero()[:, 0])[0]
    source = atlas.compared[atlas.join(torch.tensor(1), torch.tensor(2), torch.tensor(3))]
    for number, (x, y) in enumerate(((1, 1), (-1, 1), (1, -1), (-1, -1))):
        wanted = source[3:5] * torch.tensor([x, y])
        assert torch.allclose(copied[plane == number][:, 3:5], wanted.expand(int(hole.sum()), 2))
    assert torch.equal(filled.compared[~placement.inside], atlas.compared[~placement.inside])
