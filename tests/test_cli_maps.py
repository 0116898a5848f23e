"""Maps and fields: they follow the picture value by value."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from conftest import QUICK, Draw, Picture, Refused, Texsynth, array
from texsynth.image import picture as image

pytestmark = pytest.mark.usefixtures("exemplar")


def test_maps_follow_exactly(texsynth: Texsynth, picture: Picture) -> None:
    """With one unique colour a pixel, the picture itself says which map value belongs where."""
    exemplar = picture("a.png")
    height = picture("h.png", channels=1, dtype="uint16")
    ids = picture("i.png", channels=1, seed=5)
    ran = texsynth(
        "synthesize",
        "a.png",
        "-o",
        "out.png",
        "--map",
        "height=h.png",
        "--map",
        "id=i.png",
        "--save-field",
        "--exact-copies",
        *QUICK,
    )
    assert ran.out == "out.png\n"
    where = {tuple(c): yx for c, yx in zip(exemplar.reshape(-1, 3), np.ndindex(16, 16), strict=True)}
    assert len(where) == 256
    made, tall, label = array("out.png"), array("out_height.png"), array("out_id.png")
    assert (tall.dtype, label.dtype) == (np.uint16, np.uint8)
    field = np.load("out_field.npz")
    for y, x in np.ndindex(*made.shape[:2]):
        source = where[tuple(made[y, x])]
        assert tall[y, x] == height[source][0] and label[y, x] == ids[source][0]
        assert (field["y"][y, x], field["x"][y, x], field["exemplar"][y, x]) == (*source, 0)


def test_normals_turn_with_their_copy(texsynth: Texsynth) -> None:
    """`steady` uses mirrored copies: where it did, x of the normal is inverted; data maps are left alone."""
    normal = np.zeros((16, 16, 3), np.uint8)
    normal[:] = (200, 128, 255)
    image.write("n.png", image.from_array(normal))
    texsynth("synthesize", "a.png", "-o", "o.png", "--map", "normal=n.png", "--map", "d=n.png", "--save-field", *QUICK)
    copy = np.load("o_field.npz")["copy"]
    names = np.load("o_field.npz")["copies"]
    assert list(names) == ["none", "flip-x"] and 0 < copy.mean() < 1
    assert (array("o_normal.png")[..., 0] == np.where(copy == 1, 55, 200)).all()
    assert (array("o_d.png")[..., 0] == 200).all()


def test_normals_turn_in_the_convention_that_is_named(texsynth: Texsynth, draw: Draw) -> None:
    """--normals dx or a map's name says it, and the record keeps it; a quarter turn shows which way green points."""
    draw("n.png", np.full((16, 16, 3), (228, 128, 200), np.uint8))
    quick = "-q -p guided-correspondence --set passes=[1] --set starts=1 --set tries=1 --set copies=rotations"
    quick += " --map-weight all=0"  # else normals that all lean to one side would not turn at all
    command = ("synthesize", "a.png", "-o", "o.png", "--force", "--save-field", *quick.split())
    for words, name, green in (
        ("--map normal=n.png", "normal", 228),
        ("--map normal=n.png --normals dx", "normal", 27),
        ("--map nor_dx=n.png", "nor_dx", 27),
    ):
        alone = f"--map-weight {name}=0"  # else no piece turns, as the slopes of the map then differ
        assert texsynth(*command, *words.split(), *alone.split()).code == 0
        record, field = image.read_metadata("o.png"), np.load("o_field.npz")
        assert record is not None and record.get("normals") == (None if green == 228 else "dx")
        counter_clockwise = field["copy"] == list(field["copies"]).index("rotate-90")
        assert counter_clockwise.any() and set(array(f"o_{name}.png")[counter_clockwise][:, 1]) == {green}
        assert texsynth("synthesize", "--from", "o.png", "-o", "again.png", "--force", "-q").code == 0
        for ending in ("", f"_{name}"):
            assert Path(f"again{ending}.png").read_bytes() == Path(f"o{ending}.png").read_bytes()


def test_the_field_is_saved_small_and_as_pictures(texsynth: Texsynth) -> None:
    texsynth("synthesize", "a.png", "-o", "out.png", "--save-field", *QUICK)
    field = np.load("out_field.npz")
    assert {name: field[name].dtype.name for name in ("exemplar", "copy", "y", "x", "cost")} == {
        **dict.fromkeys(("exemplar", "copy", "y", "x"), "uint8"),
        "cost": "float32",
    }
    for name in ("coordinates", "plane", "cost"):
        assert array(f"out_{name}.png").shape == (32, 32, 3)


def test_float_maps_and_maps_beside_a_jpeg_keep_their_values(texsynth: Texsynth, picture: Picture) -> None:
    height = picture("h.tif", channels=1, dtype="float32")
    ids = picture("i.png", channels=1)
    texsynth("synthesize", "a.png", "-o", "out.jpg", "--map", "height=h.tif", "--map", "id=i.png", *QUICK)
    assert set(array("out_height.tif").flatten()) <= set(height.flatten())
    assert set(array("out_id.png").flatten()) <= set(ids.flatten())


def test_a_map_of_a_broken_factor_is_stretched_and_that_is_told(texsynth: Texsynth, picture: Picture) -> None:
    labels = picture("l.png", (32, 40), channels=1)
    picture("h.png", (33, 33), channels=1)
    ran = texsynth("synthesize", "a.png", "-o", "o.png", "--map", "label=l.png", "--map", "h=h.png", "-p", "steady")
    assert "l.png is 40x32, stretched to 16x16: the aspect differs by 25 %" in ran.err
    assert "the aspect differs by 25 %; its labels are those of the nearest pixels" in ran.err
    assert "h.png is 33x33, stretched to 16x16; its values are interpolated" in ran.err
    assert "a map as large as a.png, or 2 times as large (32x32), would be copied exactly" in ran.err
    assert set(array("o_label.png").flatten()) <= set(labels.flatten())  # nearest makes no new labels


def test_each_exemplar_needs_each_map(texsynth: Texsynth, refused: Refused, picture: Picture) -> None:
    for name in ("a.png", "b.png"):
        picture(name, seed=ord(name[0]))
    low, high = np.zeros((16, 16), np.uint8), np.full((16, 16), 255, np.uint8)
    image.write("low.png", image.from_array(low))
    image.write("high.png", image.from_array(high))
    both = ("synthesize", "a.png", "b.png", "-o", "o.png", "--map", "m=low.png")
    assert "--map m: 1 given for 2 exemplar(s)" in refused(2, *both)
    texsynth(*both, "--map", "m=high.png", "--save-field", *QUICK)
    exemplar = np.load("o_field.npz")["exemplar"]
    assert (array("o_m.png") == exemplar * 255).all() and set(exemplar.flatten()) == {0, 1}


@pytest.mark.parametrize("text", ["height", "=h.png", "height=", "he/ight=h.png", "../x=h.png"])
def test_a_map_needs_a_name_and_a_file(refused: Refused, text: str) -> None:
    assert "NAME=FILE" in refused(2, "synthesize", "a.png", "-o", "o.png", "--map", text)


def test_a_map_may_not_take_a_name_of_the_field(refused: Refused) -> None:
    words = ("synthesize", "a.png", "-o", "o.png", "--map", "cost=a.png", "--save-field", *QUICK)
    assert "--map cost" in refused(2, *words)
