"""OpenEXR: read and written bit for bit, however it is stored; what is not taken is said, what is damaged refused."""

from __future__ import annotations

import io
import struct
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import OpenEXR
import pytest
import torch

from conftest import Draw, Picture, Refused, Texsynth
from picture_files import array_of, noise, put, raising
from picture_files import refused as not_read
from texsynth.errors import ExtraError, InputError, ResourceError
from texsynth.image import picture as image
from texsynth.image import strips
from texsynth.image.codecs import exr, exr_file, tags

HALF = noise((40, 37, 3), "float16")
FLAT = {3: "RGB", 4: "RGBA", 1: "Y", 2: "YA"}
WINDOW = ((-5, 7), (31, 46))  # of 37x40


def exr_of(channels: dict[str, np.ndarray], **header: Any) -> bytes:
    """A file by the library, of which nothing here makes the chunks."""
    out = io.BytesIO()
    OpenEXR.File(header, {name: np.ascontiguousarray(values) for name, values in channels.items()}).write(out)
    return out.getvalue()


def planes(samples: np.ndarray, names: str | None = None) -> dict[str, np.ndarray]:
    return {name: samples[..., number] for number, name in enumerate(names or FLAT[samples.shape[2]])}


def tiles(mode: Any = OpenEXR.ONE_LEVEL) -> dict[str, Any]:
    tile = OpenEXR.TileDescription()
    tile.xSize, tile.ySize, tile.mode = 16, 24, mode
    return {"type": OpenEXR.tiledimage, "tiles": tile}


def stored(path: Path | str) -> dict[str, np.ndarray]:
    """The channels of a file as the library reads them."""
    file = OpenEXR.File(str(path), separate_channels=True)
    return {name: channel.pixels for name, channel in file.channels().items()}


@pytest.mark.parametrize("depth", ["float16", "float32"])
@pytest.mark.parametrize("channels", [1, 3])
def test_values_come_back_bit_for_bit(tmp_path: Path, depth: str, channels: int) -> None:
    samples = noise((9, 14, channels), depth)
    a = put(tmp_path / "a.exr", exr_of(planes(samples)))
    assert (array_of(a).reshape(samples.shape) == samples).all() and array_of(a).dtype == depth
    assert image.write(tmp_path / "o.exr", image.read(a)) == []
    after = stored(tmp_path / "o.exr")
    assert list(after) == sorted(FLAT[channels])
    assert all((after[n] == v).all() and v.dtype == depth for n, v in planes(samples).items())


@pytest.mark.parametrize("compression", sorted(exr_file.ROWS))
@pytest.mark.parametrize("layout", [{}, tiles()], ids=["rows", "tiles"])
def test_each_compression_is_read(tmp_path: Path, compression: int, layout: dict[str, Any], monkeypatch: Any) -> None:
    """In strips of a few chunks, at any place of the plane; as the library reads it."""
    monkeypatch.setattr(exr, "BLOCK", 1000)
    words = {"compression": OpenEXR.Compression(compression), "dataWindow": WINDOW, "displayWindow": WINDOW}
    path = put(tmp_path / "a.exr", exr_of(planes(HALF), **words, **layout))
    wanted = stored(path)
    assert (array_of(path) == np.stack([wanted[name] for name in "RGB"], -1)).all()
    assert image.read(path).remark == ""


def test_reduced_copies_are_left_alone(tmp_path: Path) -> None:
    path = put(tmp_path / "a.exr", exr_of(planes(HALF), **tiles(OpenEXR.MIPMAP_LEVELS)))
    assert (array_of(path) == HALF).all()


@pytest.mark.parametrize("rows", [2, 40])
def test_rows_are_written_as_the_whole_is(tmp_path: Path, rows: int, monkeypatch: Any) -> None:
    picture = image.from_array(HALF)
    whole, _ = image.encoded(picture, image.SUFFIXES_WRITE[".exr"], "o")
    monkeypatch.setattr(image, "WHOLE", 0)
    monkeypatch.setattr(exr, "BLOCK", rows * 37 * 6)
    content, _ = image.encoded(strips.of(picture), image.SUFFIXES_WRITE[".exr"], "o")
    assert callable(content) and isinstance(whole, bytes)
    with (tmp_path / "o.exr").open("wb") as file:
        content(file)
    assert (tmp_path / "o.exr").read_bytes() == whole
    assert all((stored(tmp_path / "o.exr")[name] == HALF[..., n]).all() for n, name in enumerate("RGB"))


