"""Large pictures are read some rows at a time, into arrays that lie on the disk: the same values, in little memory."""

from __future__ import annotations

import re
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from picture_files import chunk, noise, png, put, raising
from texsynth.errors import InputError, ResourceError
from texsynth.image import picture as image
from texsynth.image import pixels, scratch
from texsynth.image.codecs import scanlines, tiff

SIZE = (61, 90)
LIMIT = 1 << 16  # of memory: nearly all is large


@pytest.fixture(autouse=True)
def few_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scanlines, "AT_ONCE", 2000)
    monkeypatch.setattr(pixels, "VALUES_AT_ONCE", 900)
    monkeypatch.setattr(tiff, "BLOCK", 4000)
    monkeypatch.setattr("texsynth.image.codecs.pillow.BLOCK", 3000)
    monkeypatch.setattr("texsynth.image.codecs.png.BLOCK", 700)


def saved_png(samples: np.ndarray, path: Path) -> None:
    path.write_bytes(imagecodecs.png_encode(samples, level=3, strategy=1, filter=0xF8))


def saved_tiff(**options: object) -> Callable[[np.ndarray, Path], None]:
    return lambda samples, path: tifffile.imwrite(path, samples, metadata=None, **options)  # type: ignore[arg-type]


def saved_jpeg(samples: np.ndarray, path: Path) -> None:
    exif = Image.Exif()
    exif[274] = 6  # turned by a quarter
    Image.fromarray(samples).save(path, quality=90, exif=exif)


PLANES = saved_tiff(planarconfig="separate", photometric="rgb")
WAYS: dict[str, tuple[tuple[int, ...], str, Callable[[np.ndarray, Path], None]]] = {
    "grey.png": (SIZE, "uint8", saved_png),
    "grey16.png": (SIZE, "uint16", saved_png),
    "grey alpha.png": ((*SIZE, 2), "uint8", saved_png),
    "colour.png": ((*SIZE, 3), "uint8", saved_png),
    "colour16.png": ((*SIZE, 3), "uint16", saved_png),
    "colour alpha16.png": ((*SIZE, 4), "uint16", saved_png),
    "colour.jpg": ((*SIZE, 3), "uint8", saved_jpeg),
    "grey.jpg": ((SIZE[0] * 2, SIZE[1]), "uint8", saved_jpeg),
    "plain.tif": ((*SIZE, 3), "uint8", saved_tiff(photometric="rgb")),
    "big end.tif": ((*SIZE, 3), "uint16", saved_tiff(photometric="rgb", byteorder=">", rowsperstrip=9)),
    "strips.tif": (
        (*SIZE, 3),
        "float32",
        saved_tiff(photometric="rgb", compression="zlib", predictor=True, rowsperstrip=7),
    ),
    "tiles.tif": ((*SIZE, 3), "uint16", saved_tiff(photometric="rgb", compression="zlib", tile=(32, 16))),
    "half.tif": ((*SIZE, 2), "float16", saved_tiff(extrasamples=["unassalpha"], planarconfig="contig")),
    "planes.tif": ((3, *SIZE), "uint8", PLANES),
    "packed planes.tif": (
        (3, *SIZE),
        "uint8",
        saved_tiff(photometric="rgb", compression="zlib", planarconfig="separate", tile=(16, 16)),
    ),
}


