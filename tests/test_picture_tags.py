"""What a file says of its colours and resolution goes with the picture to what is made of it."""

from __future__ import annotations

import struct
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from conftest import Texsynth
from picture_files import GRAY, SRGB, chunk, noise, png, put, saved
from texsynth.image import load
from texsynth.image import picture as image
from texsynth.image.codecs import tags

QUICK = ("-p", "steady", "-q")
CHUNKS = {
    b"cICP": bytes([9, 16, 0, 1]),
    b"mDCV": bytes(range(24)),
    b"cLLI": bytes(range(8)),
    b"sRGB": b"\1",
    b"gAMA": (100_000).to_bytes(4, "big"),
    b"cHRM": bytes(range(32)),
    b"pHYs": struct.pack(">IIB", 11811, 5000, 1),
}


def chunks_of(path: Path) -> dict[bytes, bytes]:
    content, at, read = path.read_bytes(), 8, {}
    while at < len(content):
        length, kind = struct.unpack_from(">I4s", content, at)
        if kind in CHUNKS:
            read[kind] = content[at + 8 : at + 8 + length]
        at += 12 + length
    return read


def drawn(path: Path, wanted: dict[bytes, bytes], bits: int = 8, colour: int = 2, side: int = 16) -> Path:
    """A PNG of noise with these chunks."""
    row = side * bits // 8 * (3 if colour == 2 else 1)
    rows = b"".join(b"\0" + noise((row,)).tobytes() for _ in range(side))
    return put(path, png(side, side, bits, colour, rows, b"".join(chunk(*each) for each in wanted.items())))


@pytest.mark.parametrize("kind", CHUNKS)
def test_each_chunk_is_kept(tmp_path: Path, kind: bytes) -> None:
    wanted = {kind: CHUNKS[kind]}
    assert image.write(tmp_path / "o.png", image.read(drawn(tmp_path / "a.png", wanted))) == []
    assert chunks_of(tmp_path / "o.png") == wanted


@pytest.mark.parametrize(("bits", "colour"), [(8, 2), (16, 2), (8, 0), (16, 0)])
def test_chunks_of_an_exemplar_go_to_the_output(texsynth: Texsynth, tmp_path: Path, bits: int, colour: int) -> None:
    """Beside a record, in a larger picture."""
    drawn(tmp_path / "a.png", CHUNKS, bits, colour)
    assert texsynth("synthesize", "a.png", "-o", "o.png", *QUICK).code == 0
    assert chunks_of(tmp_path / "o.png") == CHUNKS
    assert image.read(tmp_path / "o.png").width == 32


def test_maps_carry_their_own_and_a_remix_the_firsts(texsynth: Texsynth, tmp_path: Path) -> None:
    drawn(tmp_path / "a.png", {b"gAMA": CHUNKS[b"gAMA"]})
    drawn(tmp_path / "b.png", {b"cICP": CHUNKS[b"cICP"]})
    ran = texsynth("synthesize", "a.png", "b.png", "-o", "o.png", "-p", "steady")
    assert ran.code == 0
    assert "the exemplars differ in what they say of their colours (gAMA and cHRM, cICP); the first's goes" in ran.err
    drawn(tmp_path / "h.png", {b"pHYs": CHUNKS[b"pHYs"]}, 16, 0)
    assert texsynth("synthesize", "a.png", "--map", "height=h.png", "-o", "p.png", *QUICK).code == 0
    assert chunks_of(tmp_path / "o.png") == chunks_of(tmp_path / "p.png") == {b"gAMA": CHUNKS[b"gAMA"]}
    assert chunks_of(tmp_path / "p_height.png") == {b"pHYs": CHUNKS[b"pHYs"]}


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        ({"icc": SRGB}, {}, "(ICC profile, sRGB)"),
        ({"icc": SRGB}, {"icc": SRGB + b"x"}, "(ICC profile)"),
        ({"icc": SRGB}, {"icc": SRGB, "tags": tags.Tags(gamma=b"\0\1\x86\xa0")}, None),
        ({}, {"tags": tags.Tags(srgb=b"\0", density=tags.Density(Fraction(1), Fraction(1)))}, None),
        ({}, {"tags": tags.Tags(gamma=tags.SRGB_GAMMA, primaries=tags.SRGB_PRIMARIES)}, None),
    ],
)
def test_a_difference_is_told(first: dict[str, Any], second: dict[str, Any], words: str | None) -> None:
    lines: list[str] = []
    plain = image.from_array(noise((8, 8, 3)))
    load.alike([replace(plain, **first), replace(plain, **second)], "they", lines.append)
    assert len(lines) == (words is not None)
    assert words is None or words in lines[0]


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".tif"])
def test_a_lost_meaning_is_told(tmp_path: Path, suffix: str) -> None:
    def lost(wanted: dict[bytes, bytes]) -> list[str]:
        return image.write(tmp_path / f"o{suffix}", image.read(drawn(tmp_path / "a.png", wanted)))

    assert "cICP dropped" in lost({b"cICP": CHUNKS[b"cICP"]})[0]
    assert "gAMA and cHRM dropped" in lost({b"gAMA": CHUNKS[b"gAMA"]})[0]
    for kept in ({}, {b"sRGB": b"\0"}, {b"sRGB": b"\0", b"gAMA": CHUNKS[b"gAMA"]}, {b"gAMA": tags.SRGB_GAMMA}):
        assert lost(kept) == []
    picture = image.from_array(noise((8, 8, 3)), icc=SRGB)
    assert image.write(tmp_path / f"p{suffix}", picture) == []