@pytest.mark.parametrize("names", ["RGBA", "YA"])
def test_premultiplied_halfs_come_back(tmp_path: Path, names: str) -> None:
    """Bit for bit at any alpha; in memory, colours are divided by it, and 0 where it is 0."""
    samples = np.abs(noise((30, 31, len(names)), "float16"))
    samples[0, :, -1], samples[1, :, -1], samples[2, :, -1] = 0, 1, np.float16(6e-8)
    samples[0, :, :-1] = 0
    a = put(tmp_path / "a.exr", exr_of(planes(samples)))
    picture = image.read(a)
    assert picture.alpha is not None and picture.depth == "float16"
    assert (picture.pixels[0, 0, 1].numpy() == samples[1, :, 0]).all() and not picture.pixels[0, :, 0].any()
    assert torch.equal(picture.alpha[0, 0], torch.from_numpy(samples[..., -1].astype(np.float32)))
    image.write(tmp_path / "o.exr", picture)
    assert all((stored(tmp_path / "o.exr")[n] == v).all() for n, v in planes(samples).items())


def test_alpha_of_a_png_multiplies(tmp_path: Path) -> None:
    picture = image.from_array(np.full((8, 8, 4), (200, 100, 50, 51), np.uint8))
    assert image.write(tmp_path / "o.exr", picture) == []
    after = stored(tmp_path / "o.exr")
    assert after["R"][0, 0] == np.float16(np.float32(200 / 255) * np.float32(0.2)) and after["A"].dtype == np.float16
    assert np.rint(image.read(tmp_path / "o.exr").pixels.numpy()[0, :, 0, 0] * 255).tolist() == [200, 100, 50]


def test_whole_numbers_lose_nothing(tmp_path: Path) -> None:
    """All values of 8 bits as halfs, all of 16 as floats."""
    for depth, kind, top in (("uint8", "float16", 255), ("uint16", "float32", 65535)):
        every = np.arange(top + 1, dtype=depth).reshape(16, -1)
        assert image.write(tmp_path / "o.exr", image.from_array(every)) == []
        after = stored(tmp_path / "o.exr")["Y"]
        assert after.dtype == kind
        assert (np.rint(after.astype(np.float64) * top) == every).all()


BLENDER = "V.Combined.R V.Combined.G V.Combined.B V.Combined.A"
CHOICES = {
    "plain": ("R G B", "R G B", ""),
    "with depth": ("R G B A Z", "R G B A", "R, G, B, A are taken as RGB and alpha, and not Z"),
    "grey": ("Y A", "Y A", ""),
    "height": ("height", "height", "the channel height is taken as grey"),
    "opacity": ("A", "A", "A is taken as grey"),
    "vectors": ("normal.X normal.Y normal.Z", "normal.X normal.Y normal.Z", "normal.Z are taken as RGB"),
    "small": ("N.x N.y N.z", "N.x N.y N.z", "N.x, N.y, N.z are taken as RGB"),
    "layers": ("N.X N.Y N.Z albedo.R albedo.G albedo.B", "albedo.R albedo.G albedo.B", "and not N.X, N.Y, N.Z"),
    "blender": (f"{BLENDER} V.Depth.Z", BLENDER, "and not V.Depth.Z"),
    "depth with alpha": ("A Z", "Z A", "Z, A are taken as grey and alpha"),
}  # fmt: skip


