"""Packed maps: what goes into a channel comes out of it, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from texsynth.errors import InputError, UsageError
from texsynth.image import picture as image
from texsynth.image import strips
from texsynth.image.picture import Picture
from texsynth.image.strips import Strips
from texsynth.material import channels
from texsynth.material.packing import PACKINGS, named_in, packing_of, parse

SPEC = "mine=R:height,G:ao,B:0.5,A:gloss"


def grey(depth: str, seed: int, size: tuple[int, int] = (7, 9)) -> Picture:
    """A grey picture of random values of a depth; floats also beyond [0, 1]."""
    rng = np.random.default_rng(seed)
    if depth.startswith("float"):
        return image.from_array((rng.random(size) * 3 - 1).astype(depth))
    return image.from_array(rng.integers(0, np.iinfo(depth).max + 1, size).astype(depth))


def quiet(line: str) -> None:
    raise AssertionError(line)


@pytest.mark.parametrize("depth", ["uint8", "uint16", "float16", "float32"])
@pytest.mark.parametrize("spec", [*PACKINGS, SPEC])
def test_what_is_packed_comes_out_again(depth: str, spec: str) -> None:
    """In every depth, in the memory of the packed picture, and also from strips of a few rows."""
    packing = parse(spec)
    maps = {name: grey(depth, seed) for seed, name in enumerate(packing.contents)}
    packed = channels.pack(maps, packing, quiet).whole()
    assert packed.depth == depth
    out = channels.unpack(packed, packing)
    assert list(out) == list(maps)
    for name, picture in maps.items():
        assert np.array_equal(image.to_array(out[name]), image.to_array(picture)), name
        assert out[name].pixels.untyped_storage().data_ptr() in {
            part.untyped_storage().data_ptr() for part in (packed.pixels, packed.alpha) if part is not None
        }
    lazy = channels.pack({name: strips.of(picture) for name, picture in maps.items()}, packing, quiet)
    rows = np.concatenate([image.to_array(lazy.rows(top, top + 1)) for top in range(7)])
    assert np.array_equal(rows, image.to_array(packed))


@pytest.mark.parametrize("depth", ["uint8", "uint16", "float32"])
def test_channels_without_a_role_are_kept(depth: str) -> None:
    """What lies in an unused channel, as of a glTF file, comes back when the maps are packed again; constants that the
    packing fills anyway make no map."""
    packing = PACKINGS["metallicroughness"]
    values = np.stack([image.to_array(grey(depth, seed)).clip(0) for seed in range(4)], -1)
    picture = image.from_array(values)
    maps = channels.unpack(picture, packing)
    assert list(maps) == ["metallicroughness_r", "roughness", "metallic", "metallicroughness_a"]
    assert named_in(channels.again(packing, maps), "gltf") == "metallicRoughness"
    again = channels.pack(maps, channels.again(packing, maps), quiet).whole()
    assert np.array_equal(image.to_array(again), image.to_array(picture))
    values[..., 0], values[..., 3] = 0, {"uint8": 255, "uint16": 65535}.get(depth, 1)
    assert list(channels.unpack(image.from_array(values), packing)) == ["roughness", "metallic"]
    half = channels.pack({"height": grey(depth, 0)}, parse("x=R:height,G:0.5"), quiet).whole()
    assert list(channels.unpack(half, parse("x=R:height,G:0.5"))) == ["height"]


def test_depths_meet_in_the_deepest_without_loss() -> None:
    """8 bits become v * 257; beside floats integers become the floats that they stand for."""
    eight, sixteen, half = (grey(depth, 3) for depth in ("uint8", "uint16", "float16"))
    packed = channels.pack({"ao": eight, "rough": sixteen, "metal": sixteen}, PACKINGS["orm"], quiet).whole()
    assert np.array_equal(image.to_array(packed)[..., 0], image.to_array(eight).astype(np.uint16) * 257)
    assert np.array_equal(image.to_array(packed)[..., 1], image.to_array(sixteen))
    packed = channels.pack({"ao": sixteen, "roughness": half, "metallic": half}, PACKINGS["orm"], quiet).whole()
    assert packed.depth == "float32"
    floats = image.to_array(packed)
    assert np.array_equal((floats[..., 0] * 65535).round(), image.to_array(sixteen))
    assert np.array_equal(floats[..., 1], image.to_array(half))


@pytest.mark.parametrize(("depth", "top"), [("uint8", 255), ("uint16", 65535)])
def test_smoothness_is_exactly_inverted_roughness(depth: str, top: int) -> None:
    every = np.arange(top + 1).astype(depth).reshape(1, -1)
    notes: list[str] = []
    maps = {"gloss": image.from_array(every), "metallic": image.from_array(every)}
    packed = channels.pack(maps, PACKINGS["orm"], notes.append).whole()
    assert np.array_equal(image.to_array(packed)[..., 1], top - every)
    assert (image.to_array(packed)[..., 0] == top).all()  # no occlusion: light everywhere
    assert notes == [
        "orm: there is no map occlusion; its channel is filled with 1",
        "orm: roughness is made of smoothness, the inverse of it",
    ]


def test_smaller_maps_are_repeated_where_they_divide_the_largest() -> None:
    small, large = grey("uint8", 1, (3, 4)), grey("uint8", 2, (9, 12))
    maps: dict[str, Picture | Strips] = {"occlusion": strips.of(small), "roughness": large, "metallic": large}
    notes: list[str] = []
    packed = channels.pack(maps, PACKINGS["orm"], notes.append)
    whole = image.to_array(packed.whole())
    assert np.array_equal(whole[..., 0], image.to_array(small).repeat(3, 0).repeat(3, 1))
    assert np.array_equal(image.to_array(packed.rows(4, 8))[..., 0], whole[4:8, :, 0])
    assert notes == ["orm: occlusion is 4x3, and each of its values goes to 3 x 3 pixels"]
    with pytest.raises(InputError, match="occlusion is 5x3 and roughness 12x9: to go into orm together"):
        channels.pack(maps | {"occlusion": grey("uint8", 1, (3, 5))}, PACKINGS["orm"], quiet)


def test_coloured_maps_and_alpha_are_told_of() -> None:
    pixels = torch.rand(1, 3, 4, 4)
    notes: list[str] = []
    coloured = Picture(pixels, torch.rand(1, 1, 4, 4), "float32")
    like_grey = Picture(pixels[:, :1].expand(-1, 3, -1, -1), None, "float32")
    packed = channels.pack(
        {"occlusion": coloured, "roughness": like_grey, "metallic": like_grey}, PACKINGS["orm"], notes.append
    ).whole()
    assert torch.equal(packed.pixels, pixels[:, :1].expand(-1, 3, -1, -1))
    assert notes == [
        "orm: the map occlusion is coloured; its red channel is taken",
        "orm: the alpha of the map occlusion is left out",
    ]
    with pytest.raises(InputError, match="it is grey"):
        channels.unpack(grey("uint8", 1), PACKINGS["orm"])
    with pytest.raises(InputError, match="orm is packed of occlusion, roughness, metallic, and there is height"):
        channels.pack({"height": coloured}, PACKINGS["orm"], quiet)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("omr", "--pack 'omr' is not orm, arm, rma, maskmap, metallicsmoothness, metallicroughness or NAME=R:ao"),
        ("x=C:ao", "'C' is no channel; allowed: R, G, B, A"),
        ("x=R:ao,R:metal", "the channel R is there twice"),
        ("x=R:ao,G:occlusion", "the map occlusion is there twice"),
        ("x=R:wood", "'wood' is no map that fits a channel; allowed: occlusion, roughness"),
        ("x=R:normal", "'normal' takes more than a channel; allowed: occlusion"),
        ("x=R:ao,G:2", "'2' is no map that fits a channel"),
        ("x=R", "'R' is not CHANNEL:MAP"),
        ("x=R:1", "holds no map"),
        ("=R:ao", "'' is no name"),
        ("a/b=R:ao", "is no name of letters and digits"),
        ("rough=R:ao", "rough means a single map"),
        ("orm=R:metal", "orm is built in as orm=R:occlusion,G:roughness,B:metallic"),
    ],
)
def test_what_is_no_packing_is_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError) as raised:
        parse(text)
    assert message in str(raised.value)


def test_packings_are_read_back_from_their_words() -> None:
    for packing in (*PACKINGS.values(), parse(SPEC)):
        assert parse(str(packing)) == packing
    assert str(parse("x = b:Metalness, r:AO".replace(" = ", "="))) == "x=R:occlusion,B:metallic"
    assert packing_of("Occlusion-Roughness Metallic") == PACKINGS["orm"] and packing_of("MaskMap") is not None
    assert packing_of("mask") is packing_of("roughness") is None


def test_schemes_have_words_for_the_orders_of_their_engines() -> None:
    named = {scheme: named_in(PACKINGS["arm"], scheme) for scheme in ("unreal", "unity", "gltf", "polyhaven", "same")}
    words = {"unreal": "ORM", "unity": "arm", "gltf": "occlusionRoughnessMetallic", "polyhaven": "arm", "same": "arm"}
    assert named == words
    assert named_in(PACKINGS["maskmap"], "unity") == "MaskMap"
