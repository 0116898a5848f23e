"""Packed maps through the picture verbs: read from channels, copied as maps of their roles, written packed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import texsynth as api
from conftest import QUICK, Draw, Picture, Refused, Texsynth, array
from pictures import white
from texsynth.image import picture as image
from texsynth.verbs.layers import kind

ROLES = {"occlusion": "ao", "roughness": "rough", "metallic": "metal"}
SYNTH = ("synthesize", "a.png", "-o", "o.png")


def singles(picture: Picture, dtype: str = "uint8") -> list[str]:
    """Grey maps of a.png, and the words that name them."""
    picture("a.png")
    for number, (role, word) in enumerate(ROLES.items()):
        picture(f"{word}.png", channels=1, dtype=dtype, seed=number)
        picture(f"{role}.png", channels=1, dtype=dtype, seed=number)
    return [word for role in ROLES for word in ("--map", f"{role}={role}.png")]


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_single_maps_are_written_packed(texsynth: Texsynth, picture: Picture, dtype: str) -> None:
    """In the place of single ones, with the values that these would have; the record repeats it."""
    words = singles(picture, dtype)
    assert texsynth(*SYNTH, *words, *QUICK).code == 0
    alone = np.stack([array(f"o_{role}.png") for role in ROLES], -1)
    for role in ROLES:
        Path(f"o_{role}.png").unlink()
    assert texsynth(*SYNTH, *words, "--pack", "orm", "--force", *QUICK).code == 0
    assert np.array_equal(array("o_orm.png"), alone) and array("o_orm.png").dtype == dtype
    assert sorted(path.name for path in Path().glob("o[._]*")) == ["o.png", "o_orm.png"]
    assert texsynth("synthesize", "--from", "o.png", "-o", "again.png", "-q").code == 0
    assert Path("again_orm.png").read_bytes() == Path("o_orm.png").read_bytes()


# By the way it is read: the packing and the words of a command.
READ = {
    "orm": ("orm", ()),
    "a packing of one's own": ("mine", ("--pack", "mine=R:ao,G:height,B:metallic,A:gloss")),
    "unity": ("maskmap", ()),
}


@pytest.mark.parametrize("way", READ)
def test_packed_maps_stay_as_they_are(texsynth: Texsynth, picture: Picture, draw: Draw, way: str) -> None:
    """Every channel, also those without a role, is copied as the map of three plain channels is."""
    name, words = READ[way]
    picture("a.png")
    values = picture("p.png", channels=4 if name == "orm" else 3)
    if name != "orm":
        values = draw("p.png", np.dstack([values, values[..., 0] // 2]))
    parts = [word for number in range(4) for word in ("--map", f"c{number}=c{number}.png")]
    for number in range(4):
        draw(f"c{number}.png", np.ascontiguousarray(values[..., number]))
    assert texsynth(*SYNTH, *parts, *QUICK).code == 0
    alone = np.stack([array(f"o_c{number}.png") for number in range(4)], -1)
    assert texsynth(*SYNTH, "--map", f"{name}=p.png", *words, "--force", *QUICK).code == 0
    assert np.array_equal(array(f"o_{name}.png"), alone)
    assert texsynth("synthesize", "--from", "o.png", "-o", "again.png", "-q").code == 0
    assert Path(f"again_{name}.png").read_bytes() == Path(f"o_{name}.png").read_bytes()
    record = image.read_metadata("o.png")
    assert record is not None and record.get("pack") == (words[1] if words else None)


def test_one_packing_becomes_another(texsynth: Texsynth, picture: Picture) -> None:
    """And single maps, under the names of an engine."""
    picture("wall_BaseColor.png")
    picture("wall_ORM.png", seed=3)
    words = ("synthesize", "wall_BaseColor.png", "-o", "x.png")
    assert texsynth(*words, *QUICK).code == 0
    packed = array("x_ORM.png")
    assert texsynth(*words, "--pack", "rma", "--force", *QUICK).code == 0
    assert np.array_equal(array("x_rma.png"), packed[..., [1, 2, 0]])
    ran = texsynth(*words[:-1], "u.png", "--pack", "maskmap", "--names", "unity", "-p", "steady")
    assert "maskmap: smoothness is made of roughness" in ran.err
    made = array("u_MaskMap.png")
    assert np.array_equal(made[..., :2], packed[..., [2, 0]]) and np.array_equal(made[..., 3], 255 - packed[..., 1])
    assert texsynth(*words[:-1], "s.png", "--names", "unity", *QUICK).code == 0
    assert np.array_equal(array("s_Roughness.png"), packed[..., 1]) and not Path("s_ORM.png").exists()


def test_one_map_may_fill_two_channels(texsynth: Texsynth, picture: Picture) -> None:
    """Roughness, and smoothness which is made of it."""
    picture("a.png")
    picture("r.png", channels=1)
    words = ("--map", "rough=r.png", "--pack", "both=R:roughness,G:smoothness")
    assert texsynth(*SYNTH, *words, *QUICK).code == 0
    packed = array("o_both.png")
    assert (packed[..., 1] == 255 - packed[..., 0]).all() and len(np.unique(packed[..., 0])) > 2


def test_each_scheme_has_its_word(texsynth: Texsynth, picture: Picture) -> None:
    words = singles(picture)
    for scheme, file in (
        ("unreal", "T_w_ORM.png"),
        ("gltf", "w_occlusionRoughnessMetallic.png"),
        ("polyhaven", "w_arm.png"),
        ("{stem}-{role}", "w-orm.png"),
    ):
        assert texsynth(*SYNTH[:-1], "w.png", *words, "--pack", "orm", "--names", scheme, "--force", *QUICK).code == 0
        assert Path(file).is_file(), scheme


def test_a_hole_is_filled_in_packed_maps_and_nothing_else_changes(
    texsynth: Texsynth, picture: Picture, draw: Draw
) -> None:
    picture("a.png")
    before = picture("p.png", (32, 32), dtype="uint16")
    draw("m.png", white((16, 16), (slice(4, 8), slice(5, 9))))
    assert texsynth("inpaint", "a.png", "--mask", "m.png", "-o", "o.png", "--map", "arm=p.png", *QUICK).code == 0
    made, hole = array("o_arm.png"), np.zeros((32, 32), bool)
    hole[8:16, 10:18] = True
    assert made.dtype == np.uint16 and np.array_equal(made[~hole], before[~hole])


def test_several_exemplars_bring_their_packed_maps(texsynth: Texsynth, picture: Picture, draw: Draw) -> None:
    """A channel that is empty in one of them only is kept."""
    for name in ("a.png", "b.png"):
        picture(name, seed=ord(name[0]))
    picture("p.png", seed=1)
    draw("q.png", picture("q.png", seed=2) * np.array([0, 1, 1], np.uint8))
    maps = ("--map", "metallicroughness=p.png", "--map", "metallicroughness=q.png")
    assert texsynth("synthesize", "a.png", "b.png", "-o", "o.png", *maps, "--save-field", *QUICK).code == 0
    second = np.load("o_field.npz")["exemplar"] == 1
    red = array("o_metallicroughness.png")[..., 0]
    assert second.any() and not red[second].any() and red[~second].any()


def test_python_has_the_maps_by_their_roles(picture: Picture, texsynth: Texsynth) -> None:
    del texsynth  # for its presets
    picture("a.png")
    picture("p.png", seed=1)
    made = api.synthesize("a.png", preset="steady", maps={"orm": "p.png"})
    assert list(made.maps) == list(ROLES) and all(each.channels == 1 for each in made.maps.values())


def test_what_cannot_be_packed_is_refused_before_the_run(
    texsynth: Texsynth, refused: Refused, picture: Picture
) -> None:
    picture("a.png")
    for name, size, channels in (
        ("p.png", (16, 16), 3),
        ("g.png", (16, 16), 1),
        ("2.png", (32, 32), 1),
        ("3.png", (48, 48), 1),
    ):
        picture(name, size, channels)
    for code, words, line in (
        (2, "--pack omr --map ao=g.png", "--pack 'omr' is not orm, arm, rma"),
        (2, "--pack x=Q:ao --map ao=g.png", "'Q' is no channel"),
        (2, "--pack orm", "--pack orm: there is none of occlusion, roughness, metallic, and no map at all"),
        (2, "--pack orm --map d=g.png", "there is none of occlusion, roughness, metallic, only d"),
        (2, "--pack d=R:ao --map ao=g.png --map d=g.png", "--pack d: a map is called so"),
        (3, "--pack orm --map ao=2.png --map rough=3.png", "one must be a whole number of times as fine"),
        (3, "--map orm=p.png --map rough=g.png", "there is a map rough beside it"),
    ):
        assert line in refused(code, *SYNTH, *words.split(), *QUICK)
    ran = texsynth(*SYNTH, "--map", "orm=g.png", "-p", "steady")
    assert "g.png is grey, so it is no packed map" in ran.err and array("o_orm.png").ndim == 2


def test_a_mask_map_holds_values_not_labels() -> None:
    """Where all of it is resampled, as by `texsynth capture`."""
    assert [kind(name) for name in ("maskmap", "MaskMap", "orm", "mask")] == ["data", "data", "data", "labels"]
