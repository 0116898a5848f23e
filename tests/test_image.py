"""Every kind of picture file that is read or written, and every kind that is refused with one clear line."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import threading
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
import torch
from PIL import Image, ImageCms, ImageFile

from texsynth.errors import BatchError, InputError, ResourceError, TexsynthError, UsageError, WeightsError
from texsynth.image import codecs
from texsynth.image import picture as image

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
GRAY = SRGB[:16] + b"GRAY" + SRGB[20:]
DEPTHS = ["uint8", "uint16", "float16", "float32"]


def noise(shape: tuple[int, ...], dtype: str = "uint8") -> np.ndarray:
    """Random samples: all levels for integers, values on both sides of [0, 1] for floats."""
    rng = np.random.default_rng(7)
    if dtype.startswith("uint"):
        return rng.integers(0, np.iinfo(dtype).max, shape, dtype=dtype, endpoint=True)
    values = rng.normal(0.5, 3, shape)
    if shape[-1] in (2, 4):
        values[..., -1] = rng.uniform(0, 1, shape[:-1])
    return values.astype(dtype)


def saved(picture: Image.Image, path: Path, **options: Any) -> Path:
    picture.save(path, **options)
    return path


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, bits: int, colour: int, rows: bytes, extra: bytes = b"") -> bytes:
    """A PNG made by hand: `rows` are unfiltered scan lines, each behind its filter byte."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + extra + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def put(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def refused(path: Path, *words: str) -> str:
    """The message of the InputError that reading `path` gives: one line with the name and all `words`."""
    with pytest.raises(InputError) as caught:
        image.read(path)
    return checked(caught.value, path, *words)


def checked(error: TexsynthError, path: Path, *words: str) -> str:
    message = str(error)
    assert "\n" not in message
    assert message.startswith(f"{path.name}: ")
    for word in words:
        assert word in message
    return message


def leftovers(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir() if p.name.endswith(".part"))


# ---- errors ----


def test_exit_codes() -> None:
    kinds = (TexsynthError, UsageError, InputError, ResourceError, WeightsError, BatchError)
    assert [kind.exit_code for kind in kinds] == [1, 2, 3, 4, 5, 6]
    assert all(issubclass(kind, TexsynthError) for kind in kinds)


# ---- round trips ----


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize(
    ("suffix", "depth"),
    [(".png", "uint8"), (".png", "uint16"), (".tiff", "uint8"), *((".tif", depth) for depth in DEPTHS)],
)
def test_exact_round_trip(tmp_path: Path, suffix: str, channels: int, depth: str) -> None:
    array = noise((11, 9, channels), depth)
    path = tmp_path / f"a{suffix}"
    assert image.write(path, image.from_array(array, icc=SRGB if channels > 2 else GRAY)) == []
    picture = image.read(path)
    assert (picture.depth, picture.height, picture.width) == (depth, 11, 9)
    assert picture.channels == (1 if channels < 3 else 3)
    assert (picture.alpha is not None) == (channels in (2, 4))
    assert picture.icc == (SRGB if channels > 2 else GRAY)
    back = image.to_array(picture)
    assert back.dtype == array.dtype
    np.testing.assert_array_equal(back.reshape(array.shape), array)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_every_16_bit_value_survives(tmp_path: Path, suffix: str) -> None:
    array = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    path = tmp_path / f"a{suffix}"
    image.write(path, image.from_array(array))
    picture = image.read(path)
    assert float(picture.pixels.max()) == 1.0
    np.testing.assert_array_equal(image.to_array(picture), array)
    stored = imagecodecs.png_decode(path.read_bytes()) if suffix == ".png" else tifffile.imread(path)
    np.testing.assert_array_equal(stored, array)


def test_scale_of_the_tensor(tmp_path: Path) -> None:
    path = put(tmp_path / "a.png", png(2, 1, 8, 2, b"\0\0\x33\xff\1\2\3"))
    pixels = image.read(path).pixels
    assert pixels.dtype == torch.float32
    assert pixels.shape == (1, 3, 1, 2)
    assert pixels[0, :, 0, 0].tolist() == pytest.approx([0, 0.2, 1])


def test_floats_are_kept_to_the_bit(tmp_path: Path) -> None:
    tiny = np.finfo(np.float32)
    array = np.array([[-7.5, tiny.max, tiny.smallest_subnormal, -0.0, 1 / 3]], np.float32)
    image.write(tmp_path / "a.tif", image.from_array(array))
    assert image.to_array(image.read(tmp_path / "a.tif")).tobytes() == array.tobytes()


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_webp_is_lossless(tmp_path: Path, channels: int) -> None:
    array = noise((9, 13, channels))
    array[0, :, -1] = 0  # colour under transparent pixels is kept too
    assert image.write(tmp_path / "a.webp", image.from_array(array)) == []
    picture = image.read(tmp_path / "a.webp")
    colour = array[..., : 1 if channels < 3 else 3]
    np.testing.assert_array_equal(image.to_array(picture)[..., :3], np.broadcast_to(colour, (9, 13, 3)))
    if channels in (2, 4):
        np.testing.assert_array_equal(image.to_array(picture)[..., 3], array[..., -1])


