"""Synthesis magnification: fields of any size."""

from __future__ import annotations

import torch
from torch import Tensor

from fields import OPEN, atlas_of, scattered
from pictures import spots
from texsynth.field.atlas import COPY_SETS, double
from texsynth.field.magnify import sheet
from texsynth.field.magnify.carry import carry
from texsynth.field.magnify.sheet import Pointers
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


def empty(*size: int) -> Tensor:
    """Room for pointers, full of what none of them may be."""
    return torch.full(size, -1, dtype=torch.int32)


def test_a_field_carried_up_is_a_field_doubled() -> None:
    """Of two exemplars with odd sides and all their copies, none of whose pixels is out of bounds."""
    sizes = (13, 18), (21, 11)
    coarse, fine = (atlas_of(*(spots(f * h, f * w) for h, w in sizes), copies="all", margin=3) for f in (1, 2))
    laid = sheet.lay([Exemplar("e", spots(2 * h, 2 * w)) for h, w in sizes], COPY_SETS["all"], 3)
    field = scattered(coarse, (9, 7))
    carried = carry(Pointers(field.index.int(), coarse, OPEN), laid, 2, empty(17, 14))
    assert torch.equal(carried.index.long(), double(field, fine, (17, 14)).index)


def test_a_field_carried_up_copies_only_what_it_may() -> None:
    """Beside a hole, pixels of the same coarse pixel; inside of it, the next ones that there are."""
    coarse, valid = atlas_of(spots(8, 8), margin=2), torch.ones(1, 1, 24, 24, dtype=torch.bool)
    valid[:, :, 3:7, 3:24] = False  # all of the second row but its first pixel, and a third of the third one
    laid = sheet.lay([Exemplar("e", spots(24, 24), valid)], COPY_SETS["none"], 2)
    rows, columns = torch.arange(8)[:, None].expand(8, 8), torch.arange(8).expand(8, 8)
    index = coarse.join(torch.zeros_like(rows), rows, columns)
    carried = carry(Pointers(index.int(), coarse, OPEN), laid, 3, empty(24, 24)).index.long()
    _, y, x = laid.split(carried)
    assert laid.valid[carried].all()
    assert (y[6, 3:] == 7).all() and torch.equal(x[6, 3:], torch.arange(3, 24) // 3 * 3)
    assert (y[4, 3:] == 5).all() and (x[4, 3:] == 0).all()
