"""The shaders that go with tiles: their numbers are those of Python, and all of them say the same."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import pytest
import torch

from texsynth.tiles import plane, sets, shading
from texsynth.tiles.blending import STEEPEST, Grid, corners
from texsynth.tiles.hashing import mixed

PLACES = [(0, 0), (1, 0), (0, 1), (-1, -1), (17, -4), (-123456, 98765), (2**30, -(2**30)), (12345, 54321)]
SEEDS = (0, 1, 77, 2**31 - 1)


class Word(int):
    """A number of 32 bits, which wraps round: signed as in OSL, or not as in GLSL and HLSL."""

    low = 0

    def __new__(cls, value: int) -> Word:
        return super().__new__(cls, (int(value) - cls.low) % 2**32 + cls.low)


class Signed(Word):
    low = -(2**31)


def _operator(name: str) -> Callable[[Word, int], Word]:
    return lambda self, other: type(self)(getattr(int, name)(self, other))


for operator in ("add", "sub", "mul", "xor", "and", "lshift", "rshift", "mod", "floordiv"):
    setattr(Word, f"__{operator}__", _operator(f"__{operator}__"))


def functions(text: str, names: tuple[str, ...], word: type[Word]) -> dict[str, Any]:
    """Functions of whole numbers out of a shader, as Python: words of 32 bits, `/` between whole numbers."""
    scope: dict[str, Any] = {"word": word, "int": word, "uint": word}
    for name in names:
        head, body = re.search(rf"^\w+ {name}\(([^)]*)\) {{\n(.*?)^}}", text, re.M | re.S).groups()  # type: ignore[union-attr]
        arguments = ", ".join(part.split()[-1] for part in head.split(","))
        body = re.sub(r"//.*", "", body)
        body = re.sub(r"\bu?int (?=\w+ =)", "", body).replace(";", "").replace("/", "//")
        body = re.sub(r"(?<!\w)(0x[0-9A-F]+|\d+)u?\b", r"word(\1)", body)
        exec(f"def {name}({arguments}):\n{body}", scope)
    return scope


@pytest.mark.parametrize("name", ["tiles.glsl", "tiles.hlsl", "blend.glsl", "blend.hlsl"])
def test_the_hash_of_shaders_is_that_of_python(name: str) -> None:
    stem = "tile" if name.startswith("tiles") else "blend"
    text = shading.source(name).replace("place.x", "x").replace("place.y", "y")
    text = re.sub(r"\((ivec2|int2) place", "(int x, int y", text)
    shader = functions(text, (f"{stem}Hash",), Word)[f"{stem}Hash"]
    for seed in SEEDS:
        for x, y in PLACES:
            assert shader(Word(x), Word(y), Word(seed)) == int(mixed(torch.tensor(x), torch.tensor(y), seed))


def test_open_shading_language_draws_the_same_tiles_and_offsets() -> None:
    """It has no unsigned integers."""
    tiles = functions(
        shading.source("tiles.osl"), ("shifted", "tileHash", "tileColour", "cornerTile", "wangTile"), Signed
    )
    blend = functions(shading.source("blend.osl"), ("shifted", "blendHash", "blendOffset"), Signed)
    for seed in SEEDS:
        for x, y in PLACES:
            place = Signed(x), Signed(y), Signed(seed)
            number = int(mixed(torch.tensor(x), torch.tensor(y), seed))
            assert Word(tiles["tileHash"](*place)) == Word(blend["blendHash"](*place)) == number
            for colours in sets.COLOURS:
                assert tiles["tileColour"](*place, Signed(colours)) == number % colours
            for cells, steps in ((32768, (1, 0)), (12, (5, 7))):
                a, b = (number & 65535) % cells, (number >> 16) % cells
                offset = (700 * ((a * steps[0] + b * steps[1]) % cells) + cells // 2) // cells
                hashed = Signed(number), Signed(700), Signed(cells)
                assert blend["blendOffset"](*hashed, *map(Signed, steps)) == offset


@pytest.mark.parametrize("colours", sets.COLOURS)
def test_open_shading_language_lays_the_plane_of_python(colours: int) -> None:
    scope = functions(
        shading.source("tiles.osl"), ("shifted", "tileHash", "tileColour", "cornerTile", "wangTile"), Signed
    )
    for name, tiles in (("cornerTile", sets.corner(colours)), ("wangTile", sets.wang(colours, colours**4))):
        numbers = plane.laid(tiles, 4, 5, seed=3).tolist()
        assert numbers == [
            [scope[name](Signed(x), Signed(y), Signed(3), Signed(colours)) for x in range(5)] for y in range(4)
        ]


def translated(text: str) -> str:
    """What GLSL is in HLSL: other words for types, samplers apart from their textures, and functions of those."""
    text = re.sub(r"^#ifdef GL_ES.*?^#endif\n", "", text, flags=re.S | re.M)
    samplers = set(re.findall(r"sampler2D(?:Array)? (\w+)", text))
    for glsl, hlsl in (("u", "uint"), ("i", "int"), ("", "float")):
        text = re.sub(rf"\b{glsl}vec(\d)", rf"{hlsl}\1", text)
    text = re.sub(r"textureGrad\((\w+), ", r"\1.SampleGrad(\1Sampler, ", text).replace("mat3 ", "float3x3 ")
    text = re.sub(r"textureLod\((\w+), ", r"\1.SampleLevel(\1Sampler, ", text)
    text = text.replace("axes * float3(x, y, z)", "mul(axes, float3(x, y, z))")
    for name in samplers:
        text = re.sub(rf"(blend\w+\()((?:\w+, )?){name}(, (?!{name})|\))", rf"\1\2{name}, {name}Sampler\3", text)
    return re.sub(r"sampler2D(Array)? (\w+)", r"Texture2D\1 \2, SamplerState \2Sampler", text)


def code(text: str) -> list[str]:
    """The lines without comments, spaces, and the body of what asks for the size of a texture."""
    text = re.sub(r"(blendSize\(.*?\) {).*?^}", r"\1}", re.sub(r"//.*", "", text), flags=re.S | re.M)
    return [squeezed for line in text.splitlines() if (squeezed := re.sub(r"\s+", "", line))]


@pytest.mark.parametrize("stem", ["tiles", "blend"])
def test_hlsl_is_the_twin_of_glsl(stem: str) -> None:
    assert code(translated(shading.source(f"{stem}.glsl"))) == code(shading.source(f"{stem}.hlsl"))


def test_numbers_in_shaders_are_those_of_python() -> None:
    for name in ("blend.glsl", "blend.hlsl", "blend.osl"):
        text = shading.source(name)
        for number in ("0.57735026919", "1.15470053838", f"{STEEPEST:g}"):
            assert number in text, f"{number} in {name}"


def test_offsets_of_the_blend_are_those_of_python() -> None:
    """The offset of a corner of the grid, from its hash on."""
    blend = functions(shading.source("blend.osl"), ("shifted", "blendHash", "blendOffset"), Signed)
    grid = Grid((48, 80), seed=5, side=20.0, cells=6, steps=(1, 2, 3, 1))
    offsets, _ = corners(grid, torch.tensor([3.0]), torch.tensor([2.0]))  # of the triangle (0, 0), (0, 1), (1, 0)
    for offset, (x, y) in zip(offsets[..., 0].tolist(), ((0, 0), (0, 1), (1, 0)), strict=True):
        hashed = blend["blendHash"](Signed(x), Signed(y), Signed(5))
        six = Signed(6)
        across = blend["blendOffset"](hashed, Signed(80), six, Signed(1), Signed(2))
        assert offset == [across, blend["blendOffset"](hashed, Signed(48), six, Signed(3), Signed(1))]


@pytest.mark.parametrize("far", [0, 1])
def test_open_shading_language_blends_the_corners_of_both_triangles(far: int) -> None:
    """In the order of their weights: those of the lower triangles are mirrored."""
    text = shading.source("blend.osl")
    choices = [re.search(rf"int corner{axis} = \w+ \+ \(i == (\d) \? (.+) : (.+)\);", text) for axis in "xy"]
    corners_of = [
        tuple(eval(match[2] if i == int(match[1]) else match[3], {"far": far}) for match in choices if match)
        for i in range(3)
    ]
    assert corners_of == ([(0, 0), (0, 1), (1, 0)] if far == 0 else [(1, 1), (1, 0), (0, 1)])


def test_the_note_on_materialx_is_xml_and_names_a_texture() -> None:
    root = ElementTree.fromstring(shading.source("blend.mtlx"))
    files = [entry.get("value") for entry in root.iter("input") if entry.get("name") == "file"]
    assert files == [shading.TEXTURE]


def test_every_shader_that_is_named_is_there() -> None:
    assert sorted(path.name for path in shading.FOLDER.iterdir()) == sorted((*shading.TILES, *shading.BLEND))