def test_jpeg_is_close_and_not_subsampled(tmp_path: Path) -> None:
    array = np.zeros((16, 16, 3), np.uint8)
    array[:, ::2] = (255, 0, 0)
    array[:, 1::2] = (0, 0, 255)
    assert image.write(tmp_path / "a.jpg", image.from_array(array, icc=SRGB)) == []
    picture = image.read(tmp_path / "a.jpg")
    assert np.abs(image.to_array(picture).astype(int) - array).max() < 20  # 4:2:0 would mix red and blue
    assert picture.icc == SRGB
    image.write(tmp_path / "grey.jpeg", image.from_array(array[..., 0]))
    assert image.read(tmp_path / "grey.jpeg").channels == 1


@pytest.mark.parametrize("shape", [(1, 1, 3), (3, 5000, 3), (5000, 3), (1, 7)])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_any_size_is_read(tmp_path: Path, shape: tuple[int, ...], suffix: str) -> None:
    array = noise(shape)
    image.write(tmp_path / f"a{suffix}", image.from_array(array))
    np.testing.assert_array_equal(image.to_array(image.read(tmp_path / f"a{suffix}")), array)


# ---- what other programs write ----


def test_16_bit_rgb_png_is_not_read_as_8_bit(tmp_path: Path) -> None:
    array = noise((5, 6, 3), "uint16")
    picture = image.read(put(tmp_path / "a.png", imagecodecs.png_encode(array)))
    assert picture.depth == "uint16"
    np.testing.assert_array_equal(image.to_array(picture), array)


PALETTE = chunk(b"PLTE", bytes(range(10, 22)))
SMALL_PNGS = {
    "grey 1 bit": (png(4, 1, 1, 0, b"\0\xa0"), [[255], [0], [255], [0]]),
    "grey 2 bit": (png(4, 1, 2, 0, b"\0\x1b"), [[0], [85], [170], [255]]),
    "grey 4 bit": (png(4, 1, 4, 0, b"\0\x0f\x37"), [[0], [255], [51], [119]]),
    "palette": (png(2, 1, 2, 3, b"\0\x40", PALETTE), [[13, 14, 15], [10, 11, 12]]),
    "palette, transparent": (
        png(2, 1, 2, 3, b"\0\x40", PALETTE + chunk(b"tRNS", b"\0\x80")),
        [[13, 14, 15, 128], [10, 11, 12, 0]],
    ),
    "grey, one value transparent": (
        png(2, 1, 8, 0, b"\0\5\6", chunk(b"tRNS", b"\0\5")),
        [[5, 0], [6, 255]],
    ),
    "16 bit, one value transparent": (
        png(2, 1, 16, 0, b"\0\1\2\3\4", chunk(b"tRNS", b"\3\4")),
        [[0x102, 65535], [0x304, 0]],
    ),
}


@pytest.mark.parametrize("kind", list(SMALL_PNGS))
def test_png_kinds(tmp_path: Path, kind: str) -> None:
    content, expected = SMALL_PNGS[kind]
    array = image.to_array(image.read(put(tmp_path / "a.png", content)))
    np.testing.assert_array_equal(array.reshape(len(expected), -1), expected)
    assert array.dtype == (np.uint16 if kind.startswith("16") else np.uint8)


def test_interlaced_png(tmp_path: Path) -> None:
    # Adam7 of one pixel is that pixel; only the flag in the header differs.
    content = bytearray(png(1, 1, 8, 2, b"\0\7\x08\x09"))
    content[28] = 1
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    assert image.to_array(image.read(put(tmp_path / "a.png", bytes(content)))).tolist() == [[[7, 8, 9]]]


TIFFS = {
    "planar": {"planarconfig": "separate", "photometric": "rgb"},
    "big-endian": {"byteorder": ">", "photometric": "rgb"},
    "lzw": {"compression": "lzw", "photometric": "rgb"},
    "deflate with predictor": {"compression": "deflate", "predictor": True, "photometric": "rgb"},
    "packbits": {"compression": "packbits", "photometric": "rgb"},
    "tiled": {"tile": (16, 16), "compression": "lzw", "photometric": "rgb"},
    "strips": {"rowsperstrip": 3, "photometric": "rgb"},
    "bigtiff": {"bigtiff": True, "photometric": "rgb"},
    "no colour kind": {"photometric": "minisblack", "planarconfig": "contig"},
}


