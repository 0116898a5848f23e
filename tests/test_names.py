"""Names of files: what they say of a material's maps, and which files form a set."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from pictures import noise
from texsynth.errors import InputError, UsageError
from texsynth.image import strips
from texsynth.image.picture import Picture
from texsynth.image.strips import Strips
from texsynth.material import export
from texsynth.material.export import Asked, File
from texsynth.material.names import Set, convention_in, sets, split
from texsynth.material.schemes import scheme


@pytest.mark.parametrize(
    ("stem", "base", "word", "kind"),
    [
        ("wall_BaseColor", "wall", "BaseColor", "base_colour"),
        ("Wall Base Color", "Wall", "Base Color", "base_colour"),
        ("wall.ambient-occlusion", "wall", "ambient-occlusion", "occlusion"),
        ("brick_diff_2k", "brick_2k", "diff", "base_colour"),
        ("brick_nor_gl_8k", "brick_8k", "nor_gl", "normal"),
        ("Bricks001_2K-PNG_NormalDX", "Bricks001_2K-PNG", "NormalDX", "normal"),
        ("wall_COL_2K_METALNESS", "wall_2K_METALNESS", "COL", "base_colour"),
        ("wall_AlbedoTransparency", "wall", "AlbedoTransparency", "base_colour"),
        ("wall_Metallic_Smoothness", "wall", "Metallic_Smoothness", "metallicsmoothness"),
        ("wall_Mixed_AO", "wall", "Mixed_AO", "occlusion"),
        ("wall_DISP16_4K", "wall_4K", "DISP16", "height"),
        ("wall_BaseColor.1001", "wall.1001", "BaseColor", "base_colour"),
        ("T_wall_N", "T_wall", "N", "normal"),
        ("T_wall_ORM", "T_wall", "ORM", "orm"),
        ("wall_MaskMap", "wall", "MaskMap", "maskmap"),
        ("old_metal_rough", "old_metal", "rough", "roughness"),
        ("Normal", "", "Normal", "normal"),
    ],
)
def test_a_name_is_a_base_and_a_word(stem: str, base: str, word: str, kind: str) -> None:
    name = split(stem)
    assert name is not None
    assert (name.base, name.word, name.kind) == (base, word, kind)
    assert name.called(name.word) == stem


@pytest.mark.parametrize("stem", ["brick", "wall_mask", "wall_id", "n", "metal_01", "roughly", "_", "-.-", "2k"])
def test_other_names_say_nothing(stem: str) -> None:
    assert split(stem) is None


def arranged(*names: str, normals: str | None = None) -> list[str]:
    """The sets among files as `stem: colour role=file`, and pictures of their own."""
    items = sets([Path("f") / name for name in names], normals).items
    return [
        f"{each.stem}: {each.colour.name}" + "".join(f" {role}={path.name}" for role, path in each.maps.items())
        if isinstance(each, Set)
        else each.name
        for each in items
    ]


def test_files_of_one_base_are_a_set() -> None:
    assert arranged("a_Normal.png", "a_albedo.png", "A_height.exr", "b.png", "b_AO.tif", "c.jpg", "d_color.png") == [
        "a: a_albedo.png normal=a_Normal.png height=A_height.exr",
        "b: b.png occlusion=b_AO.tif",
        "c.jpg",
        "d_color.png",
    ]
    assert arranged("w_diff_1k.png", "w_diff_2k.png", "w_arm_1k.png", "w_rough_2k.png") == [
        "w_1k: w_diff_1k.png arm=w_arm_1k.png",
        "w_2k: w_diff_2k.png roughness=w_rough_2k.png",
    ]
    mixed = ["w_diff_4k.jpg", "w_nor_gl_8k.exr", "w_disp_2k.png"]  # maps of another resolution than the colour
    assert arranged(*mixed) == ["w_4k: w_diff_4k.jpg normal=w_nor_gl_8k.exr height=w_disp_2k.png"]
    assert arranged("BaseColor.png", "Normal.png", "mask.png") == ["f: BaseColor.png normal=Normal.png"]


def test_letters_count_only_where_files_share_the_base() -> None:
    assert arranged("T_w_D.png", "T_w_N.png") == ["T_w: T_w_D.png normal=T_w_N.png"]
    assert arranged("w_d.png", "v_n.png") == ["w_d.png", "v_n.png"]
    row = ["p_a.png", "p_b.png", "p_c.png", "p_d.png", "p_e.png"]  # the fourth of five is no diffuse map
    assert arranged(*row) == row


def test_masks_and_what_no_map_is_are_never_taken() -> None:
    done = sets(
        [Path(name) for name in ("w_col.png", "w_nrm.png", "w_mask.png", "w_ID.png", "v_mask.png", "w_old.png")]
    )
    assert [str(item) for item in done.items if isinstance(item, Path)] == ["v_mask.png", "w_old.png"]
    assert [notice.partition(" ")[0] for notice in done.notices] == ["w_mask.png", "w_ID.png"]


def test_what_libraries_put_beside_a_set_is_left_out() -> None:
    beside = ["s_4K_Specular.jpg", "s_4K_Cavity.jpg", "s_Preview.png", "s_4K_Albedo_preview.png"]
    done = sets([Path(name) for name in ("s_4K_Albedo.jpg", "s_4K_Normal.jpg", *beside)])
    assert [str(each.colour) if isinstance(each, Set) else str(each) for each in done.items] == ["s_4K_Albedo.jpg"]
    assert [notice.partition(" ")[0] for notice in done.notices] == beside


def test_one_of_two_normal_maps_is_chosen() -> None:
    both = ("w_diff.png", "w_nor_gl.png", "w_nor_dx.png")
    with pytest.raises(InputError, match=r"w_nor_gl\.png, w_nor_dx\.png both claim.*--normals gl or --normals dx"):
        arranged(*both)
    assert arranged(*both, normals="dx") == ["w: w_diff.png normal=w_nor_dx.png"]


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("w_diff.png", "w_ao.png", "w_occlusion.tif"), "w_ao.png, w_occlusion.tif both claim to be the occlusion"),
        (("w_diff.png", "w_rough.png", "w_ORM.png"), "w_rough.png, w_ORM.png both claim to be the roughness"),
        (("w_diff.png", "w_col.png", "w_n.png"), "w_diff.png, w_col.png both claim to be the base colour"),
        (("w.png", "w.jpg", "w_nrm.png"), "w.png, w.jpg both claim to be the base colour"),
        (("w_nrm.png", "w_ao.png"), "w_nrm.png, w_ao.png are maps of a set without base colour; w_BaseColor.png"),
        (("w_nrm.png", "v.png"), "w_nrm.png is a map of a set without base colour"),
    ],
)
def test_what_is_no_set_is_refused(names: tuple[str, ...], words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        arranged(*names)
    assert "--maps none" in str(caught.value)


def test_photographs_may_be_called_by_words_too() -> None:
    assert arranged("rusty_metal.jpg", "metal.jpg", "mat.jpg") == ["rusty_metal.jpg", "metal.jpg", "mat.jpg"]
    assert "rusty_metal.jpg is taken for a picture" in sets([Path("rusty_metal.jpg")]).notices[0]
    assert not sets([Path("rust_color.jpg")]).notices and not sets([Path("rusty_metal.jpg")], strict=False).notices


@pytest.mark.parametrize("text", ["unreal", "unity", "gltf", "polyhaven", "{stem}.{role}", "{role}-of-{stem}"])
def test_the_names_of_a_scheme_are_read_back(text: str) -> None:
    names = scheme(text)
    assert names is not None
    for stem in ("wall", "wall_diff", "T_wall_D"):
        image = names.image(stem)
        assert names.parts(image) == ("wall", "") and names.parts(f"{image}-12") == ("wall", "-12")
        assert text == "{role}-of-{stem}" or names.image(image) == image  # a word in front says nothing
    assert split(names.image("wall")) is not None or "of" in text


@pytest.mark.parametrize("text", ["unrael", "{stem}", "x", "", "a/{role}", "{role}{role}", "{0}{role}", "{role}\n"])
def test_other_schemes_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--names"):
        scheme(text)


@pytest.mark.parametrize("by_strips", [False, True])
def test_values_are_written_as_the_scheme_has_them(by_strips: bool) -> None:
    """Normals green down and roughness for smoothness, also of what is made some rows at a time; nothing else moves."""
    before = {
        "normal": Picture(noise(1, 3, 9, 7)),
        "gloss": Picture(noise(1, 1, 9, 7)),
        "id": Picture(noise(1, 1, 9, 7)),
    }
    layers = {name: strips.of(picture) for name, picture in before.items()} if by_strips else before
    written, notices = export.pictures(layers, Asked("unreal", normals={"normal": "gl"}))
    after = {name: each.whole() if isinstance(each, Strips) else each for name, each in written.items()}
    assert len(notices) == 2 and list(after) == ["normal", "roughness", "id"]
    assert torch.equal(after["normal"].pixels[:, 1], 1 - before["normal"].pixels[:, 1])
    assert torch.equal(after["normal"].pixels[:, ::2], before["normal"].pixels[:, ::2])
    assert torch.equal(after["roughness"].pixels, 1 - before["gloss"].pixels)
    assert torch.equal(after["id"].pixels, before["id"].pixels)
    assert not export.pictures(layers, Asked("unity", normals={"normal": "gl"}, normals_out="gl"))[1][1:]


@pytest.mark.parametrize(
    ("word", "other"),
    [
        *(("NormalGL", "NormalDX"), ("nor_gl", "nor_dx"), ("NormalOpenGL", "NormalDirectX"), ("normalogl", "normaldx")),
        *(("NormalOGL", "NormalDX"), ("nordx", "norgl"), ("Normal", "Normal")),
    ],
)
def test_words_for_normals_change_their_convention(word: str, other: str) -> None:
    """To one that is read as the other, whatever the case."""
    file = File("normal", "normal", "normal", "uint8")
    after = {"gl": "dx", "dx": "gl"}[convention_in(f"w_{word}") or "gl"]
    asked = Asked("same", {"normal": f"w_{word}.png"}, after)
    assert export.stem(file, "w_col", asked) == f"w_{other}"
    assert convention_in(f"w_{other}") == (after if word != other else None)
