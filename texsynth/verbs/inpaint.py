"""inpaint: the damaged, missing or new pixels of one picture are synthesised; all others stay as they are."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.errors import InputError, UsageError
from texsynth.field import lattice
from texsynth.image import holes, rows
from texsynth.image import load as inputs
from texsynth.image.load import Note, extent
from texsynth.image.picture import Picture
from texsynth.job import Job, Layer
from texsynth.requests.inpaint import Request
from texsynth.requests.option import recorded
from texsynth.requests.shared import KEEP
from texsynth.task import Exemplar
from texsynth.verbs import parse, synthesize
from texsynth.verbs.synthesize import Draft, Marks
from texsynth.verbs.verb import Verb

CORE_SHARE = 0.25  # of a band, that is made anew in any case: the border of what is made is a cut round it
NARROWEST_CORE = 10  # pixels, or half of the band: less cannot bring two sides together
THINNEST_BAND = 4  # pixels that leave the solver something to do
LARGEST_STEP = 2.0  # across a border of a picture that repeats, squared, beside the mean step between its pixels
NOTICED_SHARE = 0.6  # of a picture, above which a mask may mean all the rest
SOFT_SHARE = 0.02  # of a transparent hole, up to which half transparent pixels are not mentioned
SHARED = (
    "size",
    "tile",
    "exact_copies",
    "crop",
    "normals",
    "normals_out",
    "pack",
    "texel",
    "map_weight",
)  # options, in the record
Margins = tuple[int, int, int, int]  # left, top, right, bottom


def build(request: Request) -> Job:
    """Read and check everything; raises UsageError, InputError or ResourceError."""
    _check(request)
    margins = (0, 0, 0, 0) if request.extend is None else parse.extend(request.extend)
    notices: list[str] = []
    note = notices.append
    sources = [*synthesize.sources(request), *(request.others or ())]
    read = synthesize.read(replace(request, source_mask=None), sources, note, as_they_are=1)
    _warn_of_broken_steps(request, read, note)
    draft = _extended(request, read, margins)
    hole, core, band, mask = _hole(request, draft, margins, note)
    check_borders(draft, hole, _wraps(request))
    exemplars, marks = _exemplars(request, draft, core, margins, note)
    core = core if exemplars[0].valid is None else core | (hole & ~exemplars[0].valid)
    marks = [*mask, *marks]
    others = range(1, len(exemplars))  # the pictures to copy from
    pictures = (replace(e, role="source") if n in others else e for n, e in enumerate(draft.inputs))
    draft = replace(draft, exemplars=exemplars, inputs=(*pictures, *(mark.entry for mark in marks)))
    draft = replace(draft, remarks=tuple(mark.remark for mark in marks))
    job = synthesize.finish(draft, "inpaint", draft.exemplars[0].size, notices, hole=hole, core=core)
    extended = None if request.extend is None else ",".join(map(str, margins))
    section = recorded(request, Request.SECTION, band=band, extend=extended, grow=request.grow or 0)
    values = {name: value for name, value in job.values.items() if name in SHARED} | {Request.SECTION: section}
    return replace(job, values=values)


def default_band(size: tuple[int, int]) -> int:
    """The width of the band across a border of a picture of (height, width) that shall wrap: an even number of pixels,
    about a sixth of the shorter side."""
    return max(THINNEST_BAND, 2 * round(min(size) / 12))


def _check(request: Request) -> None:
    """Refuse what contradicts itself, before anything is read."""
    if (count := len(request.exemplars or ())) != 1:
        raise UsageError(
            f"inpaint takes one IMAGE, and {count} were given; pictures to copy from go with "
            "--exemplar, several to repair with a folder as -o"
        )
    if request.preview and request.make_tileable is None:
        raise UsageError("--preview shows the seams of --make-tileable; give that too, or leave --preview out")
    if request.size is not None:
        raise UsageError(f"--size {request.size}: inpaint keeps the picture's size; --extend L,T,R,B adds to it")
    if request.flatten:
        raise UsageError("--flatten: inpaint leaves known pixels as they are; leave the flag out")
    if request.crop is not None and request.others:
        raise UsageError("--crop and --exemplar exclude each other; crop the pictures beforehand")
    if request.mask_invert and request.mask is None:
        raise UsageError("--mask-invert needs --mask, whose white and black it exchanges")
    if request.band is not None and request.make_tileable is None:
        raise UsageError("--band needs --make-tileable x, y or xy")
    if request.grow is not None and request.grow < 0:
        raise UsageError(f"--grow {request.grow}: a number of pixels from 0 up is needed")
    if request.source_mask:
        inputs.per_exemplar(request.source_mask, len(request.others or ()) or 1, "--source-mask")


def _extended(request: Request, draft: Draft, margins: Margins) -> Draft:
    """The draft at the size of the result, with the new border round IMAGE and its maps."""
    height, width = draft.exemplars[0].size
    left, top, right, bottom = margins
    size = height + top + bottom, width + left + right
    planes = sum(layer.planes for layer in (Layer(draft.pictures), *draft.maps.values()))
    parse.room(size, 4 + planes, draft.room)

    def framed(pictures: tuple[Picture, ...], fine: int = 1) -> tuple[Picture, ...]:
        return inputs.extended(pictures[0], (fine * left, fine * top, fine * right, fine * bottom)), *pictures[1:]

    y, x = (tiled or wrapped for tiled, wrapped in zip(draft.tile, _wraps(request), strict=True))
    maps = {n: replace(m, pictures=framed(m.pictures, m.scale.numerator)) for n, m in draft.maps.items()}
    return replace(draft, pictures=framed(draft.pictures), maps=maps, tile=(y, x))


def _wraps(request: Request) -> tuple[bool, bool]:
    """Along which of (y, x) IMAGE is to be made to wrap."""
    name = request.make_tileable
    return (False, False) if name is None else parse.tile(name, "--make-tileable", ("x", "y", "xy"))


def _hole(
    request: Request, draft: Draft, margins: Margins, note: Note
) -> tuple[Tensor, Tensor, int | None, list[Marks]]:
    """The hole of the extended picture, (1, 1, h, w) bool, and the part of it that is made anew in any case; the width
    of the band; the mask, if there is one."""
    first, name = draft.pictures[0], draft.exemplars[0].name
    band = _band(request, extent(first))
    clear = first.alpha is not None and request.alpha != KEEP
    if request.mask is None and not clear and band is None and request.extend is None:
        raise UsageError(
            f"nothing says what of {name} to fill: give --mask MASK, --make-tileable x, y or xy, --extend L,T,R,B, or "
            "a picture with transparent parts"
        )
    if request.grow and request.mask is None and not clear:
        raise UsageError(f"--grow {request.grow}: there is no mask and nothing transparent to grow; leave it out")
    mask = [] if request.mask is None else [_masked(request, draft, note)]
    marked = _framed(mask[0].pixels, margins) if mask else _transparent(request, draft, note)
    marked = holes.grow(marked, request.grow or 0, draft.tile)
    widths = (0, 0) if band is None else (band, _core(band))
    hole, core = (marked | _edges(extent(first), margins, _wraps(request), width) for width in widths)
    if hole.all():
        raise InputError(
            f"{name}: all of it is to be filled, so nothing known is left; leave some of it out of the hole"
        )
    if not hole.any():
        empty = f"{mask[0].entry.name}: the mask is empty" if mask else f"{name} is opaque everywhere"
        note(f"{empty}: the picture comes back as it is")
    return hole, core, band, mask


def _core(band: int) -> int:
    """The width of what is made anew in any case, in the middle of a band: an even number of pixels."""
    return max(2, 2 * round(band * CORE_SHARE / 2), min(NARROWEST_CORE, 2 * round(band / 4)))


def _masked(request: Request, draft: Draft, note: Note) -> Marks:
    """What the mask marks; a notice says so when that is most of the picture, as it is where black was meant."""
    assert request.mask is not None
    mask = synthesize.marked(request.mask, "mask", draft.whole[0], draft.box, draft.room, note)
    mask = mask.inverted() if request.mask_invert else mask
    if NOTICED_SHARE < mask.share < 1:
        fix = "without --mask-invert" if request.mask_invert else "with --mask-invert"
        rest = f"{fix} it is the other {100 - 100 * mask.share:.3g} %"
        note(f"{mask.entry.name}: {100 * mask.share:.3g} % of the picture is to be filled; {rest}")
    return mask


def _transparent(request: Request, draft: Draft, note: Note) -> Tensor:
    """What is not opaque, (1, 1, h, w) bool; nothing where transparency is part of the texture."""
    hole, alpha = ~inputs.opaque(draft.pictures[0]), draft.pictures[0].alpha
    if request.alpha == KEEP:
        return torch.zeros_like(hole)
    # Half transparent colours at the edge of a hole are often a fringe.
    if not request.grow and alpha is not None and _soft_share(alpha, hole) > SOFT_SHARE:
        note(
            f"{draft.exemplars[0].name}: its transparent parts have a soft edge, whose colours may show round what is "
            "filled; --grow 2 leaves its fringe out"
        )
    return hole


def _soft_share(alpha: Tensor, hole: Tensor) -> float:
    """The share of a hole (1, 1, h, w) bool that is not quite transparent; 0 for no hole."""
    soft = sum(rows.count(strip[inside] > 0) for strip, inside in rows.strips(alpha, hole))
    return soft / max(1, rows.count(hole))


def _warn_of_broken_steps(request: Request, draft: Draft, note: Note) -> None:
    """Say when a regular texture is to wrap after a broken number of its steps, and which crop holds whole ones."""
    image, wraps = draft.exemplars[0].image, _wraps(request)
    if not any(wraps) or request.extend is not None:
        return
    fine = lattice.regular(image)
    if fine is None:
        return
    better = lattice.whole(fine, extent(draft.pictures[0]), wraps)
    if better is None or min(better) < parse.SMALLEST:
        return
    down, along = (
        f"{round(step, 1):g}" if step and wrapped else None
        for step, wrapped in zip(lattice.steps(fine), wraps, strict=True)
    )
    period = f"{along}x{down} px" if along and down else f"{along} px along x" if along else f"{down} px along y"
    x, y = (0, 0) if draft.box is None else draft.box[:2]
    crop = f"--crop {x},{y},{better[1]},{better[0]}"
    note(f"{draft.exemplars[0].name}: the texture repeats every {period}: {crop} holds whole steps and wraps better")


def check_borders(draft: Draft, hole: Tensor, banded: tuple[bool, bool] = (False, False)) -> None:
    """Refuse --tile where pixels outside a hole (1, 1, h, w) meet across a border that does not repeat.

    banded: along which of (y, x) a band makes it repeat.
    """
    image = inputs.matching(draft.pictures[:1])[0]
    asked = [dim for dim in (1, 0) if draft.tile[dim] and not banded[dim]]
    broken = "".join("yx"[dim] for dim in asked if not _meets_itself(image, ~hole, dim + 2))
    if broken:
        name, axes = draft.exemplars[0].name, " and ".join(broken)
        raise UsageError(
            f"--tile {draft.request.tile}: {name} does not repeat along {axes}, and pixels outside the hole stay "
            f"as they are; inpaint --make-tileable {broken} makes it repeat"
        )


def _meets_itself(image: Tensor, stays: Tensor, dim: int) -> bool:
    """Are the steps between pixels that stay no larger across the border of a dimension than elsewhere along it?"""
    last = image.shape[dim] - 1
    ends = [torch.cat([each.narrow(dim, last, 1), each.narrow(dim, 0, 1)], dim) for each in (image, stays)]
    border, count = _steps(ends[0], ends[1], dim)
    inner = []
    for top, bottom in rows.spans(image.shape[2:]):
        first = max(0, top - 1) if dim == 2 else top
        inner.append(_steps(image[:, :, first:bottom], stays[:, :, first:bottom], dim))
    rest, number = map(sum, zip(*inner, strict=True))
    return border / max(1, count) <= LARGEST_STEP * rest / max(1, number)


def _steps(image: Tensor, stays: Tensor, dim: int) -> tuple[float, int]:
    """The sum of the squared steps along a dimension between neighbours that both stay, and how many these are."""
    both = stays.narrow(dim, 1, stays.shape[dim] - 1) & stays.narrow(dim, 0, stays.shape[dim] - 1)
    return float((image.diff(dim=dim).square().mean(1, keepdim=True) * both).sum()), rows.count(both)


def _band(request: Request, size: tuple[int, int]) -> int | None:
    """The width of the band across each border that wraps, None where none does; raises UsageError."""
    wraps = _wraps(request)
    if not any(wraps):
        return None
    width = default_band(size) if request.band is None else request.band
    most = min(side for side, wrapped in zip(size, wraps, strict=True) if wrapped) // 2
    if not THINNEST_BAND <= width <= most:
        raise UsageError(f"--band {width}: {THINNEST_BAND} to {most} pixels are possible, half of the side at most")
    return width


def _edges(size: tuple[int, int], margins: Margins, wraps: tuple[bool, bool], band: int) -> Tensor:
    """What --extend adds, and half of the band at each side of a border that wraps, (1, 1, *size) bool."""
    left, top, right, bottom = margins
    hole = torch.ones(1, 1, *size, dtype=torch.bool)
    hole[:, :, top : size[0] - bottom, left : size[1] - right] = False
    for dim, wrapped in enumerate(wraps, 2):
        if wrapped:
            hole.narrow(dim, 0, band // 2).fill_(True)
            hole.narrow(dim, hole.shape[dim] - (band - band // 2), band - band // 2).fill_(True)
    return hole


def _framed(mask: Tensor, margins: Margins) -> Tensor:
    """A mask with the border of --extend round it, in which nothing is marked."""
    left, top, right, bottom = margins
    return F.pad(mask, (left, right, top, bottom))


def _exemplars(
    request: Request, draft: Draft, hole: Tensor, margins: Margins, note: Note
) -> tuple[tuple[Exemplar, ...], list[Marks]]:
    """The exemplars with the pixels that may be copied, opaque ones of the others or of IMAGE outside the hole; and the
    source masks."""
    sizes = draft.whole[1:] if request.others else draft.whole
    masks = synthesize.masks(request.source_mask or (), sizes, draft.box, draft.room, note)
    usable = [torch.ones_like(p.pixels[:, :1], dtype=torch.bool) for p in draft.pictures]
    if request.alpha != KEEP:
        usable[0] = inputs.opaque(draft.pictures[0])
        usable[1:] = [
            all_ if e.valid is None else e.valid for all_, e in zip(usable[1:], draft.exemplars[1:], strict=True)
        ]
    usable[0] &= False if request.others else ~hole
    for number, mask in enumerate(masks, 1 if request.others else 0):
        usable[number] &= mask.pixels if number else _framed(mask.pixels, margins)
    if hole.any() and not any(pixels.any() for pixels in usable):
        names = ", ".join(exemplar.name for exemplar in draft.exemplars[1 if request.others else 0 :])
        raise InputError(f"{names}: nothing is left to copy from; opaque pixels outside the hole are needed")
    images = inputs.matching(draft.pictures)
    images[0] = holes.smooth(images[0], hole)
    valid = usable if hole.any() else [None] * len(usable)  # an empty hole asks for nothing
    return tuple(map(Exemplar, (e.name for e in draft.exemplars), images, valid)), masks


VERB = Verb("inpaint", build)
