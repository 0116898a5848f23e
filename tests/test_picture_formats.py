"""TGA and Radiance HDR, which are read and written, and formats that are read only: AVIF, JPEG 2000, and PNM."""

from __future__ import annotations

import struct
from collections.abc import Callable
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from conftest import Refused, Texsynth
from picture_files import SRGB, array_of, noise, put, raising, saved
from picture_files import refused as not_read
from texsynth.errors import InputError, ResourceError
from texsynth.image import picture as image

RGB, GREY = noise((9, 14, 3)), noise((9, 14))
RGBA = noise((9, 14, 4))
DEEP, DEEP_GREY = noise((9, 14, 3), "uint16"), noise((9, 14), "uint16")


# ---- TGA ----


def tga(
    kind: int, bits: int, body: bytes, size: tuple[int, int] = (9, 14), flags: int = 0x20, table: bytes = b"",
    colours: tuple[int, int, int] = (0, 0, 0), name: bytes = b"", tail: bytes = b"",
) -> bytes:  # fmt: skip
    """A TGA made by hand, from the top down unless `flags` says otherwise."""
    head = struct.pack("<BBBHHBHHHHBB", len(name), bool(table), kind, *colours, 0, 0, size[1], size[0], bits, flags)
    return head + name + table + body + tail


def packed(values: np.ndarray) -> bytes:
    """Run-length packets of pixels (N, bytes): runs and raw ones in turn."""
    out, at = b"", 0
    while at < len(values):
        count = min(len(values) - at, 1 + at % 5)
        run = bool((values[at : at + count] == values[at]).all())
        rest = values[at] if run else values[at : at + count]
        out += bytes([0x80 * run | count - 1]) + rest.tobytes()
        at += count
    return out


def with_extension(content: bytes, alpha: int) -> bytes:
    extension = bytearray(495)
    extension[494] = alpha
    return content + bytes(extension) + struct.pack("<II", len(content), 0) + b"TRUEVISION-XFILE.\0"


BGR, BGRA = RGB[..., ::-1], RGBA[..., [2, 1, 0, 3]]
FEW = RGB[:1, :7].reshape(7, 3)
TABLE = FEW[:, ::-1].tobytes()
PLACES = noise((9, 14)) % 7
FIVE = noise((9, 14, 3)) >> 3
WORDS = (FIVE[..., 0].astype("<u2") << 10 | FIVE[..., 1].astype("<u2") << 5 | FIVE[..., 2]).astype("<u2")
SHOWN = np.rint(FIVE * (255 / 31)).astype(np.uint8)
EVEN = np.repeat(np.repeat(RGB[::3, ::7], 3, 0), 7, 1)
OPAQUE = (WORDS >> 7 & 1).astype(np.uint8)
TGAS: dict[str, tuple[bytes, np.ndarray]] = {
    "colour": (tga(2, 24, BGR.tobytes()), RGB),
    "alpha": (tga(2, 32, BGRA.tobytes(), flags=0x28), RGBA),
    "grey": (tga(3, 8, GREY.tobytes()), GREY),
    "grey, alpha": (tga(3, 16, RGBA[..., :2].tobytes(), flags=0x28), RGBA[..., :2]),
    "named": (tga(2, 24, BGR.tobytes(), name=b"a name"), RGB),
    "bottom up": (tga(2, 24, BGR.tobytes(), flags=0), RGB[::-1]),
    "right to left": (tga(2, 24, BGR.tobytes(), flags=0x30), RGB[:, ::-1]),
    "packed": (tga(10, 24, packed(EVEN[..., ::-1].reshape(-1, 3))), EVEN),
    "packed noise": (tga(10, 32, packed(BGRA.reshape(-1, 4)), flags=8), RGBA[::-1]),
    "packed grey": (tga(11, 8, packed(GREY.reshape(-1, 1))), GREY),
    "packed flat": (tga(10, 32, b"\xff\3\2\1\4", (8, 16), flags=8), np.full((8, 16, 4), (1, 2, 3, 4), np.uint8)),
    "palette": (tga(1, 8, PLACES.tobytes(), table=TABLE, colours=(0, 7, 24)), FEW[PLACES]),
    "palette from 3": (
        tga(1, 8, (PLACES + 3).tobytes(), table=TABLE, colours=(3, 7, 24)),
        FEW[PLACES],
    ),
    "packed palette": (
        tga(9, 8, packed(PLACES.reshape(-1, 1)), table=TABLE, colours=(0, 7, 24)),
        FEW[PLACES],
    ),
    "deep palette": (
        tga(1, 16, PLACES.astype("<u2").tobytes(), table=WORDS[0, :7].tobytes(), colours=(0, 7, 15)),
        SHOWN[0, :7][PLACES],
    ),
    "15 bits": (tga(2, 15, WORDS.tobytes()), SHOWN),
    "16 bits": (tga(2, 16, WORDS.tobytes()), SHOWN),
    "16 bits, alpha": (
        tga(2, 16, (WORDS | OPAQUE.astype("<u2") << 15).tobytes(), flags=0x21),
        np.dstack([SHOWN, OPAQUE * np.uint8(255)]),
    ),
    "alpha that is none": (tga(2, 32, np.dstack([BGR, GREY * 0]).tobytes()), RGB),
    "alpha without a word": (tga(2, 32, BGRA.tobytes()), RGBA),
    "alpha to be ignored": (with_extension(tga(2, 32, BGRA.tobytes(), flags=0x28), 0), RGBA[..., :3]),
    "alpha of version 2": (with_extension(tga(2, 32, BGRA.tobytes(), flags=0x28), 3), RGBA),
    "premultiplied": (
        with_extension(tga(2, 32, bytes([50, 100, 0, 128, 9, 9, 9, 0]), (1, 2), flags=0x28), 4),
        np.array([[[0, 199, 100, 128], [0, 0, 0, 0]]], np.uint8),
    ),
}


