"""Synthesis magnification: fields of any size."""

from __future__ import annotations

import torch

from fields import atlas_of
from texsynth.field.atlas import COPY_SETS
from texsynth.field.magnify import sheet
from texsynth.task import Exemplar


def test_a_sheet_has_the_geometry_and_the_colours_of_the_atlas() -> None:
    images = (torch.rand(1, 3, 13, 18), torch.rand(1, 3, 21, 11))
    atlas = atlas_of(*images, copies="all", margin=3)
    laid = sheet.lay([Exemplar("e", image) for image in images], COPY_SETS["all"], 3)
    index = atlas.valid.nonzero()[:, 0]
    assert torch.equal(laid.home_of(index), atlas.home[index])
    assert torch.equal(laid.valid, atlas.valid)
    first = slice(0, 13 + 6), slice(0, 18 + 6)
    colours = atlas.picture(atlas.colours)[0].permute(1, 2, 0)[first]
    assert torch.equal(laid.colours.view(-1, laid.rows, laid.row, 3)[0][first], (colours * 255).round().byte())
