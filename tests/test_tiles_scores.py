"""Scores of tiles and of blending: what is suited to blending, planes that repeat, and borders that are not equal."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
import torch
from torch import Tensor

from conftest import Draw, Refused, Texsynth
from networks import measured
from pictures import bytes_of, generator, pattern, spots
from texsynth.image import picture as image_files
from texsynth.image.picture import Picture
from texsynth.job import Layer
from texsynth.metrics import NotApplicable, Pair, tile_borders, tile_repetition
from texsynth.tiles import blend_reading, sets, store, suitability
from texsynth.tiles.atlas import atlas
from texsynth.tiles.drawn import Drawn
from texsynth.tiles.store import TileFile
from texsynth.tiles.suitability import Suitability
from tile_sets import drawn


def bricks(h: int = 128, w: int = 128) -> Tensor:
    return (torch.from_numpy(pattern("bricks", h, w)).permute(2, 0, 1)[None].float() / 255).repeat_interleave(2, 3)


def ghosts(image: Tensor) -> Tensor:
    """Copies of a picture out of step with each other, in equal shares."""
    return torch.stack([image.roll(move, (2, 3)) for move in ((0, 0), (3, 9), (5, 21))]).mean(0)


def grains(image: Tensor) -> Tensor:
    """More of the same grains."""
    return spots(2 * image.shape[2], 2 * image.shape[3], seed=1)


# ---- suitability ----


def test_grains_fit_and_bricks_ghost() -> None:
    fitting = suitability.score(spots(140, 130), grains)
    assert fitting.fits and not fitting.needs_lattice and fitting.plain < 1
    assert fitting.sentence.startswith("fits: ") and "\n" not in fitting.sentence
    ghosting = suitability.score(bricks(), ghosts)
    assert not ghosting.fits and ghosting.plain > 2
    assert ghosting.sentence.startswith("does not fit: large objects ghost") and "tiles corner" in ghosting.sentence


def test_bricks_fit_in_step() -> None:
    suited = suitability.score(bricks(), ghosts, lambda image: image.clone())
    assert suited.fits and suited.needs_lattice
    assert suited.sentence.startswith("fits with lattice offsets")
    out_of_step = suitability.score(bricks(), ghosts, ghosts)
    assert not out_of_step.fits and "in step or not" in out_of_step.sentence


@pytest.mark.parametrize(
    ("plain", "in_step", "word"),
    [(0.8, None, "fits:"), (0.9, 0.89, "fits:"), (1.0, 0.8, "fits with"), (2.0, 1.1, "does not")],
)
def test_the_sentence_follows_the_numbers(plain: float, in_step: float | None, word: str) -> None:
    assert Suitability(plain, in_step).sentence.startswith(word)


def test_the_score_does_not_depend_on_threads_or_on_size() -> None:
    image = spots(140, 130)
    numbers = []
    for threads in (1, 2):
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        numbers.append(suitability.error(image, grains(image)))
        torch.set_num_threads(before)
    assert numbers[0] == numbers[1]
    for size in ((512, 1024), (64, 4000)):
        small = suitability.reduced(torch.zeros(1, 3, *size))
        assert small[0, 0].numel() <= 1.01 * suitability.MOST_PIXELS and min(small.shape[2:]) <= suitability.SIDE
        assert small.shape[3] == pytest.approx(size[1] * suitability.scale(torch.zeros(1, 3, *size)), abs=1)
    tiny = spots(20, 20)
    assert suitability.error(tiny, spots(40, 40, seed=2)) < 1


# ---- borders ----


def of_tiles(tiles: Drawn) -> Pair:
    return Pair(spots(48, 48), spots(48, 48), tiles=tiles)


def changed(layer: Layer, number: int, y: int, x: int) -> Layer:
    """A layer in one of whose pictures one pixel is another one."""
    pixels = layer.pictures[number].pixels.clone()
    pixels[:, :, y, x] = 1 - pixels[:, :, y, x]
    return replace(layer, pictures=tuple(
        replace(picture, pixels=pixels) if n == number else picture for n, picture in enumerate(layer.pictures)
    ))  # fmt: skip


def test_a_sound_set_has_equal_borders_in_every_map() -> None:
    sound = drawn(sets.corner(2), height=("data", Fraction(1)), normal=("normal", Fraction(2)))
    assert measured("tile_borders", of_tiles(sound)) == 0
    parts = tile_borders.details(of_tiles(sound), None, generator())
    assert set(parts) == {f"{n}: {m}" for n in ("image", "height", "normal") for m in ("unequal", "steps across cuts")}
    assert 0.8 < parts["image: steps across cuts"] < 1.2


@pytest.mark.parametrize(("y", "x"), [(0, 12), (7, 12), (12, 0), (12, 7), (16, 12), (23, 12), (12, 16), (12, 23)])
def test_one_pixel_of_a_band_is_told(y: int, x: int) -> None:
    sound = drawn(sets.corner(2))
    broken = replace(sound, image=changed(sound.image, 5, y, x))
    assert measured("tile_borders", of_tiles(broken)) == pytest.approx(1 / (8 * 16))


def test_one_pixel_of_a_map_is_told_and_one_inside_is_free() -> None:
    sound = drawn(sets.wang(2, 8), height=("data", Fraction(1)))
    broken = replace(sound, maps={"height": changed(sound.maps["height"], 3, 12, 1)})
    assert tile_borders.details(of_tiles(broken), None, generator())["height: unequal"] > 0
    assert measured("tile_borders", of_tiles(broken)) > 0
    assert measured("tile_borders", of_tiles(replace(sound, image=changed(sound.image, 3, 12, 12)))) == 0


def test_steps_across_cuts_are_told() -> None:
    """Tiles that are brighter from left to right, which makes a step across each cut."""
    ramp = torch.linspace(0, 1, 16).expand(1, 3, 16, 16).contiguous()
    plain = drawn(sets.corner(2), border=0)
    pictures = tuple(replace(picture, pixels=ramp) for picture in plain.image.pictures)
    stepped = replace(plain, image=replace(plain.image, pictures=pictures))
    assert tile_borders.details(of_tiles(stepped), None, generator())["image: steps across cuts"] > 5
    with pytest.raises(NotApplicable, match="no padding"):
        measured("tile_borders", of_tiles(stepped))


# ---- repetition ----


def test_one_tile_repeats_more_than_a_random_plane_and_more_colours_repeat_less() -> None:
    few, many = (drawn(sets.corner(colours), (32, 32)) for colours in (2, 3))
    alone = replace(few, image=replace(few.image, pictures=few.image.pictures[:1] * 16))
    values = [measured("tile_repetition", of_tiles(tiles)) for tiles in (many, few, alone)]
    assert values[0] < values[1] < 0.6 and values[2] > 0.95


def test_what_the_exemplar_repeats_by_itself_does_not_count() -> None:
    few, alone = drawn(sets.corner(2), (32, 32)), spots(24, 24).repeat(1, 1, 4, 4)
    assert measured("tile_repetition", replace(of_tiles(few), exemplar=alone)) < 0.05


def test_the_plane_is_reduced_tile_by_tile() -> None:
    tiles = drawn(sets.corner(2), (32, 48))
    numbers = torch.tensor([[3, 5], [0, 15]])
    small = tile_repetition.laid(tiles, numbers)
    assert small.shape == (1, 3, 8, 12)
    inside = tiles.image.pictures[5].pixels[:, :, 4:36, 4:52]
    assert torch.allclose(small[:, :, :4, 6:], inside.unflatten(3, (6, 8)).unflatten(2, (4, 8)).mean((3, 5)))


# ---- what evaluate reads ----


@pytest.fixture
def folder(tmp_path: Path, draw: Draw) -> Path:
    """An exemplar, and the folder of a set with all that lies there."""
    draw("a.png", bytes_of(spots(64, 64)))
    (tmp_path / "a_tiles").mkdir()
    one = drawn(sets.corner(2), (32, 32))
    image_files.write(tmp_path / "a_tiles" / "a_corner.png", atlas(one, 4)["image"])
    image_files.write(tmp_path / "a_tiles" / "a_corner_preview.png", atlas(one, 0)["image"])
    text = store.text(store.described(one.tiles, one.size, 4, {"image": TileFile("a_corner.png")}))
    (tmp_path / "a_tiles" / "a_corner.json").write_text(text, "utf-8")
    return tmp_path


METRICS = [word for name in ("tile_borders", "tile_repetition", "nn_pixel") for word in ("--metric", name)]


@pytest.mark.parametrize("exemplar", ["a.png", "."])
@pytest.mark.parametrize("output", ["a_tiles", "a_tiles/a_corner.json"])
def test_a_set_is_scored_by_its_folder_or_its_json(
    exemplar: str, output: str, folder: Path, texsynth: Texsynth, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    ran = texsynth("evaluate", exemplar, output, *METRICS, "--json", "--details")
    assert ran.code == 0, ran
    (row,) = json.loads(ran.out)["results"]
    assert Path(row["output"]).name == "a_corner.json"
    assert row["scores"]["tile_borders"] == 0 and row["scores"]["nn_pixel"] > 0
    assert row["scores"]["tile_repetition"] < 0.6


def test_tiles_of_a_set_are_scored_by_the_folder_of_the_set(
    folder: Path, texsynth: Texsynth, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They bear the name that its files share; its maps are no exemplars that lack outputs."""
    monkeypatch.chdir(folder)
    Path("a").mkdir()
    Path("a.png").rename("a/a_BaseColor.png")
    shutil.copy("a/a_BaseColor.png", "a/a_Roughness.png")
    ran = texsynth("evaluate", "a", "a_tiles", "--metric", "tile_borders", "--json")
    assert (ran.code, ran.err) == (0, "")
    (row,) = json.loads(ran.out)["results"]
    assert Path(row["exemplar"]).name == "a_BaseColor.png" and row["scores"] == {"tile_borders": 0}


