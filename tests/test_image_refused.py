"""Picture files that are refused with one clear line, what a format cannot hold, and writing that fails."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageFile

from picture_files import GRAY, SRGB, array_of, chunk, leftovers, noise, png, put, raising, refused, saved
from texsynth.errors import BatchError, InputError, ResourceError, TexsynthError, UsageError, WeightsError
from texsynth.foreign import regular
from texsynth.image import codecs
from texsynth.image import picture as image


def test_exit_codes() -> None:
    kinds = (TexsynthError, UsageError, InputError, ResourceError, WeightsError, BatchError)
    assert [kind.exit_code for kind in kinds] == [1, 2, 3, 4, 5, 6]
    assert all(issubclass(kind, TexsynthError) for kind in kinds)


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
    (notice,) = image.write(tmp_path / f"a{suffix}", image.from_array(noise((8, 8, channels), depth)))
    assert notice.startswith(f"a{suffix}: ") and "\n" not in notice
    assert all(word in notice for word in words)
    assert image.read(tmp_path / f"a{suffix}").depth == expected


def test_float_to_png_clamps_and_rounds(tmp_path: Path) -> None:
    image.write(tmp_path / "a.png", image.from_array(np.array([[-1, 0.25, 7]], np.float32)))
    assert array_of(tmp_path / "a.png").tolist() == [[0, 16384, 65535]]


def test_a_profile_of_another_colour_kind_is_dropped(tmp_path: Path) -> None:
    (notice,) = image.write(tmp_path / "a.png", image.from_array(noise((8, 8, 3)), icc=GRAY))
    assert "ICC" in notice
    assert image.read(tmp_path / "a.png").icc is None
    assert image.write(tmp_path / "a.webp", image.from_array(noise((8, 8)), icc=SRGB)) == []


RECORD = {"seed": 3, "text": "é\n", "nested": {"a": [1, 2.5, None]}}


@pytest.mark.parametrize("depth", ["uint8", "uint16"])
def test_metadata_inside_png(tmp_path: Path, depth: str) -> None:
    path = tmp_path / "a.png"
    image.write(path, image.from_array(noise((8, 8, 3), depth), icc=SRGB), metadata=RECORD)
    assert image.read_metadata(path) == RECORD
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]
    with Image.open(path) as other:
        other.load()
        assert (json.loads(other.info["texsynth"]), other.info["icc_profile"]) == (RECORD, SRGB)


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".tif"])
def test_metadata_beside_other_formats(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.b{suffix}"
    picture = image.from_array(noise((8, 8, 3)))
    image.write(path, picture, metadata={"old": 1})
    assert image.write(path, picture, metadata=RECORD) == []
    assert image.read_metadata(path) == RECORD
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([f"{path.name}.json", path.name])


def test_metadata_absent_or_foreign(tmp_path: Path) -> None:
    picture = image.from_array(noise((8, 8, 3)))
    for name in ("a.png", "a.jpg"):
        image.write(tmp_path / name, picture)
        assert image.read_metadata(tmp_path / name) is None
    beside = tmp_path / "a.jpg.json"
    for foreign in ("[1]", "no json"):
        beside.write_text(foreign)
        assert image.read_metadata(tmp_path / "a.jpg") is None
        (notice,) = image.write(tmp_path / "a.jpg", picture, metadata=RECORD)
        assert notice.startswith("a.jpg: a.jpg.json held no JSON object")
        assert image.read_metadata(tmp_path / "a.jpg") == RECORD
    for foreign in ('{"mine": 1}', '{"mine": 1, "texsynth": 1}'):  # what others keep there stays
        beside.write_text(foreign)
        assert image.read_metadata(tmp_path / "a.jpg") is None
        assert image.write(tmp_path / "a.jpg", picture, metadata=RECORD) == []
        assert json.loads(beside.read_text()) == {"mine": 1, "texsynth": RECORD}
        image.write(tmp_path / "a.jpg", picture)
        assert json.loads(beside.read_text()) == {"mine": 1}, "the record of another picture goes"
    refused(tmp_path / "none.png", "no such file", attempt=image.read_metadata)


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
    with pytest.raises(InputError, match=r"\Atwo lines\.png: .*\Z"):
        image.read(tmp_path / "two\nlines.png")


def test_permission_denied_and_lack_of_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put(tmp_path / "a.png", png(1, 1, 8, 0, b"\0\7"))
    monkeypatch.setattr(imagecodecs, "png_decode", raising(MemoryError()))
    refused(path, "memory", kind=ResourceError)
    monkeypatch.setattr(regular, "opened", raising(PermissionError(13, "Permission denied")))
    refused(path, "Permission denied")


SAVE_OPTIONS: dict[str, dict[str, Any]] = {".webp": {"lossless": True}, ".tif": {"compression": "tiff_lzw"}}


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif", ".bmp", ".gif"])
@pytest.mark.parametrize("part", [0.03, 0.5, 0.9])
def test_truncated(
    tmp_path: Path, suffix: str, part: float, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
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
    for short in (content[:-100], content[:-12], png(40, 50, 8, 0, b"\0" * 60)):
        refused(put(tmp_path / "a.png", short), "truncated PNG")
    flipped = bytearray(content)
    flipped[len(content) // 2] ^= 255
    refused(put(tmp_path / "d.png", bytes(flipped)), "damaged")


def tags_changed(path: Path, values: dict[int, int]) -> Path:
    """Overwrite numbers in the first directory of a little-endian TIFF."""
    with tifffile.TiffFile(path, mode="r+b") as tif:
        for code, value in values.items():
            tif.pages[0].tags[code].overwrite(value)  # type: ignore[union-attr]
    return path


@pytest.mark.parametrize("values", [{257: 80}, {279: 0}], ids=["twice the height", "no bytes"])
def test_tiff_with_missing_strips(tmp_path: Path, values: dict[int, int]) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, noise((40, 50, 3)), photometric="rgb", compression="zlib", rowsperstrip=40, metadata=None)
    refused(tags_changed(path, values), "truncated TIFF")


def test_bombs_are_refused_before_decoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for owner, name in ((imagecodecs, "png_decode"), (Image.Image, "convert"), (tifffile.TiffPage, "asarray")):
        monkeypatch.setattr(owner, name, raising(AssertionError("decoded")))
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
    refused(tags_changed(tmp_path / "a.tif", {256: 2**20, 257: 2**20}), "1048576x1048576", str(2**28))
    tifffile.imwrite(tmp_path / "a.tif", noise((16, 16)), tile=(16, 16), compression="zlib", metadata=None)
    refused(tags_changed(tmp_path / "a.tif", {322: 2**15, 323: 2**15}), "32768x32768", str(2**28))
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
    refused(saved(Image.new("LAB", (8, 8)), path), "TIFF with Lab colour", "convert it to RGB")
    refused(saved(Image.new("CMYK", (8, 8)), path, compression="jpeg"), "TIFF with CMYK colour", "convert it to RGB")
    refused(saved(Image.new("YCbCr", (8, 8)), path), "TIFF with YCbCr colour", "convert it to RGB")
    tifffile.imwrite(path, noise((8, 8, 4)), photometric="separated", extratags=[(332, "H", 1, 2, True)])
    refused(path, "TIFF with CMYK colour", "plain CMYK")
    tifffile.imwrite(path, noise((8, 8, 3)), photometric="rgb", compression="jpeg2000")
    refused(path, "TIFF with compression JPEG2000", "LZW")


def test_a_tiff_is_not_listed_beyond_measure(tmp_path: Path) -> None:
    """A file of 70 pages, one of two million strips, and a JPEG in it that is larger than its tile."""
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as out:
        for _ in range(70):
            out.write(noise((8, 8)), metadata=None)
    refused(path, "more than 64 pages")
    tifffile.imwrite(path, noise((64, 8)), rowsperstrip=1, metadata=None)
    content = path.read_bytes()
    at = content.index(struct.pack("<HH", 273, 4))
    refused(put(path, content[: at + 4] + struct.pack("<I", 2**21) + content[at + 8 :]), "2097152 strips or tiles")
    jpeg = imagecodecs.jpeg8_encode(noise((8, 4000)))
    tifffile.imwrite(path, iter([jpeg]), shape=(16, 16), dtype=np.uint8, compression="jpeg", metadata=None)
    refused(path, "JPEG of 4000x8")


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
    assert caught.value.exit_code == 1 and not (tmp_path / "out.png").exists()


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
    assert (done.stdout, done.stderr) == ("uint8\nuint8\n", "")


def test_library_settings_are_changed_by_one_thread_at_a_time() -> None:
    inside: list[bool] = []

    def enter() -> None:
        with codecs.strict("problem"):
            inside.append(True)

    other = threading.Thread(target=enter)
    with codecs.strict("problem"):
        other.start()
        other.join(0.1)
        assert not inside
    other.join()
    assert inside


def written(path: Path) -> None:
    image.write(path, image.from_array(noise((8, 8, 3))), metadata=RECORD)


def test_paths_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = image.from_array(noise((8, 8, 3)))

    def both_refuse(path: Path, *words: str) -> None:
        for attempt in (image.check_writable, lambda path: image.write(path, picture)):
            refused(path, *words, kind=UsageError, attempt=attempt)

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
        lambda path: image.check_writable(path, (side, 1)),
        lambda path: image.write(path, image.from_array(np.zeros((1, side), np.uint8))),
    ):
        refused(tmp_path / name, str(side - 1), ".tif", kind=UsageError, attempt=attempt)
    image.check_writable(tmp_path / name, (side - 1, 1))
    assert capfd.readouterr() == ("", "")


def test_the_longest_side_is_written_and_read(tmp_path: Path) -> None:
    for form in (codecs.PNG, codecs.JPEG, codecs.WEBP):
        path, side = tmp_path / f"a{form.suffixes[0]}", form.max_side
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
    with pytest.raises(expected, match=None if expected is KeyboardInterrupt else rf"\A{name}: .*\Z"):
        written(tmp_path / name)
    assert sorted(tmp_path.iterdir()) == before
    assert not old or (tmp_path / name).read_bytes() == old


def test_a_failed_encoder_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imagecodecs, "deflate_encode", raising(RuntimeError("first\nsecond")))
    refused(put(tmp_path / "a.png", b"old"), "first second", kind=TexsynthError, attempt=written)
    assert (tmp_path / "a.png").read_bytes() == b"old"
    assert leftovers(tmp_path) == []


def test_a_failed_rename_removes_both_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "replace", raising(PermissionError(13, "Permission denied")))
    refused(tmp_path / "a.jpg", "Permission denied", kind=UsageError, attempt=written)
    assert list(tmp_path.iterdir()) == []


def test_threads_read_and_write_together(tmp_path: Path) -> None:
    arrays = [np.roll(noise((32, 32, 3)), n) for n in range(8)]
    same: list[bool] = []

    def work(number: int) -> None:
        path = tmp_path / f"{number}{('.png', '.tif', '.webp')[number % 3]}"
        for _ in range(5):
            image.write(path, image.from_array(arrays[number]))
            same.append(bool((array_of(path) == arrays[number]).all()))

    limit = Image.MAX_IMAGE_PIXELS
    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert same == [True] * 40
    assert limit == Image.MAX_IMAGE_PIXELS