@pytest.mark.parametrize("kind", CHOICES)
def test_channels_are_chosen_and_keep_their_names(tmp_path: Path, kind: str) -> None:
    names, taken, words = CHOICES[kind]
    values = {name: np.full((8, 9), 0.25 + number / 16, np.float16) for number, name in enumerate(names.split())}
    a = put(tmp_path / "a.exr", exr_of(values))
    picture = image.read(a)
    assert words in picture.remark and bool(words) == bool(picture.remark)
    assert picture.channels + (picture.alpha is not None) == len(taken.split())
    image.write(tmp_path / "o.exr", picture)
    after = stored(tmp_path / "o.exr")
    assert sorted(after) == sorted(taken.split())
    assert all((after[name] == values[name]).all() for name in after)


def test_the_part_with_colours_is_taken(tmp_path: Path, texsynth: Texsynth) -> None:
    parts = [
        OpenEXR.Part({"type": OpenEXR.scanlineimage}, {"Z": np.ascontiguousarray(HALF[..., 0] + 1)}, "depth"),
        OpenEXR.Part({**tiles()}, {n: np.ascontiguousarray(v) for n, v in planes(HALF).items()}, "beauty"),
    ]
    OpenEXR.File(parts).write(str(tmp_path / "a.exr"))
    assert (array_of(tmp_path / "a.exr") == HALF).all()
    ran = texsynth("synthesize", "a.exr", "-s", "16", "-o", "o.exr", "-p", "steady")
    assert ran.code == 0 and "a.exr: of 2 parts 'beauty' is taken" in ran.err


def test_all_of_a_data_window_is_taken(tmp_path: Path) -> None:
    path = put(tmp_path / "a.exr", exr_of(planes(HALF), dataWindow=WINDOW, displayWindow=((0, 0), (99, 49))))
    assert (array_of(path) == HALF).all()
    assert "its data window, 37x40, is taken, not its display window, 100x50" in image.read(path).remark


def patched(content: bytes, name: bytes, value: bytes) -> bytes:
    """A file in which an attribute has another value, of the same length."""
    at = content.index(name + b"\0")
    at = content.index(b"\0", at + len(name) + 1) + 5
    return content[:at] + value + content[at + len(value) :]


GOOD = exr_of(planes(HALF), compression=OpenEXR.ZIP_COMPRESSION)
TABLE = GOOD.index(b"scanlineimage\0") + 14  # where the list of its three chunks begins
BAD: dict[str, tuple[bytes, str]] = {
    "two channels": (exr_of(planes(HALF[..., :2], "RG")), "R, G and B, Y, or a single one are needed"),
    "whole numbers": (exr_of({"id": np.arange(72, dtype=np.uint32).reshape(8, 9)}), "id holds whole numbers"),
    "jpeg 2000": (exr_of(planes(HALF), compression=OpenEXR.HTJ2K32_COMPRESSION), "JPEG 2000"),
    "unknown": (patched(GOOD, b"compression", b"\x63"), "number 99"),
    "deep": (GOOD[:5] + b"\x08" + GOOD[6:], "deep"),
    "chroma": (patched(GOOD, b"channels", b"B\0\1\0\0\0\0\0\0\0\2"), "B have fewer pixels"),
    "no window": (patched(GOOD, b"dataWindow", struct.pack("<4i", 5, 5, 4, 4)), "dataWindow is empty"),
    "far window": (patched(GOOD, b"dataWindow", struct.pack("<4i", -(2**31), 0, 9, 9)), "dataWindow is empty"),
    "large": (patched(GOOD, b"dataWindow", struct.pack("<4i", 0, 0, 65535, 65535)), "is 65536x65536"),
    "unsorted": (patched(GOOD, b"channels", b"Z"), "its channels are none"),
    "other version": (GOOD[:4] + b"\3" + GOOD[5:], "its version is unknown"),
    "no chunks": (GOOD[: TABLE + 16], "ends too early"),
    "no pixels": (GOOD[: TABLE + 24], "pixels are missing"),
    "cut": (GOOD[:-1], "ends too early"),
    "chunks exchanged": (GOOD[:TABLE] + GOOD[TABLE + 8 : TABLE + 16] * 3 + GOOD[TABLE + 24 :], "not where it should"),
}  # fmt: skip