@pytest.mark.parametrize(("body", "checksum"), [(b"\1", 0), (b"", 0), (CHUNKS[b"gAMA"], 1)])
def test_damaged_chunks_say_nothing(tmp_path: Path, body: bytes, checksum: int) -> None:
    bad = bytearray(chunk(b"gAMA", body))
    bad[-1] ^= checksum
    phys = chunk(b"pHYs", struct.pack(">IIB", 0, 5, 1)) + chunk(b"cHRM", bytes(33))
    picture = image.read(put(tmp_path / "a.png", png(1, 1, 8, 0, b"\0\7", bytes(bad) + phys)))
    assert picture.tags == tags.Tags()


def test_resolution_goes_from_format_to_format(tmp_path: Path) -> None:
    picture = Image.fromarray(noise((8, 8, 3)))
    inches, centimetres = Fraction(300 * 10_000, 254), Fraction(118_110, 10)
    exif = Image.Exif()
    exif[282], exif[283], exif[296] = 300.0, 150.0, 2
    files = [
        saved(picture, tmp_path / "a.jpg", dpi=(300, 150)),
        saved(picture, tmp_path / "b.tif", dpi=(300, 150)),
        saved(picture, tmp_path / "c.png", dpi=(300, 150)),
        saved(picture, tmp_path / "d.webp", exif=exif),
        saved(picture, tmp_path / "e.bmp", dpi=(300, 150)),
        tmp_path / "f.tif",
    ]
    tifffile.imwrite(files[-1], noise((8, 8, 3)), resolution=((11811, 100), (11811, 200)), resolutionunit=3)
    for path in files:
        read = image.read(path)
        assert read.tags.density is not None
        assert float(read.tags.density.x) == pytest.approx(float(inches if path.name < "c" else centimetres), abs=0.6)
        for suffix, read_back in ((".png", (11811, 5906)), (".tif", (300, 150)), (".jpg", (300, 150))):
            image.write(tmp_path / f"out{suffix}", read)
            with Image.open(tmp_path / f"out{suffix}") as other:
                dpi = [float(value) for value in other.info["dpi"]]
            assert dpi == pytest.approx([300, 150], abs=0.02), (path, read_back)
        assert chunks_of(tmp_path / "out.png") == {b"pHYs": struct.pack(">IIB", 11811, round(read.tags.density.y), 1)}
    image.write(tmp_path / "same.tif", image.read(tmp_path / "b.tif"))
    with tifffile.TiffFile(tmp_path / "same.tif") as tif:
        page: Any = tif.pages[0]
        assert (page.tags.valueof(282), page.tags.valueof(283), page.tags.valueof(296)) == ((300, 1), (150, 1), 2)


def test_a_ratio_and_a_turn(tmp_path: Path) -> None:
    """pHYs without a unit says the shape of a pixel; a picture on its side has it the other way."""
    ratio = {b"pHYs": struct.pack(">IIB", 2, 1, 0)}
    stretched = image.read(drawn(tmp_path / "a.png", ratio))
    image.write(tmp_path / "b.tif", stretched)
    image.write(tmp_path / "b.png", image.read(tmp_path / "b.tif"))
    assert chunks_of(tmp_path / "b.png") == ratio
    assert image.write(tmp_path / "b.jpg", stretched) == []
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = image.read(saved(Image.fromarray(noise((4, 8, 3))), tmp_path / "t.jpg", exif=exif, dpi=(100, 200)))
    assert turned.tags.density is not None and turned.tags.density.y * 2 == turned.tags.density.x
    image.write(tmp_path / "t.png", turned)
    with Image.open(tmp_path / "t.png") as other:
        assert not other.getexif()


@pytest.mark.parametrize("value", [1, 2**31 - 1])
@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg"])
def test_absurd_resolutions_do_no_harm(tmp_path: Path, value: int, suffix: str) -> None:
    read = image.read(drawn(tmp_path / "a.png", {b"pHYs": struct.pack(">IIB", value, value, 1)}))
    image.write(tmp_path / f"o{suffix}", read)
    back = image.read(tmp_path / f"o{suffix}").tags.density
    assert (back is None) if suffix == ".jpg" else (back is not None and round(back.x) == value)


def test_a_grey_profile_is_dropped_and_chunks_stay(tmp_path: Path) -> None:
    (notice,) = image.write(
        tmp_path / "a.png",
        image.Picture(image.from_array(noise((8, 8, 3))).pixels, icc=GRAY, tags=tags.Tags(srgb=b"\0")),
    )
    assert "ICC" in notice
    assert chunks_of(tmp_path / "a.png") == {b"sRGB": b"\0"}
    assert np.array_equal(image.to_array(image.read(tmp_path / "a.png")), noise((8, 8, 3)))
