"""The memory limit while inputs are read: it holds for every input of every verb, before a pixel is decoded."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import imagecodecs
import numpy as np
import pytest

from conftest import Draw, Refused
from picture_files import chunk, png, put, raising
from picture_files import refused as not_read
from texsynth.errors import ResourceError
from texsynth.image import picture as image

SIDE = 16384
QUICK = ("-p", "steady", "-q", "-o", "o.png", "--max-memory", "101M")
OTHER = ("-q", "-o", "o.png", "--max-memory", "101M")
CALLS = {
    "exemplar": ("synthesize", "big.png", *QUICK),
    "second exemplar": ("synthesize", "a.png", "big.png", *QUICK),
    "crop": ("synthesize", "big.png", "--crop", "0,0,16,16", *QUICK),
    "map": ("synthesize", "a.png", "--map", "height=big.png", *QUICK),
    "source mask": ("synthesize", "a.png", "--source-mask", "big.png", *QUICK),
    "init": ("synthesize", "a.png", "--init", "big.png", *QUICK),
    "mask": ("inpaint", "a.png", "--mask", "big.png", *QUICK),
    "another exemplar": ("inpaint", "a.png", "--mask", "a.png", "--exemplar", "big.png", *QUICK),
    "blend map": ("barycenter", "a.png", "b.png", "--blend-map", "big.png", *OTHER),
    "edit mask": ("edit", "a.png", "--mask", "big.png", "--target-mask", "a.png", *QUICK),
    "target mask": ("edit", "a.png", "--mask", "a.png", "--target-mask", "big.png", *QUICK),
    "remove": ("edit", "a.png", "--remove", "big.png", *QUICK),
    "progression": ("control", "a.png", "--progression", "big.png", "a.png", *QUICK),
    "target": ("control", "a.png", "--progression", "a.png", "big.png", *QUICK),
    "orientation": ("control", "a.png", "--orientation", "big.png", *QUICK),
    "source orientation": ("control", "a.png", "--orientation", "circle", "--source-orientation", "big.png", *QUICK),
    "labels": ("control", "a.png", "--labels", "big.png", "a.png", *QUICK),
    "label target": ("control", "a.png", "--labels", "a.png", "big.png", *QUICK),
    "weight map": ("control", "a.png", "--orientation", "circle", "--guide-weight-map", "big.png", *QUICK),
    "propagated source": ("propagate", "big.png", "layer.png", "a.png", *OTHER),
    "layer": ("propagate", "a.png", "big.png", "b.png", *OTHER),
    "propagation's target": ("propagate", "a.png", "layer.png", "big.png", *OTHER),
    "training": ("train", "easy", "big.png", "-o", "m.safetensors", *OTHER[3:]),
    "training's map": ("train", "spade", "a.png", "--labels", "big.png", "-o", "m.safetensors", *OTHER[3:]),
    "evaluated exemplar": ("evaluate", "big.png", "a.png", *OTHER[3:]),
    "evaluated output": ("evaluate", "a.png", "big.png", *OTHER[3:]),
    "guide": ("guide", "progression", "big.png", *OTHER[1:]),
    "guide of directions": ("guide", "orientation", "big.png", *OTHER[1:]),
}


@cache
def bomb() -> bytes:
    """A PNG of 33 kB whose 268 million pixels of a bit must be decoded at once."""
    return png(SIDE, SIDE, 1, 0, b"\0" * (1 + SIDE // 8) * SIDE)


@pytest.fixture
def inputs(tmp_path: Path, draw: Draw) -> None:
    """a.png, b.png and layer.png are small; big.png is small as a file, and large once it is decoded."""
    values = np.random.default_rng(0).integers(0, 2, (16, 16), np.uint8) * 255
    draw("a.png", values)
    draw("b.png", values)
    draw("layer.png", np.dstack([values] * 4))
    put(tmp_path / "big.png", bomb())


@pytest.mark.usefixtures("inputs")
@pytest.mark.parametrize("call", CALLS)
def test_no_input_is_decoded_beyond_the_limit(call: str, refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded = imagecodecs.png_decode

    def decode(content: bytes) -> np.ndarray:
        assert int.from_bytes(content[16:20], "big") < SIDE, "decoded"
        return decoded(content)

    monkeypatch.setattr(imagecodecs, "png_decode", decode)
    line = refused(4, *CALLS[call])
    assert re.search(r"big.png: is 16384x16384, which needs \d+ MB to be read, above the", line)
    assert "MB that --max-memory leaves; scale it down or raise --max-memory" in line


@pytest.mark.usefixtures("inputs")
def test_what_is_held_counts(refused: Refused, tmp_path: Path) -> None:
    """A second picture of 60 MB does not fit beside the first."""
    for name in ("c.png", "d.png"):
        put(tmp_path / name, png(3456, 3456, 1, 0, b"\0" * (1 + 432) * 3456))
    line = refused(4, "evaluate", "c.png", "d.png", "--max-memory", "101M")
    assert "d.png: is 3456x3456, which needs 57 MB to be read, above the 55 MB that" in line


@pytest.mark.usefixtures("inputs")
@pytest.mark.parametrize("call", ["map", "source mask", "mask", "target mask", "orientation", "labels"])
def test_what_comes_after_reading_counts(call: str, refused: Refused, tmp_path: Path) -> None:
    put(tmp_path / "c.png", png(3456, 3456, 1, 0, b"\0" * (1 + 432) * 3456))  # 57 MB while it is read
    line = refused(4, *(word.replace("big.png", "c.png") for word in CALLS[call]))
    assert int(re.findall(r"c.png: is 3456x3456, which needs (\d+) MB", line)[0]) > 200


@pytest.mark.usefixtures("inputs")
def test_the_process_counts(refused: Refused) -> None:
    line = refused(4, *CALLS["crop"], "--max-memory", "900M")
    assert re.search(r"which needs \d+ MB to be read, above the 200 MB that", line)


@pytest.mark.usefixtures("inputs")
def test_a_field_that_is_an_array_counts_too(refused: Refused, tmp_path: Path) -> None:
    with (tmp_path / "f.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": (2, 8192, 8192)})
        file.truncate(file.tell() + 8 * 8192**2)  # sparse
    assert "f.npy: is 2x8192x8192, which needs" in refused(4, "control", "a.png", "--orientation", "f.npy", *QUICK)


@pytest.mark.usefixtures("inputs")
def test_a_record_is_read_without_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = chunk(b"tEXt", b"texsynth\0" + json.dumps({"seed": 3}).encode())
    for extra in (text, chunk(b"tEXt", b"other\0" + b"x" * 2**24) + text):
        put(tmp_path / "r.png", png(SIDE, SIDE, 1, 0, b"\0" * 9, extra))
        monkeypatch.setattr(imagecodecs, "png_decode", raising(AssertionError("decoded")))
        assert image.read_metadata(tmp_path / "r.png") == {"seed": 3}


def test_without_a_limit_there_is_none(tmp_path: Path) -> None:
    path = put(tmp_path / "a.png", png(64, 64, 1, 0, b"\0" * 9 * 64))
    assert image.read(path).width == 64
    not_read(path, "64x64", "needs 1 MB", "above the 0 MB", kind=ResourceError, attempt=lambda p: image.read(p, 1000))


@pytest.mark.skipif(sys.platform != "linux", reason="another system tells its peak otherwise")
def test_the_process_stays_below_the_limit(tmp_path: Path) -> None:
    """The peak that the system measured, not ours."""
    put(tmp_path / "bomb.png", bomb())
    assert (tmp_path / "bomb.png").stat().st_size < 1 << 16
    code = (
        "from pathlib import Path\nfrom texsynth.image import picture\n"
        "try: picture.read('bomb.png', 1 << 30)\nexcept picture.ResourceError: pass\n"
        "print(Path('/proc/self/status').read_text())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert int(re.findall(r"VmHWM:\s+(\d+) kB", done.stdout)[0]) << 10 < 1 << 30  # ru_maxrss may be the parent's