@pytest.mark.parametrize("kind", TGAS)
def test_tga(tmp_path: Path, kind: str) -> None:
    content, expected = TGAS[kind]
    stored = array_of(put(tmp_path / "a.TGA", content))
    assert (stored.dtype, stored.shape) == (np.uint8, expected.shape)
    np.testing.assert_array_equal(stored, expected)


def test_tga_of_pillow_and_what_only_looks_like_one(tmp_path: Path) -> None:
    for mode, rle in (("RGB", False), ("RGB", True), ("RGBA", True), ("L", True), ("P", False)):
        picture = Image.fromarray(RGBA if mode == "RGBA" else RGB).convert(mode)
        path = saved(picture, tmp_path / "a.tga", **({"compression": "tga_rle"} if rle else {}))
        np.testing.assert_array_equal(array_of(path), np.asarray(picture.convert("RGB") if mode == "P" else picture))
    content = TGAS["colour"][0]
    not_read(put(tmp_path / "a.bmp", content), "no picture")  # without its suffix nothing tells it
    png = saved(Image.fromarray(RGB), tmp_path / "b.png").read_bytes()
    np.testing.assert_array_equal(array_of(put(tmp_path / "b.tga", png)), RGB)
    for number, value in ((1, 2), (2, 4), (12, 0), (16, 7), (17, 0xC0)):
        bad = bytearray(content)
        bad[number] = bad[number + 1] = value
        not_read(put(tmp_path / "c.tga", bytes(bad)), "no picture")
    content = tga(1, 8, (PLACES + 1).tobytes(), table=FEW.tobytes(), colours=(0, 7, 24))
    not_read(put(tmp_path / "c.tga", content), "not in its palette")


# ---- AVIF ----

AVIFS = {
    "colour": (RGB, {}),
    "alpha": (RGBA, {}),
    "grey": (GREY, {}),
    "10 bits": (DEEP >> 6, {"bitspersample": 10}),
    "12 bits": (DEEP >> 4, {"bitspersample": 12}),
    "grey, 10 bits": (DEEP_GREY >> 6, {"bitspersample": 10}),
}


@pytest.mark.parametrize("kind", AVIFS)
def test_avif(tmp_path: Path, kind: str) -> None:
    array, options = AVIFS[kind]
    stored = array_of(put(tmp_path / "a.avif", imagecodecs.avif_encode(array, level=100, speed=10, **options)))
    top = 2 ** options.get("bitspersample", 8) - 1
    expected = array if top == 255 else np.rint(array * (65535 / top)).astype(np.uint16)
    assert stored.dtype == expected.dtype
    np.testing.assert_array_equal(stored, expected)


