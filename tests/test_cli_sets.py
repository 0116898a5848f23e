"""Texture sets: maps are found by the names of files, follow the picture, and are named as an engine has them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import texsynth as library
from conftest import QUICK, Draw, Picture, Refused, Texsynth, array
from pictures import box, bumps, bytes_of
from texsynth.errors import UsageError
from texsynth.image import picture as image
from texsynth.image.codecs import Tags

SMALL = ("-s", "8", *QUICK)
Folder = Callable[..., None]


@pytest.fixture
def folder(texsynth: Texsynth, picture: Picture, draw: Draw) -> Folder:  # noqa: ARG001 (for its folder)
    """Draws files: normals where their names say so, and grey ones of 16 bits for roughness and height."""

    def drawn(*names: str) -> None:
        for seed, name in enumerate(names):
            single = any(word in name for word in ("ough", "eight", "loss"))
            if any(word in name.lower() for word in ("nor", "nrm")):
                draw(name, bytes_of((bumps(16, 16, seed=seed) + 1) / 2))
            else:
                picture(name, channels=1 if single else 3, dtype="uint16" if single else "uint8", seed=seed)

    return drawn


def files(place: str) -> list[str]:
    return sorted(path.name for path in Path(place).iterdir() if path.suffix != ".jsonl")


def test_a_folder_is_worked_through_set_by_set(texsynth: Texsynth, folder: Folder) -> None:
    """One item a set, named by its base colour; what was found is told, and each value follows."""
    folder(
        "in/w_BaseColor.png", "in/w_Normal.png", "in/w_Roughness.png", "in/w_mask.png", "in/b.jpg", "in/b_height.png"
    )
    ran = texsynth("synthesize", "in", "-o", "out", "-o", "out/", *(word for word in SMALL if word != "-q"))
    assert ran.out == "out/b.png\nout/w_BaseColor.png\n"
    assert "set b: b.jpg is the base colour, b_height.png is height" in ran.err
    assert "w_Normal.png is normal, w_Roughness.png is roughness" in ran.err
    assert "w_mask.png is left out" in ran.err
    assert files("out") == ["b.png", "b_height.png", "w_BaseColor.png", "w_Normal.png", "w_Roughness.png"]
    assert array("out/w_Roughness.png").dtype == np.uint16
    assert set(array("out/w_Roughness.png").flatten()) <= set(array("in/w_Roughness.png").flatten())
    texsynth("synthesize", "in", "-o", "alone/", "--maps", "none", *SMALL)
    assert files("alone") == [
        *("b.png", "b_height.png"),
        *("w_BaseColor.png", "w_Normal.png", "w_Roughness.png", "w_mask.png"),
    ]


def test_a_file_brings_its_maps_where_its_name_says_so(texsynth: Texsynth, folder: Folder) -> None:
    folder("w_diff.png", "w_rough.png", "b.png", "b_height.png")
    texsynth("synthesize", "w_diff.png", "-o", "one.png", *SMALL)
    texsynth("synthesize", "b.png", "-o", "two.png", *SMALL)
    texsynth("synthesize", "b.png", "-o", "three.png", "--maps", "auto", *SMALL)
    texsynth("synthesize", "w_diff.png", "-o", "four.png", "--map", "h=b_height.png", *SMALL)
    assert files(".") == [
        *("b.png", "b_height.png", "four.png", "four_h.png", "one.png", "one_rough.png"),
        *("three.png", "three_height.png", "two.png", "w_diff.png", "w_rough.png"),
    ]
    texsynth("synthesize", "w_diff.png", *SMALL)
    assert {"w_synthesize_diff.png", "w_synthesize_rough.png"} <= set(files("."))


def test_maps_of_another_resolution_follow_at_their_own(texsynth: Texsynth, folder: Folder, picture: Picture) -> None:
    folder("w_diff_4k.png")
    picture("w_rough_2k.png", (32, 32), channels=1)
    picture("w_ao_4k.png", channels=1)
    texsynth("synthesize", "w_diff_4k.png", "-o", "o.png", *SMALL)
    assert array("o_rough.png").shape[:2] == (16, 16) and array("o_ao.png").shape[:2] == (8, 8)


def test_files_that_the_shell_lists_are_a_set_too(texsynth: Texsynth, folder: Folder) -> None:
    """Files that were named together, and globs, which stand for what a folder does."""
    folder("b.png", "b_height.png", "w_col.png", "w_nrm.png")
    texsynth("synthesize", "b.png", "b_height.png", "-o", "out/", *SMALL)
    texsynth("synthesize", "*_col.png", "-o", "out/", *SMALL)
    assert files("out") == ["b.png", "b_height.png", "w_col.png", "w_nrm.png"]
    texsynth("synthesize", "b_height.png", "-o", "other/", "--maps", "auto", *SMALL)
    texsynth("synthesize", "b_height.png", "-o", "third/", *SMALL)
    assert (files("other"), files("third")) == (["b.png", "b_height.png"], ["b_height.png"])


def test_a_folder_of_one_set_is_repaired_as_one(texsynth: Texsynth, folder: Folder, draw: Draw) -> None:
    """Into a folder or a file, with masks by the stem of the set; outside the hole all stays as it was."""
    folder("set/w_BaseColor.png", "set/w_Normal.png")
    draw("masks/w.png", np.where(box(16, 16, (4, 9, 4, 10)), 255, 0).astype(np.uint8))
    texsynth("inpaint", "set", "-o", "out/", "--mask", "masks", *QUICK)
    texsynth("inpaint", "set/", "-o", "o.png", "--mask", "masks/w.png", *QUICK)
    outside = ~box(16, 16, (4, 9, 4, 10))
    for made, given in (("out/w_Normal.png", "set/w_Normal.png"), ("o_Normal.png", "set/w_Normal.png")):
        assert (array(made)[outside] == array(given)[outside]).all() and (array(made) != array(given)).any()
    assert Path("out/w_BaseColor.png").read_bytes() == Path("o.png").read_bytes()


@pytest.mark.parametrize("asked", ["--shard 2/2", "--keep-going", "--skip-existing", "--update"])
def test_a_batch_knows_no_map_as_a_picture(texsynth: Texsynth, folder: Folder, asked: str) -> None:
    folder("in/a_col.png", "in/a_nrm.png", "in/b_col.png", "in/b_nrm.png")
    assert texsynth("synthesize", "in", "-o", "out/", *asked.split(), *SMALL).code == 0
    every = ["a_col.png", "a_nrm.png", "b_col.png", "b_nrm.png"]
    assert files("out") == (every[2:] if "shard" in asked else every)
    if asked in ("--update", "--skip-existing"):
        again = texsynth("synthesize", "in", "-o", "out/", asked, *(word for word in SMALL if word != "-q"))
        assert again.err.count(" is kept") == 2
        Path("out/a_nrm.png").unlink()
        assert texsynth("synthesize", "in", "-o", "out/", "--update", *SMALL).code == 0
        assert files("out") == every


def test_the_lines_of_a_batch_make_the_same_files(texsynth: Texsynth, folder: Folder) -> None:
    folder("in/w_col.png", "in/w_nrm.png", "in/x.png")
    for names in ((), ("--names", "unreal"), ("--maps", "none")):
        texsynth("synthesize", "in", "-o", "out/", *names, *SMALL)
        before = {name: Path("out", name).read_bytes() for name in files("out")}
        lines = texsynth("synthesize", "in", "-o", "out/", "--force", "--list-jobs", *names, *SMALL).out.splitlines()
        for path in Path("out").iterdir():
            path.unlink()
        for line in lines:
            assert texsynth(*line.split()[1:]).code == 0
        assert before == {name: Path("out", name).read_bytes() for name in files("out")}
        for path in Path("out").iterdir():
            path.unlink()


def test_several_sets_bring_the_maps_that_all_have(texsynth: Texsynth, folder: Folder) -> None:
    folder("a_col.png", "a_nrm.png", "a_rough.png", "b_col.png", "b_nrm.png")
    ran = texsynth("synthesize", "a_col.png", "b_col.png", "-o", "o.png", "-s", "8", "-p", "steady")
    assert "the map roughness is left out, as b_col.png has none" in ran.err
    assert {"o.png", "o_nrm.png"} == {name for name in files(".") if name[0] == "o"}


def test_python_finds_them_too(folder: Folder) -> None:
    folder("b.png", "b_height.png")
    assert list(library.synthesize("b.png", 8, preset="steady", find_maps="auto").maps) == ["height"]
    assert not library.synthesize("b.png", 8, preset="steady").maps
    with pytest.raises(UsageError, match="find_maps"):
        library.synthesize(array("b.png"), 8, preset="steady", find_maps="auto")


def test_what_was_looked_for_in_vain_is_told(texsynth: Texsynth, folder: Folder) -> None:
    folder("b.png", "c_height.png")
    assert (
        "no file beside b.png" in texsynth("synthesize", "b.png", "-o", "o.png", "--maps", "auto", "-p", "steady").err
    )


def test_a_preset_that_copies_nothing_goes_without(texsynth: Texsynth, refused: Refused, folder: Folder) -> None:
    folder("w_col.png", "w_nrm.png")
    words = ("synthesize", "w_col.png", "-o", "o.png", "-p", "afloat", "-s", "8")
    assert "--maps none" in refused(2, *words, "--maps", "auto", "-q")
    assert "the maps that were found are left out" in texsynth(*words).err
    assert files(".") == ["o.png", "w_col.png", "w_nrm.png"]
    assert "--maps auto" in refused(2, "synthesize", "w_col.png", "-o", "-", "--maps", "auto", *QUICK)


def test_what_is_no_set_is_refused(refused: Refused, folder: Folder) -> None:
    folder("a/w_nrm.png", "a/w_rough.png", "b/w_col.png", "b/w_nor_gl.png", "b/w_nor_dx.png")
    for place, words in (("a", "without base colour"), ("b", "--normals gl or --normals dx")):
        assert words in refused(3, "synthesize", place, "-o", "out/", *SMALL)
        assert not Path("out").exists()


SCHEMES = {
    "unreal": ["T_w_BC.png", "T_w_N.png", "T_w_R.png"],
    "unity": ["w_BaseMap.png", "w_Normal.png", "w_Roughness.png"],
    "gltf": ["w_baseColor.png", "w_normal.png", "w_roughness.png"],
    "polyhaven": ["w_diff.png", "w_nor_gl.png", "w_rough.png"],
    "{role}.{stem}": ["basecolor.w.png", "normal.w.png", "roughness.w.png"],
    "same": ["w_Base Color.png", "w_NormalGL.png", "w_Roughness.png"],
}


@pytest.mark.parametrize("names", SCHEMES)
def test_files_are_named_as_asked(texsynth: Texsynth, folder: Folder, names: str) -> None:
    folder("in/w_Base Color.png", "in/w_NormalGL.png", "in/w_Roughness.png")
    assert texsynth("synthesize", "in", "-o", "out/", "--names", names, *SMALL).code == 0
    assert files("out") == sorted(SCHEMES[names])
    ran = texsynth("synthesize", "in/w_Base Color.png", "-o", "v.png", "-n", "2", "--names", names, *SMALL)
    ending = "{}-2.png" if names != "same" else "v-2*.png"
    numbered = [path.name for path in Path().glob(ending.format("*"))]
    assert ran.code == 0 and len(numbered) == 3
    if names != "same":
        again = [
            f"{name.removesuffix('.png').replace('.w', '.v').replace('w_', 'v_')}-2.png" for name in SCHEMES[names]
        ]
        assert sorted(numbered) == sorted(again)


def test_maps_without_a_role_keep_their_name_beside_the_stem(texsynth: Texsynth, folder: Folder) -> None:
    folder("w.png", "nor.png", "i.png")
    words = ("--map", "normal=nor.png", "--map", "id=i.png", "-o", "v_diff.png", "--names", "unreal")
    assert texsynth("synthesize", "w.png", *words, *SMALL).code == 0
    assert {"T_v_BC.png", "T_v_N.png", "v_id.png"} <= set(files("."))
    assert "T_v_N.png exists" in texsynth("synthesize", "w.png", *words, *SMALL).err  # known before the run


def test_two_files_of_one_name_are_refused(refused: Refused, folder: Folder) -> None:
    """Where a scheme calls them by a role that both have."""
    folder("w.png", "a.png", "gloss.png")
    run = ("synthesize", "w.png", "-o", "v.png", "--names", "unreal")
    assert "the picture and the map albedo would both be T_v_BC" in refused(2, *run, "--map", "albedo=a.png", *SMALL)
    both = ("--map", "gloss=gloss.png", "--map", "smoothness=gloss.png")
    assert "gloss and the map smoothness would both be T_v_R" in refused(2, *run, *both, *SMALL)
    assert "--map image: results call the picture so" in refused(2, *run, "--map", "image=a.png", *SMALL)


def test_normals_are_written_in_the_convention_of_the_names(texsynth: Texsynth, folder: Folder) -> None:
    """Green is inverted in 8 bits without loss; words that name a convention go along; a record repeats it."""
    folder("in/w_col.png", "in/w_normalGL.png")
    texsynth("synthesize", "in", "-o", "gl/", *SMALL)
    texsynth("synthesize", "in", "-o", "ue/", "--names", "unreal", *SMALL)
    texsynth("synthesize", "in", "-o", "dx/", "--normals-out", "dx", *SMALL)
    before, ue, dx = (array(name) for name in ("gl/w_normalGL.png", "ue/T_w_N.png", "dx/w_normalDX.png"))
    assert (ue == dx).all() and (ue[..., 1] == 255 - before[..., 1]).all() and (ue[..., ::2] == before[..., ::2]).all()
    ran = texsynth("synthesize", "ue", "-o", "back/", "--names", "gltf", "-s", "8", "-p", "steady")
    assert "T_w_N.png is read as dx" in ran.err and "written as gl" in ran.err
    record = image.read_metadata("back/w_baseColor.png")
    assert record is not None and (record["normals"], record["normals_out"]) == ("dx", "gl")
    for name in ("T_w_BC.png", "T_w_N.png"):
        Path(name).write_bytes(Path("ue", name).read_bytes())
    assert texsynth("synthesize", "--from", "back/w_baseColor.png", "-o", "again.png", "-q").code == 0
    assert Path("again.png").read_bytes() == Path("back/w_baseColor.png").read_bytes()
    assert Path("again_normal.png").read_bytes() == Path("back/w_normal.png").read_bytes()


def test_smoothness_becomes_roughness_where_the_scheme_has_that(texsynth: Texsynth, folder: Folder) -> None:
    folder("in/w_col.png", "in/w_Gloss.png")
    texsynth("synthesize", "in", "-o", "same/", *SMALL)
    ran = texsynth("synthesize", "in", "-o", "ue/", "--names", "unreal", "-s", "8", "-p", "steady")
    assert "smoothness is written as roughness" in ran.err
    assert (array("ue/T_w_R.png") == 65535 - array("same/w_Gloss.png")).all()


def test_only_colours_are_tagged_as_colours(texsynth: Texsynth, folder: Folder) -> None:
    folder("w_col.png", "w_nrm.png", "w_emissive.png")
    for name in ("w_col.png", "w_nrm.png", "w_emissive.png"):
        picture = image.read(name)
        image.write(name, replace(picture, tags=Tags(srgb=b"\0", gamma=(45455).to_bytes(4, "big"))))
    texsynth("synthesize", "w_col.png", "-o", "o.png", *SMALL)
    assert [image.read(name).tags.srgb for name in ("o.png", "o_nrm.png", "o_emissive.png")] == [b"\0", None, b"\0"]


def test_maps_of_floats_stay_exr_beside_a_png(texsynth: Texsynth, picture: Picture, draw: Draw) -> None:
    """A base colour of 8 bits with maps in EXR, as libraries hand them out; packed ones, too."""
    picture("w_diff.png")
    for word in ("disp", "rough"):
        draw(f"w_{word}.exr", np.random.default_rng(1).random((16, 16)).astype(np.float16))
    texsynth("synthesize", "w_diff.png", "-o", "out/", *SMALL)
    assert files("out") == ["w_diff.png", "w_disp.exr", "w_rough.exr"]
    assert set(array("out/w_disp.exr").flatten()) <= set(array("w_disp.exr").flatten())
    texsynth("synthesize", "w_diff.png", "-o", "packed/", "--pack", "orm", *SMALL)
    assert files("packed") == ["w_diff.png", "w_disp.exr", "w_orm.exr"]
