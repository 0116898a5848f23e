"""The size of a pixel goes from `--texel` to the files, the record, finer maps and larger originals."""

from __future__ import annotations

import json
import struct
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from conftest import Draw, Picture, Refused, Texsynth
from texsynth.errors import UsageError
from texsynth.image import picture as image
from texsynth.image.codecs import tags
from texsynth.material import texel

QUICK = ("-p", "steady", "-q")


def density(name: str) -> tags.Density | None:
    return image.read(name).tags.density


def record(name: str) -> dict[str, Any]:
    stored = image.read_metadata(name)
    assert stored is not None
    return stored


@pytest.mark.parametrize(
    ("words", "side"),
    [
        ("0.5mm", Fraction(1, 2000)),
        ("250um", Fraction(1, 4000)),
        (" 1.5 CM ", Fraction(3, 200)),
        ("2m", Fraction(2)),
        (".01in", Fraction(254, 1_000_000)),
    ],
)
def test_sizes_are_read_and_written(words: str, side: Fraction) -> None:
    assert texel.parse(words) == side
    assert texel.parse(texel.words(side)) == side
    assert texel.density(side) == tags.Density(1 / side, 1 / side)


@pytest.mark.parametrize(
    "words", ["0mm", "-1mm", "1", "mm", "1px", "1ft", "1e3mm", "٣mm", "nan m", "1 mm 2", "", "9" * 99]
)
def test_what_is_no_size_is_refused(refused: Refused, picture: Picture, words: str) -> None:
    picture("a.png")
    said = refused(2, "synthesize", "a.png", "--texel", words, "-o", "o.png", *QUICK)
    assert "--texel" in said and "0.5mm" in said
    with pytest.raises(UsageError):
        texel.parse(words)


def test_it_is_in_the_files_of_a_set(texsynth: Texsynth, picture: Picture, draw: Draw) -> None:
    """A crop and another size leave it; the pixels of a map that is twice as fine are half as large."""
    picture("a.png")
    draw("fine.png", np.zeros((32, 32), np.uint8))
    draw("same.png", np.zeros((16, 16), np.uint8))
    words = ("--map", "fine=fine.png", "--map", "same=same.png", "--crop", "0,0,12,12", "--texel", "0.5mm")
    assert texsynth("synthesize", "a.png", *words, "-s", "20", "-o", "o.png", *QUICK).code == 0
    for name, count in (("o.png", 2000), ("o_fine.png", 4000), ("o_same.png", 2000)):
        assert struct.pack(">IIB", count, count, 1) in Path(name).read_bytes(), name
    assert record("o.png")["texel"] == "0.5mm"


def test_it_is_in_other_formats(texsynth: Texsynth, picture: Picture) -> None:
    picture("a.png")
    for name in ("o.tif", "o.jpg", "o.exr"):
        assert texsynth("synthesize", "a.png", "--texel", "1in", "-o", "o.png", *QUICK, "--force").code == 0
        assert texsynth("synthesize", "a.png", "--texel", "0.1in", "-o", name, *QUICK).code == 0
    with tifffile.TiffFile("o.tif") as tif:
        assert tif.pages[0].tags["XResolution"].value == (10, 1)  # type: ignore[union-attr]
    with Image.open("o.jpg") as jpeg:
        assert jpeg.info["dpi"] == (10, 10)
    assert density("o.exr") == texel.density(texel.parse("0.1in"))
    assert json.loads(Path("o.tif.json").read_text())["texsynth"]["texel"] == "0.1in"


def test_without_it_the_file_says_what_its_input_said(texsynth: Texsynth, picture: Picture) -> None:
    picture("a.png")
    plain = image.read("a.png")
    image.write("b.png", plain)
    assert texsynth("synthesize", "b.png", "-o", "o.png", *QUICK).code == 0
    assert density("o.png") is None and "texel" not in record("o.png")
    assert texsynth("synthesize", "b.png", "--texel", "2mm", "-o", "p.png", *QUICK).code == 0
    assert texsynth("synthesize", "p.png", "-o", "q.png", *QUICK).code == 0
    assert density("q.png") == tags.Density(Fraction(500), Fraction(500)) and "texel" not in record("q.png")


def test_a_record_gives_it_back(texsynth: Texsynth, picture: Picture) -> None:
    picture("a.png")
    assert texsynth("synthesize", "a.png", "--texel", "2mm", "-o", "o.png", *QUICK).code == 0
    assert texsynth("synthesize", "--from", "o.png", "-o", "p.png", "-q").code == 0
    assert Path("p.png").read_bytes() == Path("o.png").read_bytes()
    assert texsynth("synthesize", "--from", "o.png", "--texel", "4mm", "-o", "r.png", "-q").code == 0
    assert density("r.png") == tags.Density(Fraction(250), Fraction(250))


def test_a_damaged_one_in_a_record_is_told(refused: Refused, texsynth: Texsynth, picture: Picture) -> None:
    picture("a.png")
    assert texsynth("synthesize", "a.png", "--texel", "2mm", "-o", "o.tif", *QUICK).code == 0
    stored = json.loads(Path("o.tif.json").read_text())
    stored["texsynth"]["texel"] = "0mm"
    Path("o.tif.json").write_text(json.dumps(stored))
    assert "its record is damaged" in refused(3, "synthesize", "--from", "o.tif", "-o", "p.png", "-q")


def test_a_larger_original_has_finer_pixels(texsynth: Texsynth, picture: Picture, draw: Draw) -> None:
    small = picture("a.png", (24, 24))
    draw("large.png", np.repeat(np.repeat(small, 2, 0), 2, 1))
    words = ("-p", "guided-correspondence", "--set", "passes=[1]", "--set", "starts=1", "--set", "tries=1", "-q")
    assert texsynth("synthesize", "a.png", "--texel", "1mm", "-s", "24", "-o", "o.png", *words).code == 0
    assert texsynth("synthesize", "large.png", "--from", "o.png", "-o", "p.png", "-q").code == 0
    assert record("p.png")["texel"] == "500um"
    assert density("p.png") == tags.Density(Fraction(2000), Fraction(2000))


def test_a_resolution_that_would_be_rounded_to_another_is_left_out() -> None:
    assert tags.to_chunks(tags.Tags(density=texel.density(Fraction(3, 10)))) == []  # 3.33 to the metre
    assert tags.to_inches(texel.density(Fraction(1, 50))) is None  # 1.27 to the inch
    assert len(tags.to_chunks(tags.Tags(density=texel.density(Fraction(1, 2))))) == 1