def test_avif_turned_with_a_profile_and_animated(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    path = saved(
        Image.fromarray(RGB), tmp_path / "a.avif", exif=exif, icc_profile=SRGB, quality=100, subsampling="4:4:4"
    )
    picture = image.read(path)
    assert (picture.width, picture.height, picture.icc) == (9, 14, SRGB)
    assert np.abs(image.to_array(picture).astype(int) - np.rot90(RGB, -1)).max() < 8
    frames = [Image.fromarray(np.roll(RGB, n)) for n in range(3)]
    frames[0].save(tmp_path / "b.avif", save_all=True, append_images=frames[1:])
    not_read(tmp_path / "b.avif", "animated AVIF with 3 frames", "one")


def test_avif_of_hdr_says_so_to_a_png(tmp_path: Path) -> None:
    content = imagecodecs.avif_encode(DEEP >> 6, level=100, speed=10, bitspersample=10, primaries=9, transfer=16)
    picture = image.read(put(tmp_path / "a.avif", content))
    assert picture.tags.cicp == bytes([9, 16, 0, 1])


# ---- JPEG 2000 ----

JPEG2000S = {
    "rgb": (RGB, {}),
    "rgb, 16 bits": (DEEP, {}),
    "grey": (GREY, {}),
    "grey, 16 bits": (DEEP_GREY, {}),
    "alpha": (RGBA, {}),
    "grey, alpha": (RGBA[..., :2], {}),
    "12 bits": (DEEP >> 4, {"bitspersample": 12}),
    "5 bits": (RGB >> 3, {"bitspersample": 5}),
}


@pytest.mark.parametrize("kind", JPEG2000S)
@pytest.mark.parametrize("suffix", [".jp2", ".j2k"])
def test_jpeg_2000(tmp_path: Path, kind: str, suffix: str) -> None:
    array, options = JPEG2000S[kind]
    content = imagecodecs.jpeg2k_encode(array, level=0, codecformat=suffix[1:], reversible=True, **options)
    stored = array_of(put(tmp_path / f"a{suffix}", content))
    top = 2 ** options.get("bitspersample", 8 * array.itemsize) - 1
    depth = np.dtype(np.uint8 if top < 256 else np.uint16)
    np.testing.assert_array_equal(stored, np.rint(array * (np.iinfo(depth).max / top)).astype(depth))
    assert stored.dtype == depth


def box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(body), kind) + body


def boxed(extra: bytes, colour: bytes = b"\1\0\0\0\0\0\x10", array: np.ndarray = RGB) -> bytes:
    """A JP2 whose header boxes are made by hand."""
    stream = imagecodecs.jpeg2k_encode(array, level=0, codecformat="j2k", reversible=True)
    count = array.shape[2] if array.ndim == 3 else 1
    header = box(b"ihdr", struct.pack(">IIHBBBB", *array.shape[:2], count, 7, 7, 0, 0)) + box(b"colr", colour) + extra
    start = box(b"jP  ", b"\r\n\x87\n") + box(b"ftyp", b"jp2 \0\0\0\0jp2 ")
    return start + box(b"jp2h", header) + box(b"jp2c", stream)


def test_jpeg_2000_says_more(tmp_path: Path) -> None:
    resolution = box(b"res ", box(b"resc", struct.pack(">HHHHBB", 5906, 1, 11811, 1, 0, 0)))
    picture = image.read(put(tmp_path / "a.jpx", boxed(resolution, b"\2\0\0" + SRGB)))
    assert (picture.icc, picture.tags.density) == (SRGB, image.codecs.tags.Density(Fraction(11811), Fraction(5906)))
    np.testing.assert_array_equal(image.to_array(picture), RGB)
    table = RGB[0, :4]
    palette = box(b"pclr", struct.pack(">HB3B", 4, 3, 7, 7, 7) + table.tobytes())
    palette += box(b"cmap", b"".join(struct.pack(">HBB", 0, 1, n) for n in range(3)))
    stored = array_of(put(tmp_path / "p.jp2", boxed(palette, array=GREY % 4)))
    np.testing.assert_array_equal(stored, table[GREY % 4])
    opacity = struct.pack(">H", 4) + b"".join(struct.pack(">HHH", n, 0, n + 1) for n in range(3))
    half = np.array([[[50, 100, 0, 128]]], np.uint8).repeat(9, 0).repeat(9, 1)
    content = boxed(box(b"cdef", opacity + struct.pack(">HHH", 3, 2, 0)), array=half)
    assert array_of(put(tmp_path / "m.jp2", content))[0, 0].tolist() == [100, 199, 0, 128]


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (lambda: boxed(b"", b"\1\0\0\0\0\0\x0c", RGBA), "CMYK; convert it to RGB"),
        (lambda: boxed(b"", b"\1\0\0\0\0\0\x0e"), "Lab; convert it to RGB"),
        (lambda: boxed(b"", b"\1\0\0\0\0\0\x12"), "YCbCr; convert it to RGB"),
        (lambda: boxed(b"", b"\2\0\0" + SRGB[:16] + b"CMYK" + SRGB[20:]), "not for RGB or grey"),
        (lambda: imagecodecs.jpeg2k_encode(noise((9, 9, 5)), level=0, codecformat="j2k"), "5 channels"),
        (lambda: imagecodecs.jpeg2k_encode(GREY.astype(np.int16), level=0, codecformat="j2k"), "signed"),
    ],
)
def test_jpeg_2000_that_is_refused(tmp_path: Path, content: Callable[[], bytes], word: str) -> None:
    not_read(put(tmp_path / "a.jp2", content()), word)


