"""Planes of tiles, the atlas, the files for engines, and the JSON that is read back."""

from __future__ import annotations

import errno
import json
import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from asking import good
from conftest import QUICK, Draw, Refused, Texsynth, array
from conftest import Picture as Draws
from pictures import bumps, bytes_of
from texsynth.errors import InputError, ResourceError, UsageError
from texsynth.image import picture as image
from texsynth.tiles import engines, plane, sets, store
from texsynth.tiles.atlas import atlas, mips, padding_of, remark
from texsynth.tiles.drawn import Drawn
from texsynth.tiles.hashing import mixed
from texsynth.tiles.sets import TileSet
from texsynth.tiles.store import TileFile
from texsynth.verbs import tile_files
from tile_sets import EVERY_SET, bands_of, drawn

FINE, COARSE = ("normal", Fraction(2)), ("data", Fraction(1, 2))
SIDES = ("top", "top right", "right", "bottom right", "bottom", "bottom left", "left", "top left")  # as Tiled has them
GODOT = {  # the same by Godot's names
    "top": "top_side",
    "top right": "top_right_corner",
    "right": "right_side",
    "bottom right": "bottom_right_corner",
    "bottom": "bottom_side",
    "bottom left": "bottom_left_corner",
    "left": "left_side",
    "top left": "top_left_corner",
}
every_set = pytest.mark.parametrize("tiles", EVERY_SET.values(), ids=EVERY_SET)


@every_set
def test_tiles_that_meet_in_a_plane_fit(tiles: TileSet) -> None:
    numbers = plane.laid(tiles, 40, 30, seed=7)
    assert len(numbers.unique()) > 0.9 * len(tiles.tiles)  # a plane shows the whole set, but for what is rarest
    laid = [[tiles.tiles[n] for n in row] for row in numbers.tolist()]
    for i, row in enumerate(laid):
        for j, tile in enumerate(row):
            assert sets.fits(laid[i - 1][j] if i else None, row[j - 1] if j else None, tile)


@every_set
def test_what_lies_at_a_place_hangs_on_the_place_and_the_seed_alone(tiles: TileSet) -> None:
    numbers = plane.laid(tiles, 20, 20, seed=7)
    assert torch.equal(plane.laid(tiles, 12, 9, seed=7), numbers[:12, :9])
    assert not torch.equal(plane.laid(tiles, 20, 20, seed=8), numbers)


def test_corners_and_edges_are_those_that_shaders_compute() -> None:
    corner, wang = sets.corner(3), sets.wang(2, 16)
    for x, y in ((0, 0), (5, 3), (2, 9)):
        at = torch.tensor(x), torch.tensor(y)
        assert corner.tiles[plane.laid(corner, 12, 12, 4)[y, x]].corners[0] == mixed(*at, 4) % 3
        edges = wang.tiles[plane.laid(wang, 12, 12, 4)[y, x]].edges
        assert edges[0] == mixed(2 * at[0], at[1], 4) % 2
        assert edges[3] == mixed(2 * at[0] + 1, at[1], 4) % 2


@every_set
def test_each_tile_of_a_plane_has_round_it_what_its_picture_says(tiles: TileSet) -> None:
    one = drawn(tiles, (16, 20), 4, normal=FINE, height=COARSE)
    numbers = plane.laid(tiles, 8, 8, seed=2)
    for layer in (one.image, *one.maps.values()):
        whole, inside = plane.picture(one, numbers, layer), plane.measures(one, layer)
        (h, w), b = inside.size, inside.border
        assert (whole.height, whole.width) == (8 * h, 8 * w)
        for i, j in ((3, 4), (5, 1), (1, 6)):
            cut = whole.pixels[..., i * h - b : (i + 1) * h + b, j * w - b : (j + 1) * w + b]
            assert torch.equal(cut, layer.pictures[numbers[i, j]].pixels)


