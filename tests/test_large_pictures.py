"""Pictures above a size are written by rows: the same pixels, in the same bytes for any strips, whole or not at all."""

from __future__ import annotations

import errno
import os
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch

from picture_files import DEPTHS, SRGB, noise
from texsynth.errors import ResourceError, TexsynthError
from texsynth.image import codecs, pixels, strips
from texsynth.image import picture as image
from texsynth.image.codecs import scanlines, tiff
from texsynth.image.codecs.tags import Density
from texsynth.image.picture import Picture
from texsynth.image.strips import Strips

SIZE = (301, 283)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every picture is a large one."""
    monkeypatch.setattr(image, "WHOLE", 0)
    monkeypatch.setattr(scanlines, "PIECE", 30_000)
    monkeypatch.setattr(scanlines, "AT_ONCE", 50_000)
    monkeypatch.setattr(pixels, "PIXELS_AT_ONCE", 9000)


def smooth(channels: int, depth: str) -> np.ndarray:
    """Samples that all filters of a PNG are best for somewhere, and that can be compressed."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    waves = [np.sin(x / (5 + k) + k) + np.cos(y / (7 - k)) for k in range(channels)]
    values = (np.stack(waves, 2) + 2) / 4 * (255 if depth == "uint8" else 65535)
    values[:100] = np.random.default_rng(0).integers(0, 255, values[:100].shape)
    return values.astype(depth)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize(
    ("suffix", "depth"), [(".png", "uint8"), (".png", "uint16"), *((".tif", depth) for depth in DEPTHS)]
)
def test_by_rows_as_at_once(tmp_path: Path, suffix: str, depth: str, channels: int) -> None:
    samples = smooth(channels, depth) if depth.startswith("uint") else noise((*SIZE, channels), depth)
    picture = image.from_array(samples)
    asked: list[int] = []

    def draw(top: int, bottom: int) -> Picture:
        asked.append(bottom - top)
        return strips.of(picture).rows(top, bottom)

    by_rows = replace(strips.of(picture), draw=draw)
    assert image.write(tmp_path / f"a{suffix}", by_rows) == image.write(tmp_path / f"b{suffix}", picture) == []
    assert sum(asked) == SIZE[0] and len(asked) > 1
    content = (tmp_path / f"a{suffix}").read_bytes()
    assert content == (tmp_path / f"b{suffix}").read_bytes()
    again = image.to_array(image.read(tmp_path / f"a{suffix}"))
    assert again.dtype == samples.dtype and np.array_equal(again.reshape(samples.shape), samples)


def test_a_png_is_one_sound_stream_for_any_strips_and_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    samples = smooth(3, "uint8")
    picture, path, contents = image.from_array(samples), tmp_path / "a.png", set()
    for at_once, threads in ((1, 1), (100_000, 3), (1 << 30, 2)):
        monkeypatch.setattr(scanlines, "AT_ONCE", at_once)
        monkeypatch.setattr(torch, "get_num_threads", lambda number=threads: number)
        image.write(path, picture)
        contents.add(path.read_bytes())
    assert len(contents) == 1
    with path.open("rb") as file:
        bodies = [(kind, at, length) for kind, at, length in codecs.png.chunks(file) if kind == b"IDAT"]
        packed = b"".join(file.seek(at) and file.read(length) for _, at, length in bodies)
    assert len(bodies) > 5 and max(length for *_, length in bodies) < 40_000
    assert len(zlib.decompress(packed)) == SIZE[0] * (1 + 3 * SIZE[1])  # and with it the checksum of all
    assert len(packed) < 1.1 * len(zlib.compress(zlib.decompress(packed), scanlines.FAST_LEVEL))


def test_all_that_a_picture_says_is_kept(tmp_path: Path) -> None:
    tags = codecs.Tags(density=Density(5000, 4000))
    picture = replace(image.from_array(smooth(4, "uint16")), icc=SRGB, tags=tags)
    for name in ("a.png", "a.tif"):
        assert image.write(tmp_path / name, picture, metadata={"seed": 3}) == []
        again = image.read(tmp_path / name)
        assert (again.icc, again.depth, again.tags.density) == (SRGB, "uint16", tags.density)
        assert image.read_metadata(tmp_path / name) == {"seed": 3}


@pytest.mark.parametrize("suffix", [".jpg", ".webp"])
def test_other_formats_are_encoded_whole_in_the_same_bytes(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = replace(image.from_array(smooth(4, "uint16")), tags=codecs.Tags(density=Density(5000, 5000)))
    lost = image.write(tmp_path / f"a{suffix}", strips.of(picture))
    assert "uint16 stored as uint8" in lost[0] and len(lost) == (2 if suffix == ".jpg" else 1)
    monkeypatch.setattr(image, "WHOLE", 1 << 26)
    image.write(tmp_path / f"b{suffix}", picture)
    assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()


def test_small_pictures_keep_their_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image, "WHOLE", 1 << 26)
    samples = smooth(3, "uint8")
    for name, form in (("a.png", codecs.PNG), ("a.tif", codecs.TIFF)):
        image.write(tmp_path / name, strips.of(image.from_array(samples)))
        assert (tmp_path / name).read_bytes() == codecs.encode(form, samples, None, {})


def test_a_large_tiff_is_a_bigtiff(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    samples = smooth(3, "uint16")
    for limit, large in ((samples.nbytes, False), (samples.nbytes - 1, True)):
        monkeypatch.setattr(tiff, "CLASSIC", limit)
        image.write(tmp_path / "a.tif", image.from_array(samples))
        with tifffile.TiffFile(tmp_path / "a.tif") as file:
            assert file.is_bigtiff == large and file.pages[0].is_tiled
        assert np.array_equal(image.to_array(image.read(tmp_path / "a.tif")), samples)


def failing(action: Callable[[], None]) -> Strips:
    """A picture in the middle of which something happens."""

    def draw(top: int, bottom: int) -> Picture:
        if top > SIZE[0] // 2:
            action()
        return Picture(torch.rand(1, 3, bottom - top, SIZE[1]))

    return Strips(SIZE, 3, draw)


def raised(error: BaseException) -> Callable[[], None]:
    def action() -> None:
        raise error

    return action


@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg"])
@pytest.mark.parametrize(
    ("error", "kind", "line"),
    [
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), ResourceError, "cannot be written .No space left"),
        (MemoryError(), ResourceError, "does not fit in memory"),
        (ResourceError("no room here"), ResourceError, "no room here"),
        (KeyboardInterrupt(), KeyboardInterrupt, None),
    ],
)
def test_what_fails_half_way_leaves_nothing(
    tmp_path: Path, suffix: str, error: BaseException, kind: type[BaseException], line: str | None
) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(b"before")
    with pytest.raises(kind, match=line):
        image.write(path, failing(raised(error)), metadata={"seed": 3})
    assert [each.name for each in tmp_path.iterdir()] == [path.name] and path.read_bytes() == b"before"


def test_values_that_are_no_numbers_are_not_written(tmp_path: Path) -> None:
    picture = image.from_array(smooth(3, "uint8"))
    picture.pixels[0, 1, 290, 7] = torch.nan
    with pytest.raises(TexsynthError, match=r"a.png: not written, the result holds NaN"):
        image.write(tmp_path / "a.png", picture)
    assert list(tmp_path.iterdir()) == []
