"""Large temporary arrays lie on the disk, leave nothing behind, and pass no limit; a picture by strips is the whole."""

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from picture_files import raising
from texsynth.errors import InputError, ResourceError
from texsynth.image import files, scratch, strips
from texsynth.image.picture import Picture
from texsynth.image.strips import Strips

LIMIT = 1 << 20
LARGE = (64, 4096)  # of bytes: above a 32nd of the limit
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="another system tells its memory otherwise")


def in_memory(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Let a folder lie in memory."""
    mounts = folder / "mounts"
    name = str(files.real(folder)).replace(" ", "\\040")
    mounts.write_text(f"/dev/a / ext4 rw 0 0\ntmpfs {name} tmpfs rw 0 0\n", "utf-8")
    monkeypatch.setattr(scratch, "MOUNTS", mounts)


def is_mapped(array: np.ndarray) -> bool:
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array.base is not None


def test_large_arrays_are_mapped_and_small_ones_are_not(tmp_path: Path) -> None:
    with scratch.beside(tmp_path, LIMIT):
        assert not is_mapped(scratch.empty((8, 8), np.float32)) and not scratch.is_large(256)
        array = scratch.empty(LARGE, np.uint8)
        assert is_mapped(array) and scratch.is_large(array.nbytes)
    assert array.shape == LARGE and array.flags.writeable
    array[:] = np.arange(LARGE[0], dtype=np.uint8)[:, None]
    tensor = torch.from_numpy(array)
    for part in (array, tensor, tensor[3:9, 100:200], array.reshape(4, 16, -1)[:, 3:5], array[::-1], array[:0]):
        scratch.release(part)
    assert (array == np.arange(LARGE[0])[:, None]).all()
    assert list(tmp_path.iterdir()) == []


def test_outside_of_any_command_it_is_the_systems_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scratch.tempfile, "gettempdir", lambda: str(tmp_path / "none"))
    assert scratch.empty((4,), np.int32).shape == (4,)
    with pytest.raises(ResourceError, match=r"none: no room for 192 MB of temporary arrays \(No such file"):
        scratch.empty((scratch.DEFAULT_LIMIT // scratch.SHARE,), np.uint8)


@LINUX
def test_what_is_let_go_takes_no_memory(tmp_path: Path) -> None:
    code = (
        "import re, sys, numpy as np\nfrom pathlib import Path\nfrom texsynth.image import scratch\n"
        "def held(): return int(re.findall(r'VmRSS:\\s+(\\d+)', Path('/proc/self/status').read_text())[0]) >> 10\n"
        "scratch.MOUNTS = Path()\n"
        "with scratch.beside(Path(sys.argv[1]), 16 << 20): array = scratch.empty((3, 64, 1 << 20), np.uint8)\n"
        "before = held(); array[:] = 7; full = held(); scratch.release(array[:, 4:]); part = held()\n"
        "scratch.release(array); print(full - before, part - before, held() - before, int(array.min()))"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=True)
    full, part, rest, least = map(int, done.stdout.split())
    assert full > 150 and 6 < part < 40 and rest < 6 and least == 7


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="another system has no such call")
@pytest.mark.parametrize("kind", ["full", "unable"])
def test_room_is_reserved_or_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    number = errno.ENOSPC if kind == "full" else errno.EOPNOTSUPP
    monkeypatch.setattr(os, "posix_fallocate", raising(OSError(number, os.strerror(number))))
    with scratch.beside(tmp_path, LIMIT):
        if kind == "full":
            with pytest.raises(ResourceError, match=r"no room for 1 MB .*No space left.*; make room, or write to an"):
                scratch.empty(LARGE, np.uint8)
        else:
            assert not scratch.empty((3, *LARGE), np.uint8).any()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="limits of POSIX")
def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    """A file that may not grow is as good as a full disk."""
    code = (
        "import resource, signal, sys\nfrom pathlib import Path\nfrom texsynth.image import scratch\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\nresource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, 1 << 16))\n"
        "scratch.MOUNTS = Path()\nwith scratch.beside(Path(sys.argv[1]), 1 << 20):\n"
        "    try: scratch.empty((1 << 20,), 'uint8')\n"
        "    except scratch.ResourceError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=True)
    assert re.fullmatch(r".*: no room for 1 MB of temporary arrays \(File too large\); make room, .*\n", done.stdout)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_memory_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "a b"
    folder.mkdir()
    in_memory(monkeypatch, folder)
    with scratch.beside(folder, LIMIT):
        assert not scratch.is_large(LIMIT)
        first = scratch.empty((3, *LARGE), np.uint8)
        assert not is_mapped(first)
        with pytest.raises(ResourceError, match=r"a b: lies in memory and cannot hold 2 MB .* above the limit of 1 MB"):
            scratch.empty((2, *LARGE), np.uint8)
        first[:] = 3
        scratch.release(first)
        assert (first == 3).all()
        del first
        scratch.empty((4, *LARGE), np.uint8)
    with scratch.beside(tmp_path, LIMIT):
        assert scratch.is_large(LIMIT)


def test_a_picture_by_strips_is_the_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels, alpha = torch.rand(1, 3, 37, 50), torch.rand(1, 1, 37, 50)
    picture = Picture(pixels, alpha, "uint16", b"profile")
    by_strips = strips.of(picture)
    monkeypatch.setattr("texsynth.image.pixels.PIXELS_AT_ONCE", 400)
    with scratch.beside(tmp_path, 1 << 16):
        whole = by_strips.whole()
    assert torch.equal(whole.pixels, pixels) and whole.alpha is not None and torch.equal(whole.alpha, alpha)
    assert (whole.depth, whole.icc, whole.tags) == (picture.depth, picture.icc, picture.tags)
    part = by_strips.rows(3, 5)
    assert torch.equal(part.pixels, pixels[:, :, 3:5]) and (part.depth, part.icc) == ("uint16", b"profile")


def test_strips_of_another_size_are_refused() -> None:
    wrong = Strips((8, 9), 1, lambda *_: Picture(torch.zeros(1, 1, 1, 9)))
    assert wrong.rows(2, 3).height == 1
    with pytest.raises(InputError, match="rows 0 to 2 of a picture of 9x8 came out as"):
        wrong.rows(0, 2)


def test_spans_cover_every_row() -> None:
    assert list(strips.spans((10, 4), 12)) == [(0, 3), (3, 6), (6, 9), (9, 10)]
    assert list(strips.spans((2, 1000), 12)) == [(0, 1), (1, 2)]


def test_a_large_picture_is_reduced_by_strips(monkeypatch: pytest.MonkeyPatch) -> None:
    picture = Picture(torch.rand(1, 3, 41, 66), torch.rand(1, 1, 41, 66), "uint16")
    monkeypatch.setattr("texsynth.image.pixels.PIXELS_AT_ONCE", 500)
    small = strips.reduced(strips.of(picture), 16)
    assert torch.allclose(small.pixels, picture.pixels[:, :, :40, :64].unfold(2, 4, 4).unfold(3, 4, 4).mean((4, 5)))
    assert small.alpha is not None and small.alpha.shape == (1, 1, 10, 16) and small.depth == "uint16"
    assert strips.reduced(picture, 34) is picture
