"""texsynth maps pack and unpack: what goes into channels comes out of them, by the names of files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from conftest import QUICK, Picture, Refused, Texsynth, array
from texsynth.image import picture as image

PACK, UNPACK = ("maps", "pack"), ("maps", "unpack")


@pytest.fixture
def wall(picture: Picture) -> dict[str, np.ndarray]:
    """The grey maps of a wall, by their roles."""
    names = {"occlusion": "AmbientOcclusion", "roughness": "Rough", "metallic": "metal"}
    return {
        role: picture(f"wall_{word}.png", channels=1, seed=number).squeeze(-1)
        for number, (role, word) in enumerate(names.items())
    }


def test_a_set_is_packed_and_unpacked_by_its_names(texsynth: Texsynth, wall: dict[str, np.ndarray]) -> None:
    ran = texsynth(*PACK, *sorted(Path().glob("wall_*")), "-q")
    assert (ran.out, ran.err) == ("wall_orm.png\n", "")
    assert np.array_equal(array("wall_orm.png"), np.stack(list(wall.values()), -1))
    ran = texsynth(*UNPACK, "wall_orm.png", "-o", "out/", "-q")
    assert ran.out == "".join(f"out/wall_{role}.png\n" for role in wall)
    for role, values in wall.items():
        assert np.array_equal(array(f"out/wall_{role}.png"), values)
    assert not Path("out/results.jsonl").exists()


def test_a_packing_of_ones_own_goes_by_the_record(texsynth: Texsynth, wall: dict[str, np.ndarray]) -> None:
    """Floats go to TIFF; the record beside the file says what is in it."""
    image.write("deep.tif", image.from_array(wall["roughness"].astype(np.float32) / 100 - 1))
    words = ("height=deep.tif", "ao=wall_AmbientOcclusion.png", "--pack", "mine=R:height,B:ao", "-o", "p.tif", "-q")
    assert texsynth(*PACK, *words).code == 0
    assert texsynth(*UNPACK, "p.tif", "-q").out == "p_height.tif\np_occlusion.tif\n"
    assert np.array_equal(array("p_height.tif"), array("deep.tif"))
    assert np.array_equal((array("p_occlusion.tif") * 255).round(), wall["occlusion"])
    record = image.read_metadata("p_height.tif")
    assert record is not None and record["maps"] == {"pack": "mine=R:height,B:occlusion"}


def test_what_is_missing_is_filled_and_told(texsynth: Texsynth, wall: dict[str, np.ndarray]) -> None:
    """Smoothness is made of roughness; a channel of a constant is that."""
    ran = texsynth(*PACK, "wall_Rough.png", "wall_metal.png", "--pack", "Mask-Map", "--progress", "none")
    assert "maskmap: there is no map occlusion; its channel is filled with 1" in ran.err
    assert "maskmap: smoothness is made of roughness" in ran.err
    made = array("wall_maskmap.png")
    assert np.array_equal(made[..., 0], wall["metallic"]) and np.array_equal(made[..., 3], 255 - wall["roughness"])
    assert (made[..., 1] == 255).all() and (made[..., 2] == 0).all()
    assert texsynth(*PACK, "wall_Rough.png", "--pack", "x=G:rough,A:1", "-o", "x.png", "-q").code == 0
    assert (array("x.png")[..., [0, 2, 3]] == (0, 0, 255)).all()
    assert "JPEG mixes the channels" in texsynth(*PACK, "wall_Rough.png", "-o", "x.jpg").err


def test_folders_of_materials_become_folders(texsynth: Texsynth, picture: Picture) -> None:
    """One packed map a material, of the maps that go into it; and one command a material where they are listed."""
    for name in ("in/a_rough.png", "in/a_ao.png", "in/A_BaseColor.png", "in/b_metal_2k.tif", "in/b.png"):
        picture(name, channels=3 if "Color" in name else 1)
    words = (*PACK, "in", "-o", "out/", "--progress", "none")
    listed = texsynth(*words, "--list-jobs").out.splitlines()
    assert any("roughness=in/a_rough.png" in line and "--output out/a_orm.png" in line for line in listed), listed
    ran = texsynth(*words)
    assert sorted(ran.out.split()) == ["out/a_orm.png", "out/b_orm_2k.tif"]
    assert "A_BaseColor.png, b.png left out, as orm holds occlusion, roughness, metallic" in ran.err
    assert texsynth(*words, "--update").err.count("is kept") == 2
    image.write("out/plain.png", image.read("in/b.png"))
    ran = texsynth(*UNPACK, "out", "-o", "singles/", "--format", "tiff", "--progress", "none")
    assert ran.code == 0 and "plain.png left out, as nothing says what their channels hold" in ran.err
    assert {path.name for path in Path("singles").glob("*.tif")} == {
        *("a_occlusion.tif", "a_roughness.tif", "a_metallic.tif"),
        *("b_occlusion_2k.tif", "b_roughness_2k.tif", "b_metallic_2k.tif"),
    }


def test_four_channels_do_not_go_into_a_format_that_multiplies_by_alpha(
    texsynth: Texsynth, refused: Refused, picture: Picture
) -> None:
    """An EXR: what is packed of EXRs goes to a TIFF, and an EXR is no packed map where its alpha is not 1."""
    pytest.importorskip("OpenEXR")
    for number, word in enumerate(("Metallic", "AO", "Gloss")):
        values = picture(f"{word}.png", channels=1, seed=number) / np.float32(255)
        image.write(f"w_{word}.exr", image.from_array(values))
    run = (*PACK, "w_Metallic.exr", "w_AO.exr", "w_Gloss.exr", "--pack", "maskmap")
    assert "multiplies" in refused(2, *run, "-o", "m.exr") and not Path("m.exr").exists()
    assert "multiplies" in refused(2, *run, "-o", "-", "--format", "exr")
    assert texsynth(*run, "-q").out == "w_maskmap.tif\n"
    assert np.array_equal(array("w_maskmap.tif")[..., 0], image.read("w_Metallic.exr").pixels[0, 0].numpy())
    three = (*PACK, "w_Metallic.exr", "w_AO.exr", "-o", "three.exr", "-q")
    assert texsynth(*three, "--pack", "m=R:metallic,G:ao").code == 0
    picture("c.exr.png", channels=4)
    image.write("c_MaskMap.exr", image.read("c.exr.png"))
    assert "holds no four maps" in refused(3, *UNPACK, "c_MaskMap.exr")
    picture("a.png")
    assert "holds no four maps" in refused(3, "synthesize", "a.png", "--map", "maskmap=c_MaskMap.exr", *QUICK)
    words = [word for name in ("Metallic", "AO", "Gloss") for word in ("--map", f"{name}=w_{name}.exr")]
    assert texsynth("synthesize", "a.png", *words, "--pack", "maskmap", "-o", "o.exr", *QUICK).code == 0
    assert Path("o_maskmap.tif").exists()


def test_plans_and_pipes(texsynth: Texsynth, wall: dict[str, np.ndarray]) -> None:
    planned = json.loads(texsynth(*PACK, "wall_Rough.png", "-q", "--dry-run", "--json").out)["runs"][0]
    assert planned["files"] == {"orm": "wall_orm.png"} and not Path("wall_orm.png").exists()
    assert texsynth(*PACK, "wall_Rough.png", "-q").code == 0
    assert image.read_metadata("wall_orm.png") == planned["record"]
    planned = json.loads(texsynth(*UNPACK, "wall_orm.png", "-o", "o", "-q", "--dry-run", "--json").out)["runs"][0]
    assert list(planned["files"].values()) == [f"o/wall_{role}.png" for role in wall] and not Path("o").exists()


@pytest.mark.usefixtures("wall")
def test_what_cannot_be_packed_is_refused(refused: Refused, picture: Picture) -> None:
    picture("plain.png", channels=1)
    picture("old_orm.png", (8, 8))
    picture("big_ao.png", (20, 20), channels=1)
    both = ("wall_Rough.png", "rough=plain.png")
    for code, words, line in (
        (2, (*PACK, "wall_Rough.png", "--pack", "omr"), "--pack 'omr' is not orm, arm, rma, maskmap"),
        (2, (*PACK, "wood=plain.png"), "'wood' in ROLE=FILE is no map that goes into orm; allowed: occlusion"),
        (2, (*PACK, "ao=plain.png", "rough=plain.png"), "plain.png is given twice"),
        (2, (*PACK, "wall_Rough.png", "-o", "x.psd"), "cannot write .psd"),
        (2, (*UNPACK, "old_orm.png", "-o", "plain.png"), "maps are unpacked into a folder"),
        (3, (*PACK, "plain.png"), "plain.png: its name says no map that goes into orm; write ROLE=plain.png"),
        (3, (*PACK, *both), "wall_Rough.png and plain.png both claim to be the roughness of one map"),
        (3, (*PACK, "wall_Rough.png", "big_ao.png"), "occlusion 20x20: to go into orm together"),
        (3, (*PACK, "wall_Rough.png", "--pack", "x=R:height"), "no map among wall_Rough.png goes into x=R:height"),
        (3, (*UNPACK, "plain.png"), "plain.png: its name says nothing of channels; --pack NAME=R:ao,G:roughness does"),
        (3, (*UNPACK, "plain.png", "--pack", "orm"), "plain.png: it is grey, and orm=R:occlusion"),
        (4, (*PACK, "wall_Rough.png", "--max-memory", "1M"), "raise --max-memory"),
    ):
        assert line in refused(code, *words, "-q")


def test_a_damaged_record_is_the_files_fault(texsynth: Texsynth, refused: Refused, picture: Picture) -> None:
    picture("a.png")
    image.write("p.png", image.read("a.png"), metadata={"maps": {"pack": "x=Q:ao"}})
    assert "p.png: its record's x=Q:ao: 'Q' is no channel" in refused(3, *UNPACK, "p.png", "-q")
    assert texsynth(*UNPACK, "p.png", "--pack", "arm", "-q").code == 0