# ---- PNM ----


def scaled(values: np.ndarray, top: int, depth: str) -> np.ndarray:
    return np.rint(values * (np.iinfo(depth).max / top)).astype(depth)


def words(array: np.ndarray) -> bytes:
    return " ".join(map(str, array.flatten().tolist())).encode()


TEN = DEEP >> 6
FLOATS = noise((9, 14, 3), "float32")
PNMS: dict[str, tuple[bytes, np.ndarray]] = {
    "P1": (b"P1\n# a bitmap\n4 2\n1 0 1 0\n0110\n", np.array([[0, 255, 0, 255], [255, 0, 0, 255]], np.uint8)),
    "P2": (b"P2 14 9 255\n" + words(GREY), GREY),
    "P2, comments": (b"P2\n#1\n14 #2\r9\n255\n#3\n" + words(GREY).replace(b" ", b" #4\n", 3), GREY),
    "P2, 15": (b"P2 14 9 15\n" + words(GREY >> 4), scaled(GREY >> 4, 15, "uint8")),
    "P3": (b"P3 14 9 255\n" + words(RGB), RGB),
    "P3, 1023": (b"P3 14 9 1023\n" + words(TEN), scaled(TEN, 1023, "uint16")),
    "P4": (b"P4 14 9\n" + np.packbits(GREY > 99, axis=1).tobytes(), np.where(GREY > 99, 0, 255).astype(np.uint8)),
    "P5": (b"P5 14 9 255\n" + GREY.tobytes(), GREY),
    "P5, 16 bits": (b"P5\n14 9\n65535\n" + DEEP_GREY.astype(">u2").tobytes(), DEEP_GREY),
    "P6": (b"P6\n# by hand\n14 9\n255\n" + RGB.tobytes(), RGB),
    "P6, 100": (b"P6 14 9 100\n" + (RGB % 101).tobytes(), scaled(RGB % 101, 100, "uint8")),
    "P6, 16 bits": (b"P6 14 9 65535 " + DEEP.astype(">u2").tobytes(), DEEP),
    "P6, 1023": (b"P6 14 9 1023\n" + TEN.astype(">u2").tobytes(), scaled(TEN, 1023, "uint16")),
    "PF": (b"PF\n14 9\n-1.0\n" + FLOATS[::-1].astype("<f4").tobytes(), FLOATS),
    "Pf, big-endian": (b"Pf\n14 9\n1.0\n" + FLOATS[::-1, :, 0].astype(">f4").tobytes(), FLOATS[..., 0]),
}