def test_a_set_whose_json_is_of_others_is_refused_in_a_line(folder: Path, refused: Refused) -> None:
    path = folder / "a_tiles" / "a_corner.json"
    path.write_text("{}", "utf-8")
    assert "is not the JSON of a set of tiles" in refused(3, "evaluate", folder / "a.png", path)
    assert "tile_borders" in refused(3, "evaluate", "a.png", "a.png", "--metric", "tile_borders")


# ---- blends ----


@pytest.fixture
def blend(texsynth: Texsynth, draw: Draw) -> Path:
    """The JSON of a blend."""
    draw("a.png", bytes_of(spots(64, 64)))
    assert texsynth("tiles", "blend", "a.png", "-o", "made", "-q").code == 0
    return Path("made/a_blend.json")


def test_a_blend_is_scored_by_a_plane_as_its_shader_draws_it(blend: Path, texsynth: Texsynth) -> None:
    words = ("--metric", "blend_error", "--metric", "nn_pixel", "--json")
    ran = texsynth("evaluate", "a.png", blend.parent, *words)
    assert ran.code == 0, ran
    (row,) = json.loads(ran.out)["results"]
    assert Path(row["output"]).name == "a_blend.json"
    assert row["scores"]["blend_error"] == pytest.approx(json.loads(blend.read_text())["suitability"]["error"], abs=0.1)
    assert row["scores"]["nn_pixel"] < 0.01


