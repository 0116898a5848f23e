"""Every kind of picture file that is read or written, and pictures in memory."""

from __future__ import annotations

import struct
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from picture_files import DEPTHS, GRAY, SRGB, array_of, chunk, noise, png, put, saved
from texsynth.errors import InputError
from texsynth.image import picture as image
from texsynth.image.codecs import scanlines as codec


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
    np.testing.assert_array_equal(image.to_array(picture).reshape(array.shape), array)


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


@pytest.mark.parametrize("depth", ["uint8", "uint16"])
@pytest.mark.parametrize("at_once", [1, 1000, 1 << 18])
def test_a_png_is_as_small_as_that_of_libpng(monkeypatch: pytest.MonkeyPatch, depth: str, at_once: int) -> None:
    """Every filter is used, and the rows before a block of rows are seen from it. Only libpng reads it."""
    monkeypatch.setattr(codec, "FILTERED", at_once)
    high = np.iinfo(depth).max
    y, x = np.mgrid[:40, :120].astype(float)
    same, ramps = noise((1, 120, 3), depth).repeat(40, 0), np.stack([x / 120, y / 40, (x + y) / 160], -1) * high
    grain = ramps * 0.8 + noise((40, 120, 3), depth) / 20
    array = np.concatenate([noise((40, 120, 3), depth), same, ramps, grain]).astype(depth)
    content, _ = image.encoded(image.from_array(array), image.format_named("PNG"), "a")
    np.testing.assert_array_equal(imagecodecs.png_decode(content), array)
    assert len(content) < 1.03 * len(imagecodecs.png_encode(array))
    rows = zlib.decompress(content[content.index(b"IDAT") + 4 : -16])  # before its checksum and the last chunk
    assert set(rows[:: len(rows) // len(array)]) == {0, 1, 2, 3}


def test_scale_of_the_tensor(tmp_path: Path) -> None:
    pixels = image.read(put(tmp_path / "a.png", png(2, 1, 8, 2, b"\0\0\x33\xff\1\2\3"))).pixels
    assert (pixels.dtype, pixels.shape) == (torch.float32, (1, 3, 1, 2))
    assert pixels[0, :, 0, 0].tolist() == pytest.approx([0, 0.2, 1])


def test_floats_are_kept_to_the_bit(tmp_path: Path) -> None:
    tiny = np.finfo(np.float32)
    array = np.array([[-7.5, tiny.max, tiny.smallest_subnormal, -0.0, 1 / 3]], np.float32)
    image.write(tmp_path / "a.tif", image.from_array(array))
    assert array_of(tmp_path / "a.tif").tobytes() == array.tobytes()


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_webp_is_lossless(tmp_path: Path, channels: int) -> None:
    array = noise((9, 13, channels))
    array[0, :, -1] = 0  # colour under transparent pixels is kept too
    assert image.write(tmp_path / "a.webp", image.from_array(array)) == []
    stored = array_of(tmp_path / "a.webp")
    np.testing.assert_array_equal(stored[..., :3], np.broadcast_to(array[..., : 1 if channels < 3 else 3], (9, 13, 3)))
    if channels in (2, 4):
        np.testing.assert_array_equal(stored[..., 3], array[..., -1])


def test_jpeg_is_close_and_not_subsampled(tmp_path: Path) -> None:
    array = np.tile(np.array([[255, 0, 0], [0, 0, 255]], np.uint8), (16, 8, 1))
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
    np.testing.assert_array_equal(array_of(tmp_path / f"a{suffix}"), array)


@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
def test_a_16_bit_png_of_any_suffix_is_read_as_what_it_is(tmp_path: Path, name: str) -> None:
    array = noise((5, 6, 3), "uint16")
    stored = array_of(put(tmp_path / name, imagecodecs.png_encode(array)))
    assert stored.dtype == np.uint16
    np.testing.assert_array_equal(stored, array)


PALETTE, ALPHAS = chunk(b"PLTE", bytes(range(10, 22))), chunk(b"tRNS", b"\0\x80")
SMALL_PNGS = {
    "grey 1 bit": (png(4, 1, 1, 0, b"\0\xa0"), [[255], [0], [255], [0]]),
    "grey 2 bit": (png(4, 1, 2, 0, b"\0\x1b"), [[0], [85], [170], [255]]),
    "grey 4 bit": (png(4, 1, 4, 0, b"\0\x0f\x37"), [[0], [255], [51], [119]]),
    "palette": (png(2, 1, 2, 3, b"\0\x40", PALETTE), [[13, 14, 15], [10, 11, 12]]),
    "palette, alpha": (png(2, 1, 2, 3, b"\0\x40", PALETTE + ALPHAS), [[13, 14, 15, 128], [10, 11, 12, 0]]),
    "grey, one value clear": (png(2, 1, 8, 0, b"\0\5\6", chunk(b"tRNS", b"\0\5")), [[5, 0], [6, 255]]),
    "16 bit, one clear": (png(2, 1, 16, 0, b"\0\1\2\3\4", chunk(b"tRNS", b"\3\4")), [[0x102, 65535], [0x304, 0]]),
}


@pytest.mark.parametrize("kind", list(SMALL_PNGS))
def test_png_kinds(tmp_path: Path, kind: str) -> None:
    content, expected = SMALL_PNGS[kind]
    array = array_of(put(tmp_path / "a.png", content))
    np.testing.assert_array_equal(array.reshape(len(expected), -1), expected)
    assert array.dtype == (np.uint16 if kind.startswith("16") else np.uint8)


def test_interlaced_png(tmp_path: Path) -> None:
    # Adam7 of one pixel is that pixel; only the flag in the header differs.
    content = bytearray(png(1, 1, 8, 2, b"\0\7\x08\x09"))
    content[28] = 1
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    assert array_of(put(tmp_path / "a.png", bytes(content))).tolist() == [[[7, 8, 9]]]


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
    read = array_of(saved(palette, tmp_path / "p.tif"))
    np.testing.assert_array_equal(read, np.asarray(palette.convert("RGB")))
    bits = array[..., 0] > 127
    for name, options in {"raw.tif": {}, "g4.tif": {"compression": "group4"}}.items():
        read = array_of(saved(Image.fromarray(bits), tmp_path / name, **options))
        np.testing.assert_array_equal(read, bits * np.uint8(255))
    tifffile.imwrite(tmp_path / "inverted.tif", 255 - array[..., 0], photometric="miniswhite")
    np.testing.assert_array_equal(array_of(tmp_path / "inverted.tif"), array[..., 0])
    tifffile.imwrite(tmp_path / "four.tif", array[..., 0] >> 4, photometric="minisblack", bitspersample=4)
    np.testing.assert_array_equal(array_of(tmp_path / "four.tif"), (array[..., 0] >> 4) * 17)


@pytest.mark.parametrize("stored", [257, 256, 1])
def test_tiff_palettes_of_any_writer(tmp_path: Path, stored: int) -> None:
    """Bytes are repeated in both halves of a colour, or stand in the upper or, wrongly, in the lower one."""
    colours = noise((3, 256)).astype(np.uint16)
    places = noise((8, 9))
    tifffile.imwrite(tmp_path / "a.tif", places, photometric="palette", colormap=colours * stored)
    np.testing.assert_array_equal(array_of(tmp_path / "a.tif"), np.moveaxis(colours[:, places], 0, -1))
    deep = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    colours = np.tile(colours, 256)
    tifffile.imwrite(tmp_path / "b.tif", deep, photometric="palette", colormap=colours * stored)
    np.testing.assert_array_equal(array_of(tmp_path / "b.tif"), np.moveaxis(colours[:, deep], 0, -1))


def test_tiff_premultiplied_alpha_is_divided_out(tmp_path: Path) -> None:
    stored = np.array([[[50, 100, 0, 128], [9, 9, 9, 0], [1, 2, 255, 255]]], np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="rgb", extrasamples=("assocalpha",))
    expected = [[[100, 199, 0, 128], [0, 0, 0, 0], [1, 2, 255, 255]]]
    assert array_of(tmp_path / "a.tif").tolist() == expected


def test_tiff_jpeg_and_thumbnail(tmp_path: Path) -> None:
    array = np.full((16, 16, 3), (200, 40, 90), np.uint8)
    ycc = saved(Image.fromarray(array).convert("YCbCr"), tmp_path / "jpeg.tif", compression="jpeg")
    assert np.abs(array_of(ycc).astype(int) - array).max() < 8
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


INKS = np.array([[[0, 0, 0, 0], [255, 0, 0, 0], [0, 255, 0, 0], [0, 0, 0, 255], [0, 0, 0, 128]]], np.uint8)
PLAIN = [[255, 255, 255], [0, 255, 255], [255, 0, 255], [0, 0, 0], [127, 127, 127]]
MEANT = [[255, 255, 255], [0, 215, 255], [255, 134, 187], [0, 0, 0], [118, 118, 118]]  # by the profile below


def ink_profile() -> bytes:
    """A profile of CMYK made by hand: a table of the 16 corners, in Lab, between which it is linear."""

    def corner(number: int) -> bytes:
        c, m, y, k = (number >> bit & 1 for bit in (3, 2, 1, 0))
        return bytes(
            [0, 128, 128] if k else [round((100 - 25 * (c + m + y)) * 2.55), 128 + 60 * (m - c), 128 + 60 * (y - c)]
        )

    ramp, one = bytes(range(256)), 1 << 16
    table = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + struct.pack(">9i", one, 0, 0, 0, one, 0, 0, 0, one)
    table += ramp * 4 + b"".join(map(corner, range(16))) + ramp * 3
    white = b"XYZ " + bytes(4) + struct.pack(">3i", 63190, one, 54061)
    body = table + white
    entries = struct.pack(">I4sII4sII", 2, b"A2B0", 156, len(table), b"wtpt", 156 + len(table), len(white))
    head = struct.pack(">I4sI4s4s4s", 156 + len(body), b"    ", 0x02400000, b"prtr", b"CMYK", b"Lab ")
    return head + bytes(12) + b"acsp" + bytes(28) + white[8:] + bytes(48) + entries + body


@pytest.mark.parametrize("depth", ["uint8", "uint16"])
@pytest.mark.parametrize("icc", [None, ink_profile(), ink_profile()[:300]], ids=["plain", "profile", "damaged profile"])
@pytest.mark.parametrize("planar", [False, True])
def test_cmyk_tiff(tmp_path: Path, depth: str, icc: bytes | None, planar: bool) -> None:
    """By its profile, or else as ink that takes light away; the profile is not one of the result."""
    stored = INKS.astype(depth) * np.array(257 if depth == "uint16" else 1, depth)
    options: dict[str, Any] = {"planarconfig": "separate" if planar else "contig", "iccprofile": icc}
    stored = np.moveaxis(stored, -1, 0) if planar else stored
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="separated", compression="lzw", **options)
    picture = image.read(tmp_path / "a.tif")
    assert (picture.depth, picture.icc) == (depth, None)
    expected = MEANT if icc is not None and len(icc) > 300 else PLAIN
    shown = image.to_array(picture)[0] / (257 if depth == "uint16" else 1)
    assert np.abs(shown - expected).max() <= 1


@pytest.mark.parametrize("icc", [None, ink_profile()], ids=["plain", "profile"])
def test_cmyk_jpeg(tmp_path: Path, icc: bytes | None) -> None:
    """Stored upside down, as Adobe does it, which Pillow writes and undoes."""
    inks = np.repeat(INKS, 16, 0).repeat(16, 1)
    options: dict[str, Any] = {"quality": 100, "subsampling": 0, "icc_profile": icc}
    picture = image.read(saved(Image.fromarray(inks, "CMYK"), tmp_path / "a.jpg", **options))
    assert picture.icc is None
    shown = image.to_array(picture)[8, 8::16].astype(int)
    assert np.abs(shown - (PLAIN if icc is None else MEANT)).max() < 5


def test_bmp_gif_and_a_phone_jpeg_with_preview(tmp_path: Path) -> None:
    array = noise((8, 8, 3))
    picture = Image.fromarray(array)
    np.testing.assert_array_equal(array_of(saved(picture, tmp_path / "a.bmp")), array)
    alpha = image.read(saved(picture.quantize(9), tmp_path / "a.gif", transparency=3)).alpha
    assert alpha is not None and set(alpha.flatten().tolist()) == {0.0, 1.0}
    mpo = saved(picture, tmp_path / "a.mpo", save_all=True, append_images=[picture.resize((4, 4))])
    assert image.read(mpo.rename(tmp_path / "phone.jpg")).width == 8


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
    assert torch.equal(image.rgb(grey), grey.pixels.expand(1, 3, 8, 9))
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
    assert (double.depth, double.pixels.flatten().tolist()) == ("float32", pytest.approx([0.1, 2.0]))
    view = noise((5, 4, 3))[::-1, ::2].astype(">u2")
    np.testing.assert_array_equal(image.to_array(image.from_array(view)), view)


def test_arrays_share_no_memory_and_alpha_stays_in_range() -> None:
    array = np.full((1, 1, 3), 0.5, np.float32)
    picture = image.from_array(array)
    array[:] = 0
    assert float(picture.pixels.min()) == 0.5
    clamped = image.from_array(np.array([[[0.5, 7.0], [0.5, -1.0]]], np.float32)).alpha
    assert clamped is not None and clamped.flatten().tolist() == [1.0, 0.0]
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
    assert "\n" not in str(caught.value) and "allowed" in str(caught.value)


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