@pytest.mark.parametrize("kind", list(TIFFS))
@pytest.mark.parametrize("depth", ["uint8", "uint16", "float32"])
def test_tiff_layouts(tmp_path: Path, kind: str, depth: str) -> None:
    array = noise((20, 30, 3), depth)
    stored = np.moveaxis(array, -1, 0) if kind == "planar" else array
    tifffile.imwrite(tmp_path / "a.tif", stored, **TIFFS[kind])
    picture = image.read(tmp_path / "a.tif")
    assert picture.depth == depth
    np.testing.assert_array_equal(image.to_array(picture), array)


def test_tiff_palette_one_bit_and_inverted(tmp_path: Path) -> None:
    array = noise((8, 9, 3))
    palette = Image.fromarray(array).quantize(16)
    read = image.to_array(image.read(saved(palette, tmp_path / "p.tif")))
    np.testing.assert_array_equal(read, np.asarray(palette.convert("RGB")))
    bits = array[..., 0] > 127
    for name, options in {"raw.tif": {}, "g4.tif": {"compression": "group4"}}.items():
        read = image.to_array(image.read(saved(Image.fromarray(bits), tmp_path / name, **options)))
        np.testing.assert_array_equal(read, bits * np.uint8(255))
    tifffile.imwrite(tmp_path / "inverted.tif", 255 - array[..., 0], photometric="miniswhite")
    np.testing.assert_array_equal(image.to_array(image.read(tmp_path / "inverted.tif")), array[..., 0])
    tifffile.imwrite(tmp_path / "four.tif", array[..., 0] >> 4, photometric="minisblack", bitspersample=4)
    np.testing.assert_array_equal(image.to_array(image.read(tmp_path / "four.tif")), (array[..., 0] >> 4) * 17)


def test_tiff_premultiplied_alpha_is_divided_out(tmp_path: Path) -> None:
    stored = np.array([[[50, 100, 0, 128], [9, 9, 9, 0], [1, 2, 255, 255]]], np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="rgb", extrasamples=("assocalpha",))
    expected = [[[100, 199, 0, 128], [0, 0, 0, 0], [1, 2, 255, 255]]]
    assert image.to_array(image.read(tmp_path / "a.tif")).tolist() == expected


def test_tiff_jpeg_and_thumbnail(tmp_path: Path) -> None:
    array = np.full((16, 16, 3), (200, 40, 90), np.uint8)
    ycc = saved(Image.fromarray(array).convert("YCbCr"), tmp_path / "jpeg.tif", compression="jpeg")
    assert np.abs(image.to_array(image.read(ycc)).astype(int) - array).max() < 8
    with tifffile.TiffWriter(tmp_path / "thumb.tif") as out:
        out.write(array, photometric="rgb", metadata=None)
        out.write(array[::4, ::4], photometric="rgb", subfiletype=1, metadata=None)
        out.write(array[..., 0] > 9, photometric="mask", subfiletype=4, metadata=None)
    assert image.read(tmp_path / "thumb.tif").width == 16


def test_cmyk_jpeg_becomes_rgb_without_its_profile(tmp_path: Path) -> None:
    cmyk = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    picture = image.read(saved(cmyk, tmp_path / "a.jpg", icc_profile=SRGB[:16] + b"CMYK" + SRGB[20:]))
    assert np.abs(image.to_array(picture).astype(int) - (255, 0, 0)).max() < 10
    assert picture.icc is None


def test_bmp_gif_and_a_phone_jpeg_with_preview(tmp_path: Path) -> None:
    array = noise((8, 8, 3))
    picture = Image.fromarray(array)
    np.testing.assert_array_equal(image.to_array(image.read(saved(picture, tmp_path / "a.bmp"))), array)
    gif = picture.quantize(9)
    gif = image.read(saved(gif, tmp_path / "a.gif", transparency=3))
    assert gif.alpha is not None
    assert set(gif.alpha.flatten().tolist()) == {0.0, 1.0}
    mpo = saved(picture, tmp_path / "a.mpo", save_all=True, append_images=[picture.resize((4, 4))])
    assert image.read(mpo.rename(tmp_path / "phone.jpg")).width == 8


def test_content_decides_not_the_suffix(tmp_path: Path) -> None:
    array = noise((8, 8, 3), "uint16")
    path = put(tmp_path / "a.jpg", imagecodecs.png_encode(array))
    np.testing.assert_array_equal(image.to_array(image.read(path)), array)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied(tmp_path: Path, suffix: str, orientation: int) -> None:
    flat = np.zeros((24, 16), np.uint8)
    flat[:8, :8] = 255  # a corner that ends up elsewhere in each of the eight cases
    flat[:8, 8:] = 120
    exif = Image.Exif()
    exif[0x0112] = orientation
    options: dict[str, Any] = {"tiffinfo": {0x0112: orientation}} if suffix == ".tif" else {"exif": exif}
    path = saved(Image.fromarray(flat), tmp_path / f"a{suffix}", **options, quality=95, lossless=True)
    shown = [flat, flat[:, ::-1], flat[::-1, ::-1], flat[::-1], flat.T]
    shown += [np.rot90(flat, -1), np.rot90(flat.T, 2), np.rot90(flat)]
    pixels = image.rgb(image.read(path))[0, 0].numpy() * 255
    assert pixels.shape == shown[orientation - 1].shape
    assert np.abs(pixels - shown[orientation - 1]).max() < 12