@pytest.mark.parametrize("name", WAYS)
def test_by_rows_as_at_once(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    shape, depth, save = WAYS[name]
    samples = noise(shape, depth)
    samples[: shape[0] // 2] //= 3  # type: ignore[misc]
    save(samples, tmp_path / name)
    at_once = image.read(tmp_path / name)
    monkeypatch.setattr(imagecodecs, "png_decode", few(imagecodecs.png_decode))
    with scratch.beside(tmp_path, LIMIT):
        by_rows = image.read(tmp_path / name, memory=64 << 20)
    assert torch.equal(by_rows.pixels, at_once.pixels) and by_rows.pixels.shape == at_once.pixels.shape
    assert (by_rows.alpha is None) == (at_once.alpha is None)
    assert by_rows.alpha is None or (at_once.alpha is not None and torch.equal(by_rows.alpha, at_once.alpha))
    assert (by_rows.depth, by_rows.icc, by_rows.tags) == (at_once.depth, at_once.icc, at_once.tags)
    assert image.size_in_memory(by_rows) == 0 < image.size_in_memory(at_once)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def few(decode: Callable[[bytes], np.ndarray]) -> Callable[[bytes], np.ndarray]:
    """A decoder of PNGs that takes no large ones."""

    def checked(content: bytes) -> np.ndarray:
        assert len(content) < 6000, "decoded at once"
        return decode(content)

    return checked


@pytest.mark.parametrize("kind", ["palette", "bits", "clear colour"])
def test_other_pngs_are_decoded_whole(tmp_path: Path, kind: str) -> None:
    colour, bits = (3, 8) if kind == "palette" else (0, 4) if kind == "bits" else (2, 8)
    line = {3: 90, 0: 45, 2: 270}[colour]
    rows = b"".join(b"\0" + bytes(x * y % 2 for x in range(line)) for y in range(SIZE[0]))
    extra = {"palette": chunk(b"PLTE", bytes(range(6))), "bits": b"", "clear colour": chunk(b"tRNS", bytes(6))}[kind]
    put(tmp_path / "a.png", png(SIZE[1], SIZE[0], bits, colour, rows, extra))
    at_once = image.read(tmp_path / "a.png")
    with scratch.beside(tmp_path, LIMIT):
        mapped = image.read(tmp_path / "a.png")
    assert torch.equal(mapped.pixels, at_once.pixels)
    assert (mapped.alpha is None) == (at_once.alpha is None) == (kind != "clear colour")


def damaged(path: Path, how: str) -> None:
    rows = b"\0" * (1 + 3 * SIZE[1]) * SIZE[0]
    if how == "rows are missing":
        rows = rows[:-5]
    content = bytearray(png(SIZE[1], SIZE[0], 8, 2, rows))
    stream = content.index(b"IDAT") + 4
    if how == "checksum":
        content[-13] ^= 1
    if how == "stream":  # with a checksum of its own that is right
        body = bytearray(zlib.compress(rows))
        body[-1] ^= 1
        content[stream - 8 :] = chunk(b"IDAT", bytes(body)) + chunk(b"IEND", b"")
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("how", "words"), [("rows are missing", "rows"), ("checksum", "checksum"), ("stream", "Error")]
)
def test_damaged_rows_are_refused(tmp_path: Path, how: str, words: str) -> None:
    damaged(tmp_path / "a.png", how)
    with scratch.beside(tmp_path, LIMIT), pytest.raises(InputError, match=rf"a\.png: .*PNG, export or copy.*{words}"):
        image.read(tmp_path / "a.png")


def test_a_full_disk_is_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved_png(noise((*SIZE, 3)), tmp_path / "a.png")
    monkeypatch.setattr(scratch, "_reserve", raising(OSError(28, "No space left on device")))
    with scratch.beside(tmp_path, LIMIT), pytest.raises(ResourceError, match="no room for 1 MB of temporary arrays"):
        image.read(tmp_path / "a.png")


@pytest.mark.skipif(sys.platform != "linux", reason="another system tells its memory otherwise")
def test_a_large_picture_takes_little_memory(tmp_path: Path) -> None:
    """100 MB of samples and 400 MB of floats, of which there are 100 MB at the most in memory."""
    put(tmp_path / "a.png", png(8192, 4096, 8, 2, b"\0" * (1 + 3 * 8192) * 4096))
    code = (
        "import re\nfrom pathlib import Path\nfrom texsynth.image import picture, scratch\n"
        "def kilobytes(k): return int(re.findall(k + r':\\s+(\\d+)', Path('/proc/self/status').read_text())[0])\n"
        "import PIL.Image, imagecodecs, tifffile\nbefore = kilobytes('VmRSS')\n"
        "scratch.MOUNTS = Path()\nwith scratch.beside(Path(), 1 << 29): read = picture.read('a.png', 100 << 20)\n"
        "print(kilobytes('VmHWM') - before)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert int(re.findall(r"\d+", done.stdout)[0]) < 100 << 10