def test_a_plane_is_the_same_by_strips_of_any_height() -> None:
    one = drawn(sets.corner(2))
    strips = plane.strips(one, plane.laid(one.tiles, 3, 4, 1), one.image)
    parts = [strips.rows(top, min(top + 11, 48)).pixels for top in range(0, 48, 11)]
    assert torch.equal(torch.cat(parts, 2), strips.whole().pixels)


@pytest.mark.parametrize(
    ("name", "size", "padding", "levels"),
    [
        ("16 corner", (64, 64), 16, 4),
        ("16 corner", (40, 40), 4, 2),
        ("8 wang", (16, 24), 8, 3),
        ("blob", (16, 16), 4, 2),
        ("marching", (16, 16), 4, 2),
    ],
)
def test_mips_do_not_bleed(name: str, size: tuple[int, int], padding: int, levels: int) -> None:
    """Each tile of the reduced atlas, with its padding, is what the reduced plane has there."""
    one = drawn(EVERY_SET[name], size, border=padding)
    assert mips(size, padding) == levels == padding.bit_length() - 1
    numbers = plane.laid(one.tiles, 8, 6, seed=3)
    atlas_level, plane_level = (
        atlas(one, padding)["image"].whole().pixels,
        plane.picture(one, numbers, one.image).pixels,
    )
    for level in range(1, levels + 1):
        atlas_level, plane_level = F.avg_pool2d(atlas_level, 2), F.avg_pool2d(plane_level, 2)
        h, w, p = (n >> level for n in (*size, padding))
        for i in range(1, 7):
            for j in range(1, 5):
                row, column = divmod(int(numbers[i, j]), one.tiles.columns)
                top, left = row * (h + 2 * p), column * (w + 2 * p)
                tile = atlas_level[..., top : top + h + 2 * p, left : left + w + 2 * p]
                here = plane_level[..., i * h - p : (i + 1) * h + p, j * w - p : (j + 1) * w + p]
                assert torch.allclose(tile, here, atol=1e-6)


def test_fewer_levels_are_promised_where_texels_would_lie_across_tiles() -> None:
    assert mips((100, 100), 8) == 2
    assert mips((64, 64), 6) == 1
    assert mips((64, 64), 0) == mips((63, 64), 4) == 0
    assert remark((64, 64), 8) is None
    assert remark((100, 100), 8) == (
        "tiles of 100x100 with a padding of 8 have 2 levels of mips that show no other tile; "
        "sizes and paddings that are multiples of 8 give 3"
    )


def test_the_padding_is_what_most_mips_are_good_for_unless_another_one_is_asked_for() -> None:
    assert [padding_of(None, border) for border in (0, 1, 9, 16, 31)] == [0, 1, 8, 16, 16]
    assert [padding_of(None, border, 3) for border in (2, 9, 12)] == [0, 6, 12]
    assert padding_of(6, 9, 3) == 6


@pytest.mark.parametrize(("padding", "cell", "words"), [(10, 1, "0 to 9 are possible"), (3, 2, "in steps of 2")])
def test_a_padding_that_does_not_fit_is_refused(padding: int, cell: int, words: str) -> None:
    with pytest.raises(UsageError, match=f"--padding {padding}: .*{words}"):
        padding_of(padding, 9, cell)


def read_tsx(text: str) -> tuple[dict[int, dict[str, int]], tuple[int, int]]:
    """What Tiled reads of each tile: its colours by side; and the margin and the spacing."""
    root = ElementTree.fromstring(text)
    kind = root.find("wangsets/wangset").attrib["type"]
    counting = {"corner": SIDES[1::2], "edge": SIDES[::2], "mixed": SIDES}[kind]
    tiles = {}
    for tile in root.iter("wangtile"):
        colours = dict(zip(SIDES, map(int, tile.attrib["wangid"].split(",")), strict=True))
        assert all((colours[side] > 0) == (side in counting) for side in SIDES)
        tiles[int(tile.attrib["tileid"])] = colours
    return tiles, (int(root.attrib["margin"]), int(root.attrib["spacing"]))