def test_damaged_exif_and_profile_do_not_matter(tmp_path: Path) -> None:
    for junk in (b"II*\0\xff\xff\xff\xff", b"junk", b"MM\0*\0\0\0\x08\xff\xff"):
        content = png(1, 1, 8, 0, b"\0\7", chunk(b"eXIf", junk) + chunk(b"iCCP", b"x\0\0" + zlib.compress(SRGB)[:-9]))
        picture = image.read(put(tmp_path / "a.png", content))
        assert image.to_array(picture).tolist() == [[7]]
        assert picture.icc is None


@pytest.mark.parametrize(("first", "second"), [(".png", ".tif"), (".tif", ".webp"), (".jpg", ".png")])
def test_profile_goes_from_file_to_file(tmp_path: Path, first: str, second: str) -> None:
    source = saved(Image.fromarray(noise((8, 8, 3))), tmp_path / f"a{first}", icc_profile=SRGB)
    assert image.write(tmp_path / f"b{second}", image.read(source)) == []
    with Image.open(tmp_path / f"b{second}") as other:
        assert other.info["icc_profile"] == SRGB


# ---- losses ----


@pytest.mark.parametrize(
    ("depth", "channels", "suffix", "expected", "words"),
    [
        ("uint16", 3, ".jpg", "uint8", ["uint16", "uint8", "JPEG"]),
        ("uint16", 4, ".webp", "uint8", ["uint16", "uint8", "WebP"]),
        ("float32", 3, ".png", "uint16", ["float32", "uint16", "clamped"]),
        ("float16", 4, ".png", "uint16", ["float16", "uint16", "clamped"]),
        ("float32", 1, ".jpg", "uint8", ["float32", "uint8", "clamped"]),
        ("uint8", 4, ".jpg", "uint8", ["alpha"]),
        ("uint8", 2, ".jpg", "uint8", ["alpha"]),
    ],
)
def test_losses_are_told(
    tmp_path: Path, depth: str, channels: int, suffix: str, expected: str, words: list[str]
) -> None:
    picture = image.from_array(noise((8, 8, channels), depth))
    notices = image.write(tmp_path / f"a{suffix}", picture)
    assert len(notices) == 1
    assert notices[0].startswith(f"a{suffix}: ")
    assert "\n" not in notices[0]
    assert all(word in notices[0] for word in words)
    assert image.read(tmp_path / f"a{suffix}").depth == expected


def test_float_to_png_clamps_and_rounds(tmp_path: Path) -> None:
    image.write(tmp_path / "a.png", image.from_array(np.array([[-1, 0.25, 7]], np.float32)))
    assert image.to_array(image.read(tmp_path / "a.png")).tolist() == [[0, 16384, 65535]]


def test_a_profile_of_another_colour_kind_is_dropped(tmp_path: Path) -> None:
    notices = image.write(tmp_path / "a.png", image.from_array(noise((8, 8, 3)), icc=GRAY))
    assert len(notices) == 1
    assert "ICC" in notices[0]
    assert image.read(tmp_path / "a.png").icc is None
    assert image.write(tmp_path / "a.webp", image.from_array(noise((8, 8)), icc=SRGB)) == []


# ---- metadata ----

RECORD = {"seed": 3, "text": "é\n", "nested": {"a": [1, 2.5, None]}}


