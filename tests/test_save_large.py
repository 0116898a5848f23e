"""What is written of a result above the working size is what is written of one that is solved whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from conftest import Draw, Texsynth, array
from fields import atlas_of
from texsynth.field import stored
from texsynth.field.atlas import Field, coordinates
from texsynth.field.magnify import levels
from texsynth.image import picture as image
from texsynth.image import scratch, strips
from texsynth.image.picture import Picture
from texsynth.report import html
from texsynth.runs import fields, save

WORDS = ("--size", "90x110", "--set", "passes=[1]", "--set", "starts=1", "--exact-copies", "-q")


def test_a_large_result_is_written_by_rows(texsynth: Texsynth, draw: Draw, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its field says where every pixel of the picture comes from, and it is never there as a whole."""
    rng = np.random.default_rng(0)
    exemplar = draw("a.png", rng.integers(0, 256, (128, 130, 3), np.uint8))
    height = draw("h.png", rng.integers(0, 65536, (128, 130)).astype(np.uint16))
    monkeypatch.setattr(levels, "WORKING_PIXELS", 70**2)
    monkeypatch.setattr(image, "WHOLE", 0)
    monkeypatch.setattr(strips.Strips, "whole", None)
    monkeypatch.setattr(html, "LONGEST_PICTURE", 20)
    words = ("--map", "height=h.png", "--save-field", "--report", "o.html", *WORDS)
    ran = texsynth("synthesize", "a.png", "-o", "o.png", *words)
    assert ran.code == 0, ran
    assert sorted(p.name for p in Path().glob("o*")) == [
        "o.html", "o.png", "o_coordinates.png", "o_field.npz", "o_height.png", "o_plane.png",
    ]  # fmt: skip
    with np.load("o_field.npz") as archive:
        parts = {name: archive[name] for name in archive.files}
    assert {name: values.dtype.name for name, values in parts.items() if name != "copies"} == dict.fromkeys(
        ("exemplar", "copy", "y", "x"), "uint8"
    )
    assert parts["x"].shape == (110, 90) and parts["copies"].tolist() == ["none"]
    assert np.array_equal(array("o.png"), exemplar[parts["y"], parts["x"]])
    assert np.array_equal(array("o_height.png"), height[parts["y"], parts["x"]])
    assert np.array_equal(array("o_coordinates.png")[..., 0], np.rint(parts["x"] / 129 * 255))


def test_a_field_of_any_size_is_stored_as_one_that_is_solved_whole(tmp_path: Path) -> None:
    sizes = (300, 20), (40, 310)
    atlas = atlas_of(*(torch.rand(1, 3, *size) for size in sizes), copies="all", margin=3)
    inside = atlas.valid.nonzero().flatten()
    index = inside[torch.randint(len(inside), (61, 47), generator=torch.Generator().manual_seed(0))]
    for some in (index, inside[:1].expand(61, 47).contiguous()):
        whole = Field(some, torch.zeros(some.shape), atlas, (False, False))
        content = fields.content(whole)
        assert isinstance(content, bytes)
        (tmp_path / "a.npz").write_bytes(content)
        streamed = fields.content(levels.pointers(whole))
        assert callable(streamed)
        with scratch.beside(tmp_path, 1 << 10), (tmp_path / "b.npz").open("wb") as file:
            streamed(file)
        with np.load(tmp_path / "a.npz") as first, np.load(tmp_path / "b.npz") as second:
            assert set(first.files) - set(second.files) == {"cost"}
            for name in second.files:
                assert first[name].dtype == second[name].dtype and np.array_equal(first[name], second[name])
        with scratch.beside(tmp_path, 1 << 10):
            read = stored.read(tmp_path / "b.npz", sizes, (61, 47), (False, False))
        assert scratch.in_memory(read.index) == 0
        again = coordinates(read)
        assert torch.equal(again.y, coordinates(whole).y) and torch.equal(again.copy, coordinates(whole).copy)


@pytest.mark.parametrize("depth", ["uint8", "float32"])
def test_a_preview_for_any_strips(depth: str) -> None:
    picture = Picture(torch.rand(1, 3, 7, 5), torch.rand(1, 1, 7, 5), depth)
    twice = save.repeated(picture)
    assert (twice.size, twice.depth) == ((14, 10), "uint16" if depth == "float32" else depth)
    for top, bottom in ((0, 14), (3, 5), (6, 8), (5, 14), (13, 14)):
        part = twice.rows(top, bottom)
        assert torch.equal(part.pixels, picture.pixels.repeat(1, 1, 2, 2)[:, :, top:bottom])
        assert part.alpha is not None and picture.alpha is not None
        assert torch.equal(part.alpha, picture.alpha.repeat(1, 1, 2, 2)[:, :, top:bottom])