@pytest.mark.parametrize("kind", PNMS)
def test_pnm(tmp_path: Path, kind: str) -> None:
    content, expected = PNMS[kind]
    stored = array_of(put(tmp_path / "a.ppm", content))
    assert stored.dtype == expected.dtype
    np.testing.assert_array_equal(stored, expected)


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"P5 4 4 255\n" + bytes(15), "truncated PNM"),
        (b"P4 9 2\n" + bytes(3), "truncated PNM"),
        (b"P2 4 4 255\n1 2 3", "truncated PNM"),
        (b"P1 4 4\n101", "truncated PNM"),
        (b"P3 1 1 255\n1 x 3", "no number"),
        (b"P3 1 1 255\n1 -2 3", "no number"),
        (b"P2 1 1 9\n10", "beyond 9"),
        (b"P5 1 1 9\n\x0a", "beyond 9"),
        (b"P1 1 1\n2", "beyond 1"),
        (b"P2 1 1 99\n" + b"9" * 30, "beyond 99"),
        (b"P6 4", "header"),
        (b"P6 a b 255\n", "header"),
        (b"P6 0 4 255\n", "no pixels"),
        (b"P6 4 4 70000\n", "70000"),
        (b"P6 " + b"9" * 400 + b" 4 255\n", "header"),
        (b"P6 1e3 4 255\n", "PNM"),
        (b"P5 99999 99999 255\n", "99999x99999"),
        (b"P5 1 1 255\n\0P5 1 1 255\n\0", "PNM with 2 frames"),
        (b"PF 1 1 -1\n" + np.full(3, np.nan, "<f4").tobytes(), "NaN"),
    ],
)
def test_pnm_that_is_refused(tmp_path: Path, content: bytes, word: str) -> None:
    not_read(put(tmp_path / "a.ppm", content), word)


# ---- HDR ----

BRIGHT = np.abs(FLOATS) * 1000
HEAD = b"#?RADIANCE\n# made by hand\nEXPOSURE=2\nFORMAT=32-bit_rle_rgbe\n\n"


def rgbe(array: np.ndarray) -> bytes:
    """Pixels without run lengths."""
    return bytes(imagecodecs.rgbe_encode(array, header=False, rle=False))


STORED = imagecodecs.rgbe_decode(imagecodecs.rgbe_encode(BRIGHT))
HDRS: dict[str, tuple[bytes, np.ndarray]] = {
    "packed": (imagecodecs.rgbe_encode(BRIGHT), STORED),
    "plain": (HEAD + b"-Y 9 +X 14\n" + rgbe(BRIGHT), STORED),
    "upwards": (HEAD + b"+Y 9 +X 14\n" + rgbe(BRIGHT), STORED[::-1]),
    "leftwards": (HEAD + b"-Y 9 -X 14\n" + rgbe(BRIGHT), STORED[:, ::-1]),
    "by columns": (HEAD + b"+X 9 -Y 14\n" + rgbe(BRIGHT), STORED.swapaxes(0, 1)),
    "of old": (HEAD.replace(b"RADIANCE", b"RGBE") + b"-Y 9 +X 14\n" + rgbe(BRIGHT), STORED),
}


@pytest.mark.parametrize("kind", HDRS)
def test_hdr(tmp_path: Path, kind: str) -> None:
    content, expected = HDRS[kind]
    picture = image.read(put(tmp_path / "a.hdr", content))
    assert picture.depth == "float32"
    np.testing.assert_array_equal(image.to_array(picture), expected)
    assert np.abs(expected.max() / BRIGHT.max() - 1) < 0.01


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (HEAD.replace(b"rgbe", b"xyze") + b"-Y 9 +X 14\n", "32-bit_rle_rgbe"),
        (HEAD + b"-Y 9 +Y 14\n", "no size"),
        (HEAD[:-1], "no size"),
        (HEAD + b"-Y 99999 +X 99999\n", "99999x99999"),
    ],
)
def test_hdr_that_is_refused(tmp_path: Path, content: bytes, word: str) -> None:
    not_read(put(tmp_path / "a.hdr", content), word)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_tga_is_written(tmp_path: Path, channels: int) -> None:
    """By run lengths, as it was, without transparency that is everywhere the same being lost; Pillow reads the same."""
    samples = RGBA[..., :channels] if channels > 1 else GREY
    samples = np.repeat(samples, 5, axis=1)
    path = tmp_path / "o.tga"
    assert image.write(path, image.from_array(samples)) == []
    np.testing.assert_array_equal(array_of(path), samples)
    with Image.open(path) as read:
        np.testing.assert_array_equal(np.asarray(read), samples)
    assert len(path.read_bytes()) < samples.size + 100
    opaque = np.dstack([RGB, np.full(GREY.shape, 255, np.uint8)])
    image.write(path, image.from_array(opaque))
    np.testing.assert_array_equal(array_of(path), opaque)


def test_tga_holds_8_bits(tmp_path: Path) -> None:
    (notice,) = image.write(tmp_path / "o.tga", image.from_array(DEEP))
    assert "uint16 stored as uint8" in notice