@pytest.mark.parametrize("kind", BAD)
def test_what_is_refused(tmp_path: Path, kind: str) -> None:
    content, words = BAD[kind]
    not_read(put(tmp_path / "a.exr", content), words)


@pytest.mark.parametrize("layout", [{}, tiles()], ids=["rows", "tiles"])
def test_damage_is_one_error(tmp_path: Path, layout: dict[str, Any], capfd: Any) -> None:
    """Wherever a file ends, and whichever byte is another, it is read or refused; and the library says nothing."""
    good = exr_of(planes(HALF[:20]), compression=OpenEXR.ZIP_COMPRESSION, **layout)
    rng, failed = np.random.default_rng(0), 0
    bad = [good[:end] for end in range(0, len(good), 97)]
    places = rng.integers(0, len(good), 150)
    bad += [good[:place] + bytes([good[place] ^ 0x55]) + good[place + 1 :] for place in places]
    for content in bad:
        try:
            image.read(put(tmp_path / "a.exr", content))
        except InputError:
            failed += 1
    assert failed > 50
    assert capfd.readouterr() == ("", "")


def test_memory_is_asked_before_a_pixel_is_decoded(tmp_path: Path, monkeypatch: Any) -> None:
    path = put(tmp_path / "a.exr", patched(GOOD, b"dataWindow", struct.pack("<4i", 0, 0, 9999, 9999)))
    monkeypatch.setattr(exr_file, "some", raising(AssertionError("read")))
    with pytest.raises(ResourceError, match="10000x10000"):
        image.read(path, 1 << 20)


def test_what_it_says_of_colours_and_size_is_kept(tmp_path: Path) -> None:
    """Chromaticities bit for bit, also those that a PNG cannot hold; pixels that are not square."""
    primaries = (0.7347, 0.2653, 0.0, 1.0, 0.0001, -0.077, 0.32168, 0.33767)
    content = exr_of(planes(HALF), chromaticities=primaries, xDensity=50.8, pixelAspectRatio=2.0)
    picture = image.read(put(tmp_path / "a.exr", content))
    assert picture.tags.density == tags.Density(Fraction(2000), Fraction(4000))
    assert picture.tags.primaries is None and picture.tags.gamma == tags.LINEAR_GAMMA
    assert image.write(tmp_path / "o.exr", picture) == []
    before, after = (OpenEXR.File(str(tmp_path / name)).header() for name in ("a.exr", "o.exr"))
    for name in ("chromaticities", "xDensity", "pixelAspectRatio"):
        assert after[name] == before[name], name


def test_a_png_of_it_says_that_it_is_linear(tmp_path: Path) -> None:
    primaries = (0.64, 0.33, 0.3, 0.6, 0.15, 0.06, 0.3127, 0.329)
    picture = image.read(put(tmp_path / "a.exr", exr_of(planes(np.abs(HALF)), chromaticities=primaries)))
    notices = image.write(tmp_path / "o.png", picture)
    assert ["clamped" in notice for notice in notices] == [True]
    again = image.read(tmp_path / "o.png").tags
    assert again.gamma == tags.LINEAR_GAMMA and again.primaries == tags.SRGB_PRIMARIES
    image.write(tmp_path / "p.exr", image.read(tmp_path / "o.png"))
    assert np.allclose(OpenEXR.File(str(tmp_path / "p.exr")).header()["chromaticities"], primaries, atol=1e-6)
    assert any("gAMA and cHRM dropped" in notice for notice in image.write(tmp_path / "o.jpg", picture))