def read_tres(text: str) -> tuple[dict[int, dict[str, int]], tuple[int, int]]:
    """The same of Godot, whose terrains count from 0."""
    mode = int(re.search(r"^terrain_set_0/mode = (\d)$", text, re.MULTILINE)[1])
    counting = {0: SIDES, 1: SIDES[1::2], 2: SIDES[::2]}[mode]
    columns = max(int(x) for x in re.findall(r"^(\d+):\d+/0 = 0$", text, re.MULTILINE)) + 1
    tiles: dict[int, dict[str, int]] = {}
    for x, y, name, colour in re.findall(r"^(\d+):(\d+)/0/terrains_peering_bit/(\w+) = (\d+)$", text, re.MULTILINE):
        side = next(side for side in SIDES if GODOT[side] == name)
        assert side in counting
        tiles.setdefault(int(y) * columns + int(x), dict.fromkeys(SIDES, 0))[side] = int(colour) + 1
    margin, spacing = (
        int(re.search(rf"^{name} = Vector2i\((\d+), \1\)$", text, re.MULTILINE)[1])
        for name in ("margins", "separation")
    )
    return tiles, (margin, spacing)


FORMATS: dict[str, tuple[Callable[..., str], Callable[[str], Any]]] = {
    "tiled": (engines.tsx, read_tsx),
    "godot": (engines.tres, read_tres),
}


@every_set
@pytest.mark.parametrize("engine", FORMATS)
def test_a_plane_laid_by_the_file_of_an_engine_has_no_mismatch(engine: str, tiles: TileSet) -> None:
    """With nothing but the colours in the file: what lies side by side has the same pixels on both sides."""
    write, read = FORMATS[engine]
    one = drawn(tiles, (16, 12), 4)
    by_number, (margin, spacing) = read(write(tiles, one.size, 2, "a.png"))
    whole = atlas(one, 2)["image"].whole().pixels
    cuts = {n: _cut(whole, one, n, margin, spacing) for n in by_number}
    bands = {n: bands_of(pixels, 2) for n, pixels in cuts.items()}
    numbers = _laid_by(by_number, 12, 12)
    for i, row in enumerate(numbers):
        for j, n in enumerate(row):
            assert j == 0 or bands[row[j - 1]]["east"] == bands[n]["west"]
            assert i == 0 or bands[numbers[i - 1][j]]["south"] == bands[n]["north"]
    assert len({n for row in numbers for n in row}) > len(by_number) // 2


def _cut(whole: Tensor, one: Drawn, number: int, margin: int, spacing: int) -> Tensor:
    """A tile where an engine looks for it, with two pixels round it."""
    (h, w), (row, column) = one.size, divmod(number, one.tiles.columns)
    top, left = margin + row * (h + spacing), margin + column * (w + spacing)
    cut = whole[..., top - 2 : top + h + 2, left - 2 : left + w + 2]
    assert torch.equal(cut, one.image.pictures[number].pixels[..., 2:-2, 2:-2])
    return cut


def _laid_by(by_number: Mapping[int, Mapping[str, int]], rows: int, columns: int) -> Sequence[Sequence[int]]:
    """A plane from the upper left on, of tiles whose colours are those of what lies there already."""
    rng, numbers = random.Random(5), [[-1] * columns for _ in range(rows)]
    meets = {
        (0, -1): (("top left", "top right"), ("left", "right"), ("bottom left", "bottom right")),
        (-1, 0): (("top left", "bottom left"), ("top", "bottom"), ("top right", "bottom right")),
        (-1, -1): (("top left", "bottom right"),),
        (-1, 1): (("top right", "bottom left"),),
    }
    for i in range(rows):
        for j in range(columns):
            wanted = {
                mine: by_number[numbers[i + down][j + across]][other]
                for (down, across), sides in meets.items()
                if i + down >= 0 and 0 <= j + across < columns
                for mine, other in sides
            }
            fitting = [n for n, has in by_number.items() if all(has[side] == colour for side, colour in wanted.items())]
            numbers[i][j] = rng.choice(fitting)
    return numbers