def test_hdr_is_written(tmp_path: Path) -> None:
    """What one held comes back; grey becomes RGB, and what it cannot hold is said."""
    notices = image.write(tmp_path / "o.hdr", image.read(put(tmp_path / "a.hdr", HDRS["packed"][0])))
    np.testing.assert_array_equal(array_of(tmp_path / "o.hdr"), STORED)
    assert ["8 bits of each value" in notice for notice in notices] == [True]
    lost = image.write(tmp_path / "p.hdr", image.from_array(np.dstack([RGB, GREY])))
    assert "alpha dropped, HDR holds none" in " ".join(lost)
    np.testing.assert_allclose(array_of(tmp_path / "p.hdr"), RGB / 255.0, atol=1 / 127)
    image.write(tmp_path / "g.hdr", image.from_array(GREY))
    assert array_of(tmp_path / "g.hdr").shape == (9, 14, 3)


# ---- all ----

SMALL = {
    ".tga": TGAS["packed"][0],
    ".avif": imagecodecs.avif_encode(RGB, level=100, speed=10),
    ".jp2": imagecodecs.jpeg2k_encode(RGB, level=0),
    ".j2k": imagecodecs.jpeg2k_encode(RGB, level=0, codecformat="j2k"),
    ".ppm": PNMS["P6"][0],
    ".hdr": HDRS["packed"][0],
}


@pytest.mark.parametrize("suffix", SMALL)
@pytest.mark.parametrize("part", [0.1, 0.6, 0.98])
def test_what_is_cut_short_is_refused(tmp_path: Path, suffix: str, part: float, capfd: Any) -> None:
    content = SMALL[suffix]
    image.read(put(tmp_path / f"a{suffix}", content))
    not_read(put(tmp_path / f"a{suffix}", content[: int(len(content) * part)]), "export")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("suffix", SMALL)
def test_a_verb_reads_it_and_writes_some(texsynth: Texsynth, refused: Refused, tmp_path: Path, suffix: str) -> None:
    put(tmp_path / f"a{suffix}", SMALL[suffix])
    assert texsynth("synthesize", f"a{suffix}", "-o", "out/", "-p", "steady", "-q").code == 0
    assert image.read(tmp_path / "out" / f"a{suffix if suffix == '.hdr' else '.png'}").width == 28
    if suffix in (".tga", ".hdr"):
        assert texsynth("synthesize", f"a{suffix}", "-o", f"b{suffix}", "-p", "steady", "-q").code == 0
        assert image.read(tmp_path / f"b{suffix}").width == 28
        return
    line = refused(2, "synthesize", f"a{suffix}", "-o", f"b{suffix}", "-p", "steady", "-q")
    assert f"cannot write {suffix}; allowed: .png .jpg .jpeg .webp .tif .tiff .tga .hdr .exr" in line


def test_bytes_that_are_changed_do_no_harm(tmp_path: Path) -> None:
    """A file with a few bytes changed is read, or refused."""
    rng = np.random.default_rng(5)
    for suffix, content in SMALL.items():
        for _ in range(20):
            changed = np.frombuffer(content, np.uint8).copy()
            changed[rng.integers(0, len(changed), 3)] = rng.integers(0, 256, 3)
            path = put(tmp_path / f"a{suffix}", changed.tobytes())
            with suppress(InputError, ResourceError):
                image.read(path, 1 << 27)


@pytest.mark.parametrize("options", [{"lossless": True}, {"lossless": True, "exif": b"Exif"}, {"quality": 80}])
@pytest.mark.parametrize("channels", [3, 4])
def test_webp_says_its_size_before_anything_is_opened(
    tmp_path: Path, options: dict[str, Any], channels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved(Image.fromarray(noise((9, 300, channels))), tmp_path / "a.webp", **options)
    assert image.read(path, 1 << 20).alpha is None or channels == 4
    monkeypatch.setattr(Image, "open", raising(AssertionError("opened")))
    not_read(path, "300x9", kind=ResourceError, attempt=lambda p: image.read(p, 1 << 14))


def test_what_looks_like_a_picture() -> None:
    names = {"a.PNG": True, "a.tga": True, "a.psd": True, "a.exr": True, "a.txt": False, "a.json": False, "a": False}
    assert {name: image.looks_like_picture(Path(name)) for name in names} == names