def test_holes_leave_all_else_bit_for_bit(texsynth: Texsynth, tmp_path: Path, draw: Draw) -> None:
    """Half in, half out, through a whole repair with a map, in the sets' own channels."""
    rng = np.random.default_rng(1)
    colour = rng.gamma(1.0, 0.7, (32, 32, 3)).astype(np.float16)
    put(tmp_path / "a.exr", exr_of(planes(colour)))
    height = rng.normal(0, 3, (32, 32)).astype(np.float32)
    put(tmp_path / "h.exr", exr_of({"height": height}))
    hole = np.zeros((32, 32), np.uint8)
    hole[10:18, 12:20] = 255
    draw("hole.png", hole)
    words = ("--mask", "hole.png", "--map", "height=h.exr", "--set", "passes=[1]", "-q")
    assert texsynth("inpaint", "a.exr", *words, "-o", "o.exr").code == 0
    after, map_after = stored("o.exr"), stored("o_height.exr")
    keep = hole == 0
    assert all((after[n][keep] == v[keep]).all() and v.dtype == np.float16 for n, v in planes(colour).items())
    assert list(map_after) == ["height"] and (map_after["height"][keep] == height[keep]).all()
    assert not (map_after["height"][~keep] == height[~keep]).all()
    assert set(map_after["height"].ravel().tolist()) <= set(height.ravel().tolist())
    assert Path("o.exr.json").exists()


def test_a_set_of_other_formats_is_written_as_exr(texsynth: Texsynth, picture: Picture) -> None:
    before = picture("a.png")
    assert texsynth("synthesize", "a.png", "--map", "height=a.png", "-o", "o.exr", "-p", "steady", "-q").code == 0
    colours = {tuple(c) for c in np.rint(np.stack([stored("o.exr")[n] for n in "RGB"], -1) * 255).reshape(-1, 3)}
    assert colours <= {tuple(c) for c in before.reshape(-1, 3).astype(float)}
    assert Path("o_height.exr").exists()


def test_standard_output_and_folders(texsynth: Texsynth, picture: Picture) -> None:
    picture("in/a.png")
    assert texsynth("synthesize", "in", "--format", "exr", "-o", "out/", "-p", "steady", "-q").code == 0
    assert [path.suffix for path in Path("out").glob("*.exr")] == [".exr"]


@pytest.mark.parametrize("words", [("a.exr", "-o", "o.png"), ("a.png", "-o", "o.exr"), ("a.png", "-o", "-")])
def test_without_the_extra(refused: Refused, picture: Picture, tmp_path: Path, words: Any, monkeypatch: Any) -> None:
    picture("a.png")
    put(tmp_path / "a.exr", GOOD)
    monkeypatch.setitem(sys.modules, "OpenEXR", None)
    more = ("--format", "exr") if words[-1] == "-" else ()
    assert "pip install 'texsynth[exr]'" in refused(5, "synthesize", *words, *more, "-p", "steady", "-q")
    with pytest.raises(ExtraError):
        image.read(tmp_path / "a.exr")


def test_alpha_outside_a_hole_stays(texsynth: Texsynth, tmp_path: Path, draw: Draw) -> None:
    """Premultiplied halfs of any alpha, bit for bit, and floats but for the last; the hole is filled with what there
    is, its alpha too."""
    samples = np.abs(noise((32, 32, 4), "float16"))
    samples[:, :, 3] = np.where(np.arange(32) < 20, 1, 0.3)
    hole = np.zeros((32, 32), np.uint8)
    hole[4:14, 4:14] = 255
    draw("hole.png", hole)
    keep = hole == 0
    for depth in ("float16", "float32"):
        uneven = samples.astype(depth)
        uneven[..., :3] *= np.array(1 + 1e-4, depth)  # no halfs, where they are floats
        put(tmp_path / "a.exr", exr_of(planes(uneven)))
        before = stored("a.exr")
        words = ("--mask", "hole.png", "--alpha", "keep", "-p", "steady", "-q", "-o", f"{depth}.exr")
        assert texsynth("inpaint", "a.exr", *words).code == 0
        after = stored(f"{depth}.exr")
        for name in "RGBA":
            a, b = before[name][keep].astype(np.float64), after[name][keep].astype(np.float64)
            assert (a == b).all() if depth == "float16" else (np.abs(a - b) <= 2.0**-23 * np.abs(a)).all()
        assert (after["R"][:, :20] == before["R"][:, :20])[keep[:, :20]].all()
        assert not (after["R"][~keep] == before["R"][~keep]).all()