def test_only_the_island_of_a_blob_set_is_left_to_the_hand_in_tiled() -> None:
    tiles = sets.blob()
    by_number, _ = read_tsx(engines.tsx(tiles, (16, 16), 2, "a.png"))
    assert [n for n in range(len(tiles.tiles)) if n not in by_number] == [0]
    assert (tiles.tiles[0].middle, tiles.tiles[0].edges) == (1, (0, 0, 0, 0))
    assert len({tuple(colours.values()) for colours in by_number.values()}) == 47


def test_names_are_escaped_and_stand_without_a_folder() -> None:
    name = 'a & "b" <c>.png'
    root = ElementTree.fromstring(engines.tsx(sets.corner(2), (16, 16), 2, name))
    assert root.find("image").attrib == {"source": name, "width": "80", "height": "80"}
    assert root.attrib["tilecount"] == "16"
    text = engines.tres(sets.corner(2), (16, 16), 2, name, 'n"1.png')
    assert 'path="a & \\"b\\" <c>.png"' in text
    assert 'path="n\\"1.png"' in text
    assert 'normal_texture = ExtResource("2")' in text
    assert "res://" not in text


def stored(folder: Path, one: Drawn, padding: int = 2) -> Path:
    """A set as it is written to a folder."""
    files = {}
    for name, strips in atlas(one, padding).items():
        layer = one.maps.get(name, one.image)
        image.write(folder / f"a_{name}.png", strips)
        files[name] = TileFile(
            f"a_{name}.png", layer.role, Fraction(strips.height, atlas(one, padding)["image"].height)
        )
    path = folder / "a.json"
    path.write_text(store.text(store.described(one.tiles, one.size, padding, files, {"seed": 1})), "utf-8")
    return path


@every_set
def test_a_set_is_read_back_as_it_was_written(tiles: TileSet, tmp_path: Path) -> None:
    one = drawn(tiles, (16, 12), 4, normal=FINE, height=COARSE)
    back = store.read(stored(tmp_path, one))
    assert (back.tiles, back.size, back.border) == (tiles, (16, 12), 2)
    assert list(back.maps) == ["normal", "height"]
    for layer, other in zip((one.image, *one.maps.values()), (back.image, *back.maps.values()), strict=True):
        assert (other.role, other.scale) == (layer.role, layer.scale)
        cut = int(2 * layer.scale)
        for before, after in zip(layer.pictures, other.pictures, strict=True):
            assert torch.equal(after.pixels, before.pixels[..., cut:-cut, cut:-cut])


def test_the_pictures_of_a_set_share_the_memory(tmp_path: Path) -> None:
    """What is enough for each of them is not enough for all."""
    few, memory = stored(tmp_path, drawn(sets.corner(2), normal=FINE)), 700_000
    assert store.read(few, memory).maps.keys() == {"normal"}
    many = stored(tmp_path, drawn(sets.corner(2), **dict.fromkeys(("normal", "glow", "mask"), FINE)))
    with pytest.raises(ResourceError, match=r"a_(glow|mask)\.png: is 160x160"):
        store.read(many, memory)


def changed(**values: Any) -> Callable[[dict[str, Any]], object]:
    return lambda content: content.update(values)