def test_the_pictures_of_a_blend_share_the_memory(blend: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limits, read = [], image_files.read

    def watched(path: Path, memory: int | None = None) -> Picture:
        limits.append(memory)
        return read(path, memory)

    monkeypatch.setattr(image_files, "read", watched)
    blend_reading.read(blend, 1 << 30)
    assert limits == [1 << 30, (1 << 30) - 4 * 3 * 64 * 64]


FAULTS: list[tuple[str, object, str]] = [
    ("blend_size", [1 << 40, 64], "blend_size is"),
    ("blend_seed", 1.5, "blend_seed is"),
    ("blend_grid", 0, "blend_grid is"),
    ("blend_sharpness", 1e5, "blend_sharpness is"),
    ("blend_steps", [[[[1]], 0, 0, 1]], "blend_steps is"),
    ("image", None, "image is"),
    ("image", {"gaussian": "../a.png", "table": "x"}, "not the name of a file beside it"),
    ("image", {"gaussian": "a_blend.png", "table": "a_blend.png", "blend_levels": 3}, "sizes that it says"),
    ("texsynth_blend", 9, "is not the JSON"),
]


def test_a_blend_of_others_is_refused_in_a_line(blend: Path, refused: Refused) -> None:
    content = json.loads(blend.read_text())
    for name, value, words in FAULTS:
        blend.write_text(json.dumps({**content, name: value}), "utf-8")
        assert words in refused(3, "evaluate", "a.png", blend, "--metric", "blend_error")