@pytest.mark.parametrize("depth", ["uint8", "uint16"])
def test_metadata_inside_png(tmp_path: Path, depth: str) -> None:
    path = tmp_path / "a.png"
    image.write(path, image.from_array(noise((8, 8, 3), depth), icc=SRGB), metadata=RECORD)
    assert image.read_metadata(path) == RECORD
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]
    with Image.open(path) as other:
        other.load()
        assert json.loads(other.info["texsynth"]) == RECORD
        assert other.info["icc_profile"] == SRGB


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".tif"])
def test_metadata_beside_other_formats(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.b{suffix}"
    picture = image.from_array(noise((8, 8, 3)))
    image.write(path, picture, metadata={"old": 1})
    assert image.write(path, picture, metadata=RECORD) == []
    assert image.read_metadata(path) == RECORD
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(["a.b.json", path.name])


def test_metadata_absent_or_foreign(tmp_path: Path) -> None:
    picture = image.from_array(noise((8, 8, 3)))
    for name in ("a.png", "a.jpg"):
        image.write(tmp_path / name, picture)
        assert image.read_metadata(tmp_path / name) is None
    for foreign in ('{"mine": 1}', "[1]", "no json", '{"texsynth": 1}'):
        (tmp_path / "a.json").write_text(foreign)
        notices = image.write(tmp_path / "a.jpg", picture, metadata=RECORD)
        assert [notice.startswith("a.jpg: metadata not stored, a.json") for notice in notices] == [True]
        assert (tmp_path / "a.json").read_text() == foreign
        assert image.read_metadata(tmp_path / "a.jpg") is None
    with pytest.raises(InputError) as caught:
        image.read_metadata(tmp_path / "none.png")
    checked(caught.value, tmp_path / "none.png", "no such file")


# ---- files that are refused ----


def test_missing_folder_empty_and_not_a_picture(tmp_path: Path) -> None:
    refused(tmp_path / "none.png", "no such file", str(tmp_path))
    (tmp_path / "folder.png").mkdir()
    refused(tmp_path / "folder.png", "is a folder or a device")
    refused(put(tmp_path / "empty.png", b""), "0 bytes")
    refused(put(tmp_path / "text.png", b"hello, this is text\n"), "no picture", ".png")
    refused(put(tmp_path / "a.heic", b"anything"), ".heic", "allowed", ".png", ".tif")
    refused(put(tmp_path / "bare", b"anything"), "no suffix")
    for form in (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II*\0", b"BM", b"GIF8", b"RIFF0000WEBP"):
        refused(put(tmp_path / "head.png", form + b" and then nonsense" * 9), "truncated")


def test_a_name_of_two_lines_gives_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        image.read(tmp_path / "two\nlines.png")
    assert str(caught.value).startswith("two lines.png: ")
    assert "\n" not in str(caught.value)


def test_permission_denied_and_lack_of_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put(tmp_path / "a.png", png(1, 1, 8, 0, b"\0\7"))

    def no_memory(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(imagecodecs, "png_decode", no_memory)
    with pytest.raises(ResourceError) as caught:
        image.read(path)
    checked(caught.value, path, "memory")

    def denied(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", denied)
    refused(path, "Permission denied")


SAVE_OPTIONS: dict[str, dict[str, Any]] = {".webp": {"lossless": True}, ".tif": {"compression": "tiff_lzw"}}


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif", ".bmp", ".gif"])
@pytest.mark.parametrize("part", [0.03, 0.5, 0.9])
def test_truncated(
    tmp_path: Path,
    suffix: str,
    part: float,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)  # what a host program may have set
    path = saved(Image.fromarray(noise((40, 50, 3))), tmp_path / f"a{suffix}", **SAVE_OPTIONS.get(suffix, {}))
    content = path.read_bytes()
    form = {".jpg": "JPEG", ".tif": "TIFF", ".webp": "WebP"}.get(suffix, suffix[1:].upper())
    refused(put(path, content[: int(len(content) * part)]), f"truncated {form}")
    assert capfd.readouterr() == ("", "")
    assert ImageFile.LOAD_TRUNCATED_IMAGES


def test_truncated_16_bit_png_and_missing_end(tmp_path: Path) -> None:
    content = imagecodecs.png_encode(noise((40, 50, 3), "uint16"))
    refused(put(tmp_path / "a.png", content[:-100]), "truncated PNG")
    refused(put(tmp_path / "b.png", content[:-12]), "truncated PNG")
    refused(put(tmp_path / "c.png", png(40, 50, 8, 0, b"\0" * 60)), "truncated PNG")
    flipped = bytearray(content)
    flipped[len(content) // 2] ^= 255
    refused(put(tmp_path / "d.png", bytes(flipped)), "damaged")


def tag_changed(path: Path, code: int, value: int) -> None:
    """Overwrite one number in the first directory of a little-endian TIFF."""
    with tifffile.TiffFile(path, mode="r+b") as tif:
        tif.pages[0].tags[code].overwrite(value)  # type: ignore[union-attr]


def test_tiff_with_missing_strips(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    array = noise((40, 50, 3))
    tifffile.imwrite(path, array, photometric="rgb", compression="zlib", rowsperstrip=40, metadata=None)
    tag_changed(path, 257, 80)  # twice the height, one strip as before
    refused(path, "truncated TIFF")
    tifffile.imwrite(path, array, photometric="rgb", compression="zlib", rowsperstrip=40, metadata=None)
    tag_changed(path, 279, 0)
    refused(path, "truncated TIFF")


def test_bombs_are_refused_before_decoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def decoded(*_: object, **__: object) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr(imagecodecs, "png_decode", decoded)
    monkeypatch.setattr(Image.Image, "convert", decoded)
    monkeypatch.setattr(tifffile.TiffPage, "asarray", decoded)
    for bits in (1, 8, 16):
        refused(put(tmp_path / "a.png", png(16385, 16384, bits, 0, b"\0")), "16385x16384", str(2**28))
    gif = bytearray(saved(Image.new("P", (2, 2)), tmp_path / "a.gif").read_bytes())
    gif[6:10] = struct.pack("<HH", 60000, 60000)
    refused(put(tmp_path / "a.gif", bytes(gif)), "60000x60000", str(2**28))
    jpeg = bytearray(saved(Image.new("RGB", (8, 8)), tmp_path / "a.jpg").read_bytes())
    at = jpeg.index(b"\xff\xc0") + 5
    jpeg[at : at + 4] = struct.pack(">HH", 65000, 65000)
    refused(put(tmp_path / "a.jpg", bytes(jpeg)), "65000x65000", str(2**28))
    tifffile.imwrite(tmp_path / "a.tif", noise((4, 4)), photometric="minisblack", metadata=None)
    tag_changed(tmp_path / "a.tif", 256, 2**20)
    tag_changed(tmp_path / "a.tif", 257, 2**20)
    refused(tmp_path / "a.tif", "1048576x1048576", str(2**28))
    tifffile.imwrite(tmp_path / "a.tif", noise((16, 16)), tile=(16, 16), compression="zlib", metadata=None)
    tag_changed(tmp_path / "a.tif", 322, 2**15)
    tag_changed(tmp_path / "a.tif", 323, 2**15)
    refused(tmp_path / "a.tif", "32768x32768", str(2**28))
    refused(put(tmp_path / "b.png", png(1_000_001, 1, 8, 0, b"\0")), "1000001x1", "1000000 pixels per side")


def test_pillows_own_limit_is_not_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 4)
    path = saved(Image.new("RGB", (8, 8)), tmp_path / "a.bmp")
    assert image.read(path).width == 8
    assert Image.MAX_IMAGE_PIXELS == 4


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png", ".tif"])
def test_several_frames(tmp_path: Path, suffix: str) -> None:
    frames = [Image.fromarray(np.roll(noise((16, 16, 3)), n)) for n in range(3)]
    path = tmp_path / f"a{suffix}"
    frames[0].save(path, save_all=True, append_images=frames[1:])
    refused(path, "3 frames", "one")


@pytest.mark.parametrize("kind", ["uint32", "int16", "int8", "float64", "uint64", "complex64"])
def test_tiff_of_another_depth(tmp_path: Path, kind: str) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.ones((8, 8), kind))
    refused(tmp_path / "a.tif", kind, "float32", "16-bit")


def test_tiff_of_other_kinds(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.ones((8, 8), np.uint16), bitspersample=12)
    refused(path, "12-bit")
    tifffile.imwrite(path, noise((8, 8, 5)), photometric="rgb", planarconfig="contig")
    refused(path, "5 channels", "1 to 4")
    tifffile.imwrite(path, noise((16, 16, 16)), volumetric=True, tile=(16, 16, 16))
    refused(path, "depth 16")
    refused(saved(Image.new("CMYK", (8, 8)), path), "SEPARATED", "RGB")
    refused(saved(Image.new("LAB", (8, 8)), path), "CIELAB", "RGB")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("depth", ["float16", "float32"])
def test_not_finite(tmp_path: Path, bad: float, depth: str) -> None:
    array = noise((8, 8, 3), depth)
    array[3, 4, 1] = bad
    tifffile.imwrite(tmp_path / "a.tif", array, photometric="rgb")
    refused(tmp_path / "a.tif", "NaN or infinite")
    with pytest.raises(InputError, match="NaN"):
        image.from_array(array)
    picture = image.from_array(np.ones((8, 8), np.float32))
    picture.pixels[0, 0, 1, 1] = bad
    with pytest.raises(TexsynthError, match="NaN") as caught:
        image.write(tmp_path / "out.png", picture)
    assert caught.value.exit_code == 1
    assert not (tmp_path / "out.png").exists()


def test_libraries_say_nothing(tmp_path: Path) -> None:
    """Files that make libpng, tifffile and Pillow warn are read in silence.

    In a process of its own, because pytest catches warnings and log records before they reach stderr.
    """
    exif = chunk(b"eXIf", b"II*\0\xff\xff\xff\xff")
    put(tmp_path / "a.png", png(4, 1, 8, 0, b"\0\1\2\3\4" * 9, exif))
    tifffile.imwrite(tmp_path / "b.tif", noise((8, 8)), metadata=None)
    content = bytearray((tmp_path / "b.tif").read_bytes())
    (count,) = struct.unpack_from("<H", content, 8)
    struct.pack_into("<I", content, 10 + 12 * count, 2**30)  # next page far beyond the end
    put(tmp_path / "b.tif", bytes(content))
    code = (
        "import sys\nfrom texsynth.image import picture as image\n"
        "for path in image.list_pictures(sys.argv[1]): print(image.read(path).depth)"
    )
    command = [sys.executable, "-W", "default", "-c", code, str(tmp_path)]
    root = Path(__file__).parent.parent
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=root)
    assert done.stdout == "uint8\nuint8\n"
    assert done.stderr == ""


def test_library_settings_are_changed_by_one_thread_at_a_time() -> None:
    inside: list[bool] = []

    def enter() -> None:
        with codecs._library("problem"):
            inside.append(True)

    other = threading.Thread(target=enter)
    with codecs._library("problem"):
        other.start()
        other.join(0.1)
        assert not inside
    other.join()
    assert inside


# ---- writing ----


def test_paths_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = image.from_array(noise((8, 8, 3)))

    def both_refuse(path: Path, *words: str) -> None:
        for attempt in (lambda: image.check_writable(path), lambda: image.write(path, picture)):
            with pytest.raises(UsageError) as caught:
                attempt()
            checked(caught.value, path, *words)

    both_refuse(tmp_path / "a.bmp", ".bmp", ".png", ".tif")
    both_refuse(tmp_path / "bare", "no suffix")
    both_refuse(tmp_path / "none" / "a.png", "no folder", "create")
    (tmp_path / "file").write_text("")
    both_refuse(tmp_path / "file" / "a.png", "no folder")
    (tmp_path / "d.png").mkdir()
    both_refuse(tmp_path / "d.png", "is a folder")
    image.check_writable(tmp_path / "a.png")
    monkeypatch.setattr(os, "access", lambda *_: False)
    both_refuse(tmp_path / "a.png", "not writable")
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize(("name", "side"), [("a.webp", 16384), ("a.jpg", 65501), ("a.png", 1_000_001)])
def test_sides_a_format_cannot_hold(tmp_path: Path, name: str, side: int, capfd: pytest.CaptureFixture[str]) -> None:
    for attempt in (
        lambda: image.check_writable(tmp_path / name, (side, 1)),
        lambda: image.write(tmp_path / name, image.from_array(np.zeros((1, side), np.uint8))),
    ):
        with pytest.raises(UsageError) as caught:
            attempt()
        checked(caught.value, tmp_path / name, str(side - 1), ".tif")
    image.check_writable(tmp_path / name, (side - 1, 1))
    assert capfd.readouterr() == ("", "")


def test_the_longest_side_is_written_and_read(tmp_path: Path) -> None:
    for form, side in codecs.MAX_SIDE.items():
        path = tmp_path / f"a.{form.lower()}"
        image.write(path, image.from_array(np.zeros((1, side), np.uint8)))
        assert image.read(path).width == side


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.jpg", "a.webp"])
@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), KeyboardInterrupt(), MemoryError()])
@pytest.mark.parametrize("old", [b"old", None])
def test_a_failed_write_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, failure: BaseException, old: bytes | None
) -> None:
    if old:
        put(tmp_path / name, old)
    before = sorted(tmp_path.iterdir())
    real = Path.write_bytes

    def half(self: Path, content: bytes) -> int:
        real(self, content[: len(content) // 2])
        assert leftovers(tmp_path)  # the temporary file is in the same folder, under another name
        raise failure

    monkeypatch.setattr(Path, "write_bytes", half)
    expected = KeyboardInterrupt if isinstance(failure, KeyboardInterrupt) else ResourceError
    with pytest.raises(expected) as caught:
        image.write(tmp_path / name, image.from_array(noise((8, 8, 3))), metadata=RECORD)
    if isinstance(caught.value, TexsynthError):
        checked(caught.value, tmp_path / name)
    assert sorted(tmp_path.iterdir()) == before
    assert not old or (tmp_path / name).read_bytes() == old


def test_a_failed_encoder_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("first\nsecond")

    monkeypatch.setattr(imagecodecs, "png_encode", fail)
    put(tmp_path / "a.png", b"old")
    with pytest.raises(TexsynthError) as caught:
        image.write(tmp_path / "a.png", image.from_array(noise((8, 8, 3))))
    checked(caught.value, tmp_path / "a.png", "first second")
    assert (tmp_path / "a.png").read_bytes() == b"old"
    assert leftovers(tmp_path) == []


def test_a_failed_rename_removes_both_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(UsageError) as caught:
        image.write(tmp_path / "a.jpg", image.from_array(noise((8, 8, 3))), metadata=RECORD)
    checked(caught.value, tmp_path / "a.jpg", "Permission denied")
    assert list(tmp_path.iterdir()) == []


def test_threads_read_and_write_together(tmp_path: Path) -> None:
    arrays = [np.roll(noise((32, 32, 3)), n) for n in range(8)]
    same: list[bool] = []

    def work(number: int) -> None:
        path = tmp_path / f"{number}{('.png', '.tif', '.webp')[number % 3]}"
        for _ in range(5):
            image.write(path, image.from_array(arrays[number]))
            same.append(bool((image.to_array(image.read(path)) == arrays[number]).all()))

    limit = Image.MAX_IMAGE_PIXELS
    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert same == [True] * 40
    assert limit == Image.MAX_IMAGE_PIXELS


# ---- in memory ----


def test_list_pictures(tmp_path: Path) -> None:
    for name in ("b.PNG", "a.tif", "c.json", ".hidden.png", ".a.png.1.part"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "folder.png").mkdir()
    assert [p.name for p in image.list_pictures(tmp_path)] == ["a.tif", "b.PNG"]
    for folder, word in ((tmp_path / "folder.png", "no pictures"), (tmp_path / "none", "No such file")):
        with pytest.raises(InputError, match=word) as caught:
            image.list_pictures(folder)
        assert str(folder) in str(caught.value)


def test_rgb_and_exemplar_size() -> None:
    grey = image.from_array(noise((8, 9)))
    assert image.rgb(grey).shape == (1, 3, 8, 9)
    assert all(torch.equal(image.rgb(grey)[:, n], grey.pixels[:, 0]) for n in range(3))
    colour = image.from_array(noise((8, 9, 3)))
    assert torch.equal(image.rgb(colour), colour.pixels)
    image.check_exemplar_size(grey, "a.png")
    with pytest.raises(InputError, match=r"^a\.png: exemplar is 1x9; at least 8x8 pixels are needed$"):
        image.check_exemplar_size(image.from_array(noise((9, 1))), "a.png")


def test_arrays() -> None:
    for dtype in DEPTHS:
        for shape in ((5, 4), (5, 4, 2), (5, 4, 3), (5, 4, 4)):
            array = noise(shape, dtype)
            np.testing.assert_array_equal(image.to_array(image.from_array(array)), array)
    assert image.from_array(noise((5, 4, 1))).pixels.shape == (1, 1, 5, 4)
    double = image.from_array(np.array([[0.1, 2.0]]))
    assert double.depth == "float32"
    assert double.pixels.flatten().tolist() == pytest.approx([0.1, 2.0])
    view = noise((5, 4, 3))[::-1, ::2].astype(">u2")
    np.testing.assert_array_equal(image.to_array(image.from_array(view)), view)


def test_arrays_share_no_memory_and_alpha_stays_in_range() -> None:
    array = np.full((1, 1, 3), 0.5, np.float32)
    picture = image.from_array(array)
    array[:] = 0
    assert float(picture.pixels.min()) == 0.5
    clamped = image.from_array(np.array([[[0.5, 7.0], [0.5, -1.0]]], np.float32)).alpha
    assert clamped is not None
    assert clamped.flatten().tolist() == [1.0, 0.0]
    huge = replace(image.from_array(np.array([[1e9, -1e9]], np.float32)), depth="float16")
    assert image.to_array(huge).tolist() == [[65504.0, -65504.0]]


@pytest.mark.parametrize(
    ("array", "word"),
    [
        (np.zeros((4, 4), np.int32), "int32"),
        (np.zeros((4, 4), bool), "bool"),
        (np.zeros((4,), np.uint8), r"\(4,\)"),
        (np.zeros((4, 4, 5), np.uint8), r"\(4, 4, 5\)"),
        (np.zeros((0, 4, 3), np.uint8), r"\(0, 4, 3\)"),
        (np.full((2, 2), 1e300), "too large"),
    ],
)
def test_arrays_that_are_refused(array: np.ndarray, word: str) -> None:
    with pytest.raises(InputError, match=word) as caught:
        image.from_array(array)
    assert "\n" not in str(caught.value)
    assert "allowed" in str(caught.value)


def test_pictures_that_are_refused() -> None:
    good = torch.zeros(1, 3, 4, 5)
    for arguments, word in (
        ({"pixels": torch.zeros(3, 4, 5)}, "shape"),
        ({"pixels": torch.zeros(1, 2, 4, 5)}, "shape"),
        ({"pixels": torch.zeros(1, 3, 0, 5)}, "shape"),
        ({"pixels": good.double()}, "float64"),
        ({"pixels": good, "alpha": torch.zeros(1, 1, 5, 4)}, "alpha"),
        ({"pixels": good, "alpha": torch.zeros(1, 1, 4, 5).half()}, "float16"),
        ({"pixels": good, "depth": "int8"}, "int8"),
    ):
        with pytest.raises(InputError, match=word):
            image.Picture(**arguments)  # type: ignore[arg-type]


def test_a_picture_that_needs_gradients_is_written(tmp_path: Path) -> None:
    pixels = torch.full((1, 3, 8, 8), 0.5, requires_grad=True)
    image.write(tmp_path / "a.png", image.Picture(pixels))
    assert set(imagecodecs.png_decode((tmp_path / "a.png").read_bytes()).flatten()) == {128}