FAULTS: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "another version": (changed(texsynth_tiles=2), "is not the JSON of a set"),
    "no kind": (lambda c: c.pop("kind"), "kind is None"),
    "a kind that is no text": (changed(kind=["corner"]), r"kind is \['corner'\]"),
    "another number of colours": (changed(colours=4), "colours is 4; allowed: 2 to 3"),
    "colours of another set": (changed(colours=3), "its tiles are not those|columns is 4"),
    "a size that is no number": (changed(width="16"), "width is '16'"),
    "a size of nothing": (changed(height=0), "height is 0"),
    "a truth as a number": (changed(padding=True), "padding is True"),
    "a huge size": (changed(width=10**12), "width is 1000000000000; allowed"),
    "another size": (changed(width=20), "its tiles are not those"),
    "another width of the atlas": (changed(columns=5), "columns is 5"),
    "tiles that are none": (changed(tiles=7), "its tiles are not those"),
    "a tile less": (lambda c: c["tiles"].pop(), "its tiles are not those"),
    "other colours of a tile": (lambda c: c["tiles"][3].update(corners=[0, 0, 0, 0]), "its tiles are not those"),
    "a set that there is not": (changed(kind="wang", tiles=[{}] * 7), "lists 7 tiles; a wang set of 2 colours has 8"),
    "no picture": (lambda c: c.pop("image"), "'image' is None, not an object"),
    "a picture that is a name": (changed(image="a.png"), "'image' is 'a.png', not an object with its file"),
    "a picture without a file": (lambda c: c["image"].pop("file"), "the file of 'image' is None"),
    "a picture elsewhere": (lambda c: c["image"].update(file="../a.png"), "not the name of a file beside it"),
    "a picture at a root": (lambda c: c["image"].update(file="/etc/a.png"), "not the name of a file beside it"),
    "a picture of Windows": (lambda c: c["image"].update(file="b\\a.png"), "not the name of a file beside it"),
    "a missing picture": (lambda c: c["image"].update(file="b.png"), "b.png: no such file"),
    "a picture that is none": (lambda c: c["image"].update(file="a.json"), "a.json"),
    "a picture of another size": (lambda c: c["image"].update(file="a_normal.png"), "its tiles need 80x80"),
    "maps that are none": (changed(maps=[1]), r"maps is \[1\]"),
    "too many maps": (changed(maps={str(n): {} for n in range(99)}), "allowed: up to"),
    "a map that is none": (changed(maps={"height": 3}), "'height' is 3, not an object"),
    "a role that is none": (lambda c: c["maps"]["normal"].update(role="x"), "the role of 'normal' is 'x'"),
    "a scale that is none": (lambda c: c["maps"]["normal"].update(scale="1/0"), "a scale is '1/0'"),
    "a scale that is a list": (lambda c: c["maps"]["normal"].update(scale=[2]), r"a scale is \[2\]"),
    "a scale of another size": (lambda c: c["maps"]["normal"].update(scale="3"), "its tiles need 240x240"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_set_that_others_have_changed_is_refused_in_one_line(fault: str, tmp_path: Path) -> None:
    path = stored(tmp_path, drawn(sets.corner(2), normal=FINE))
    change, words = FAULTS[fault]
    content = json.loads(path.read_text("utf-8"))
    change(content)
    path.write_text(json.dumps(content), "utf-8")
    with pytest.raises(InputError, match=words) as failure:
        store.read(path)
    assert "\n" not in str(failure.value)


@pytest.mark.parametrize("text", [b"", b"{", b"\xff\xfe", b"[1]", b"[" * 9999, b'{"texsynth_tiles": 1}'])
def test_what_is_no_json_of_tiles_is_refused(text: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(text)
    with pytest.raises(InputError, match=r"^a\.json: .*(set of tiles|wrote it)"):
        store.read(path)


def test_a_json_that_is_not_there_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "b.json", tmp_path):
        with pytest.raises(InputError, match="cannot be read"):
            store.read(path)


def test_what_the_command_writes_belongs_together(texsynth: Texsynth, picture: Draws, draw: Draw) -> None:
    """The set that is read back lays the preview, and the files for editors tell of its atlas and its normals."""
    picture("wall.png")
    draw("wall_normal.png", bytes_of((bumps(32, 32) + 1) / 2))
    picture("wall_smoothness.png", channels=1, seed=1)
    picture("wall_ao.png", channels=1, seed=2)
    maps = [f"{name}=wall_{name}.png" for name in ("normal", "smoothness", "ao")]
    words = ("tiles", "corner", "wall.png", *(word for each in maps for word in ("--map", each)), "-s", 20, "--seed", 3)
    good(texsynth(*words, "-o", "made", "--normals", "dx", "--normals-out", "gl", *QUICK, "--padding", 2))
    back = store.read(Path("made/wall_corner.json"))
    assert {name: layer.role for name, layer in back.maps.items()} == {
        "normal": "normal",
        "smoothness": "data",
        "ao": "data",
    }
    assert [layer.scale for layer in back.maps.values()] == [2, 1, 1]
    numbers = plane.laid(back.tiles, 16, 16, seed=3)
    assert (array("made/wall_corner_preview.png") == image.to_array(plane.picture(back, numbers, back.image))).all()
    for name, read in (("tsx", read_tsx), ("tres", read_tres)):
        text = Path(f"made/wall_corner.{name}").read_text("utf-8")
        assert "wall_corner.png" in text
        assert read(text)[1] == (2, 4)


def test_normals_of_the_scale_of_the_image_go_with_it_to_godot(texsynth: Texsynth, picture: Draws, draw: Draw) -> None:
    picture("wall.png")
    draw("wall_normal.png", bytes_of((bumps(16, 16) + 1) / 2))
    words = ("tiles", "corner", "wall.png", "--map", "normal=wall_normal.png", "-s", 20, *QUICK)
    for normals, shown in (("gl", True), ("dx", False)):
        good(texsynth(*words, "-o", normals, "--normals-out", normals))
        text = Path(f"{normals}/wall_corner.tres").read_text("utf-8")
        assert ('path="wall_corner_normal.png"' in text) == shown
    up, down = (array(f"{normals}/wall_corner_normal.png").astype(int) for normals in ("gl", "dx"))
    assert (up[..., 1] == 255 - down[..., 1]).all()
    assert (up[..., ::2] == down[..., ::2]).all()


def test_packed_maps_are_read_back_as_they_were_packed(texsynth: Texsynth, picture: Draws) -> None:
    picture("wall.png")
    for seed, name in enumerate(("roughness", "ao"), 1):
        picture(f"wall_{name}.png", channels=1, seed=seed)
    maps = ("--map", "roughness=wall_roughness.png", "--map", "ao=wall_ao.png", "--pack", "orm")
    good(texsynth("tiles", "wang", "wall.png", *maps, "--tiles", 8, "-s", 20, "-o", "made", *QUICK))
    back = store.read(Path("made/wall_wang.json"))
    assert len(back.tiles.tiles) == 8
    assert {name: layer.role for name, layer in back.maps.items()} == {"orm": "data"}
    assert set(array("made/wall_wang_orm.png")[..., 1].flat) <= set(array("wall_roughness.png").flat)


@pytest.mark.usefixtures("exemplar")
def test_where_one_file_cannot_be_written_none_is(refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> str:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tile_files.engines, "tres", full)
    assert "make room" in refused(4, "tiles", "corner", "a.png", "-s", 20, "-o", "made", *QUICK)
    assert not Path("made").exists()


def test_a_preview_keeps_within_its_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tile_files, "PREVIEW", 80)
    for side, expected in ((4, 64), (16, 80), (24, 48)):
        one = drawn(sets.marching(), (side, side), 1)
        shown = tile_files.preview(one, 0)
        assert (shown.width, shown.height) == (expected, expected)
        layer = replace(one.image, pictures=tuple(replace(p, depth="float32") for p in one.image.pictures))
        assert tile_files.preview(replace(one, image=layer), 0).depth == "uint16"
