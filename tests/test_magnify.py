"""Synthesis magnification: fields of any size."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from fields import OPEN, atlas_of, field_of, scattered
from pictures import generator, spots
from texsynth.field import tone
from texsynth.field.align import align
from texsynth.field.atlas import COPY_SETS, Field, double, turn
from texsynth.field.magnify import light, sheet
from texsynth.field.magnify.carry import carry
from texsynth.field.magnify.mend import mend
from texsynth.field.magnify.sheet import Pointers
from texsynth.field.magnify.slide import slide
from texsynth.field.magnify.tone import enlarged
from texsynth.field.planes import laid_out
from texsynth.field.quilting import meet
from texsynth.image import pixels
from texsynth.task import Exemplar


def test_a_sheet_has_the_geometry_and_the_colours_of_the_atlas() -> None:
    images = (torch.rand(1, 3, 13, 18), torch.rand(1, 3, 21, 11))
    atlas = atlas_of(*images, copies="all", margin=3)
    laid = sheet.lay([Exemplar("e", image) for image in images], COPY_SETS["all"], 3)
    index = atlas.valid.nonzero()[:, 0]
    assert torch.equal(laid.home_of(index), atlas.home[index])
    planes = laid_out([(13, 18), (21, 11)], COPY_SETS["all"], 3)
    assert torch.equal(planes.copying(atlas.origins(index)), index)
    assert torch.equal(laid.valid, atlas.valid)
    for plane, (h, w) in enumerate(laid.shapes):
        some = slice(0, h + 6), slice(0, w + 6)
        colours = atlas.picture(atlas.colours)[plane].permute(1, 2, 0)[some]
        assert torch.equal(laid.colours.view(-1, laid.rows, laid.row, 3)[plane][some], (colours * 255).round().byte())


def test_copies_are_turned_some_rows_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    exemplars, turned = [Exemplar("e", torch.rand(1, 3, 40, 30))], []
    whole = sheet.lay(exemplars, COPY_SETS["all"], 3)

    def noted(image: Tensor, copy: str) -> Tensor:
        turned.append(image[0, 0].numel())
        return turn(image, copy)

    monkeypatch.setattr(sheet, "turn", noted)
    monkeypatch.setattr(sheet, "PIXELS_AT_ONCE", 200)
    assert torch.equal(sheet.lay(exemplars, COPY_SETS["all"], 3).colours, whole.colours)
    assert max(turned) <= 200


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


def seams(field: Pointers, colours: Tensor) -> float:
    """What all breaks of a field cost together."""
    index, (_, width), row, cost = field.index.long().flatten(), field.size, field.atlas.row, 0.0
    for apart, stride in ((1, 1), (width, row)):
        a, b = index[:-apart], index[apart:]
        cost += float(meet(colours, a, b, stride)[b != a + stride].sum())
    return cost


def test_pieces_slide_as_they_do_in_a_field_that_is_solved_whole() -> None:
    """Where their colours are whole numbers of 8 bits, and so all sums are exact."""
    picture = (spots(48, 48) * 255).round() / 255
    laid, atlas = sheet.lay([Exemplar("e", picture)], COPY_SETS["none"], 4), atlas_of(picture)
    rows, columns = torch.arange(60), torch.arange(52)
    first = torch.randint(4, 30, (2, 6, 6), generator=generator())[:, rows // 10][:, :, columns // 10]
    y, x = first[0] + (rows % 10)[:, None], first[1] + columns % 10
    for tile in ((False, True), (True, False)):
        index = laid.join(torch.zeros_like(y), y, x)
        field = Pointers(index.int(), laid, tile)
        slide(field, laid, 5, generator())
        whole = align(
            replace(field_of(atlas, index, tile), atlas=replace(atlas, colours=atlas.colours * 255)), 5, generator()
        )
        assert torch.equal(field.index.long(), whole.index) and not torch.equal(whole.index, index)


def test_mending_makes_pieces_meet_where_they_fit() -> None:
    laid = sheet.lay([Exemplar("e", spots(64, 64))], COPY_SETS["none"], 4)
    rows, columns = torch.arange(60), torch.arange(60)
    first = torch.randint(48, (2, 6, 6), generator=generator())[:, rows // 10][:, :, columns // 10]
    y, x = first[0] + (rows % 10)[:, None], first[1] + columns % 10
    field = Pointers(laid.join(torch.zeros_like(y), y, x).int(), laid, (True, True))
    before, pointers = seams(field, laid.colours.float()), field.index.clone()
    mend(field, laid, 5, 3)
    assert seams(field, laid.colours.float()) < 0.9 * before
    near = ((rows % 10 < 3) | (rows % 10 > 6))[:, None] | (columns % 10 < 3) | (columns % 10 > 6)
    assert torch.equal(field.index[~near], pointers[~near])  # seams move by a pixel a pass


def test_a_change_of_tone_is_smooth_within_a_piece_and_keeps_the_step_between_two() -> None:
    coarse, fine = (sheet.lay([Exemplar("e", spots(40 * f, 40 * f))], COPY_SETS["none"], 4) for f in (1, 4))
    rows, columns = torch.arange(16)[:, None].expand(16, 16), torch.arange(16).expand(16, 16)
    right = columns >= 8  # a piece from elsewhere
    index = coarse.join(torch.zeros_like(rows), rows + 20 * right, columns)
    field = Pointers(index.int(), coarse, OPEN)
    carried = carry(field, fine, 4, empty(64, 64))
    ramp = columns / 16 + right.float()
    result = enlarged(ramp.expand(1, 3, 16, 16).contiguous(), field, carried, 4, 20, 44)
    middle = (torch.arange(64) - 1.5) / 4
    wanted = torch.where(middle < 7.5, middle.clamp(0, 7), middle.clamp(8, 15) + 16) / 16
    assert torch.allclose(result, wanted.expand(1, 3, 24, 64), atol=1e-6)


def lit(seed: int) -> tuple[Field, Pointers]:
    """Four strips of a ramp of light with grain, each from another place, as a field and as pointers."""
    grain = torch.rand(1, 1, 96, 96, generator=generator(seed)) * 0.04
    atlas = atlas_of((torch.linspace(0.3, 0.6, 96).view(1, 1, 1, 96) + grain).expand(1, 3, 96, 96).contiguous())
    rows, columns = torch.arange(60)[:, None].expand(60, 80), torch.arange(80).expand(60, 80)
    from_x = columns % 20 + torch.tensor([5, 60, 20, 70])[columns // 20]
    field = field_of(atlas, atlas.join(torch.zeros_like(rows), rows + 7, from_x))
    return field, Pointers(field.index.int(), atlas, OPEN)


def test_light_is_evened_out_as_in_whole_fields(monkeypatch: pytest.MonkeyPatch) -> None:
    """On cells that are pixels it is the same; on larger ones, whether seams are between cells or have moved by
    three pixels of four, it is what it was inside of pieces."""
    field, whole = lit(4)
    exact = tone.correction(field)
    assert float(exact.abs().max()) > 0.02
    assert torch.allclose(light.correction(whole, whole, field.atlas, 1), exact, atol=2e-3)
    planes, (plane, y, x) = laid_out([(24, 24)], COPY_SETS["none"], 4), field.atlas.split(field.index[::4, ::4])
    coarse = Pointers(planes.join(plane, y // 4, x // 4).int(), planes, OPEN)
    before = (whole.index[:, :1] - torch.tensor([3, 2, 1])).int()
    moved = replace(whole, index=torch.cat([before, whole.index[:, :-3]], 1))  # by most of a cell
    for fine in (whole, moved):
        cells = light.correction(fine, coarse, field.atlas, 4)
        inside = exact.unflatten(2, (15, 4)).unflatten(4, (20, 4)).mean((3, 5))
        assert float((cells - inside).abs().max()) < 0.02
    cells = light.correction(whole, coarse, field.atlas, 4)
    monkeypatch.setattr(pixels, "PIXELS_AT_ONCE", 300)
    assert torch.equal(light.correction(whole, coarse, field.atlas, 4), cells)
