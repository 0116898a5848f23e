"""inpaint: the damaged, missing or new pixels of one picture made again; all others stay as they are."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.errors import InputError, UsageError
from texsynth.field import lattice
from texsynth.image import holes
from texsynth.image import load as inputs
from texsynth.image.load import Note, extent
from texsynth.image.picture import Picture
from texsynth.job import Input, Job, Layer
from texsynth.pyramid import shrink
from texsynth.requests.inpaint import Request
from texsynth.requests.option import recorded
from texsynth.task import Exemplar
from texsynth.verbs import parse, synthesize
from texsynth.verbs.synthesize import Draft
from texsynth.verbs.verb import Verb

THINNEST = 4  # pixels of a band that leave the solver something to do
REGULAR = 0.25  # autocorrelation from which on a texture has a step
SEEN = 256  # pixels of the shorter side, at most, that the step is looked for in
SOFT = 0.02  # share of a transparent hole that may be half transparent without a word
Margins = tuple[int, int, int, int]  # left, top, right, bottom


def build(request: Request) -> Job:
    """Read and check everything; raises UsageError, InputError or ResourceError."""
    _check(request)
    margins = (0, 0, 0, 0) if request.extend is None else parse.extend(request.extend)
    notices: list[str] = []
    note = notices.append
    sources = [*synthesize.sources(request), *(request.others or ())]
    read = synthesize.read(replace(request, source_mask=None), sources, note)
    _warn_of_broken_steps(request, read, note)
    draft = _extended(request, read, margins)
    hole, band, entries = _hole(request, draft, margins, note)
    exemplars, mask_entries = _exemplars(request, draft, hole, margins, note)
    draft = replace(draft, exemplars=exemplars, inputs=(*_roles(draft), *entries, *mask_entries))
    job = synthesize.finish(draft, "inpaint", draft.exemplars[0].size, notices)
    extended = None if request.extend is None else ",".join(map(str, margins))
    own = recorded(request, Request.SECTION, band=band, extend=extended, grow=request.grow or 0)
    plain = {name: job.values[name] for name in ("size", "tile", "crop")}
    task = replace(job.task, hole=hole)
    return replace(job, task=task, values={**plain, Request.SECTION: own}, heal=not request.exact_copies)


def default_band(size: tuple[int, int]) -> int:
    """How many pixels across a border of a picture of (height, width) are made again to let it wrap: an even number,
    about a sixth of the shorter side."""
    return max(THINNEST, 2 * round(min(size) / 12))


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
    """The draft at the size that the result will have, with the new border round IMAGE and its maps."""
    height, width = draft.exemplars[0].size
    left, top, right, bottom = margins
    size = height + top + bottom, width + left + right
    first = (draft.pictures[0], *(layer.pictures[0] for layer in draft.maps.values()))
    parse.room(size, 4 + sum(picture.channels for picture in first), draft.memory)

    def grown(pictures: tuple[Picture, ...]) -> tuple[Picture, ...]:
        return inputs.extended(pictures[0], margins), *pictures[1:]

    y, x = (tiled or made for tiled, made in zip(draft.tile, _wraps(request), strict=True))
    maps = {name: Layer(grown(layer.pictures), layer.role) for name, layer in draft.maps.items()}
    return replace(draft, pictures=grown(draft.pictures), maps=maps, tile=(y, x))


def _wraps(request: Request) -> tuple[bool, bool]:
    """Along which of (y, x) IMAGE is to be made to wrap."""
    made = request.make_tileable
    return (False, False) if made is None else parse.wrap(made, "--make-tileable")


def _hole(request: Request, draft: Draft, margins: Margins, note: Note) -> tuple[Tensor, int | None, list[Input]]:
    """What is to be made of the extended picture, (1, 1, h, w) bool; the width of the band; and what was read."""
    first, name = draft.pictures[0], draft.exemplars[0].name
    band = _band(request, extent(first))
    if request.mask is None and first.alpha is None and band is None and request.extend is None:
        raise UsageError(
            f"nothing says what of {name} to fill: give --mask MASK, --make-tileable x, y or xy, --extend L,T,R,B, or "
            "a picture with transparent parts"
        )
    marked, entries = _marked(request, draft, margins, note)
    hole = marked | _border(extent(first), margins) | _strips(extent(first), _wraps(request), band or 0)
    if hole.all():
        raise InputError(
            f"{name}: all of it is to be filled, so nothing known is left; leave some of it out of the hole"
        )
    if not hole.any():
        empty = f"{entries[0].name}: the mask is empty" if entries else f"{name} is opaque everywhere"
        note(f"{empty}: the picture comes back as it is")
    return hole, band, entries


def _marked(request: Request, draft: Draft, margins: Margins, note: Note) -> tuple[Tensor, list[Input]]:
    """What the mask says is to be filled, or without one all that is not opaque, grown, (1, 1, h, w) bool."""
    if request.mask is None:
        hole = ~inputs.opaque(draft.pictures[0])
        if not request.grow:
            _warn_of_soft_edges(draft, hole, note)
        return holes.grow(hole, request.grow or 0, draft.tile), []
    picture, entry = inputs.load(request.mask, "mask")
    whole = inputs.stretched(picture, draft.whole[0], "data", entry.name, note)
    white = inputs.usable(inputs.cropped(whole, draft.box, entry.name))
    marked = _framed(~white if request.mask_invert else white, margins)
    return holes.grow(marked, request.grow or 0, draft.tile), [entry]


def _warn_of_soft_edges(draft: Draft, hole: Tensor, note: Note) -> None:
    """Say when many pixels at the edge of a transparent hole are half of it: their colours are often a fringe."""
    alpha = draft.pictures[0].alpha
    if alpha is not None and float((alpha[hole] > 0).float().mean()) > SOFT:  # no hole at all is no number above
        note(
            f"{draft.exemplars[0].name}: its transparent parts have a soft edge, whose colours may show round what is "
            "filled; --grow 2 leaves its fringe out"
        )


def _warn_of_broken_steps(request: Request, draft: Draft, note: Note) -> None:
    """Say when a regular texture is to wrap after a broken number of its steps, and which crop holds whole ones."""
    image, wraps = draft.exemplars[0].image, _wraps(request)
    if not any(wraps) or request.extend is not None:
        return
    level = max(0, math.ceil(math.log2(min(image.shape[2:]) / SEEN)))
    found = lattice.find(shrink(image, level))
    if found is None or found.height < REGULAR:
        return
    found, size = found.times(2**level), extent(draft.pictures[0])
    better = lattice.whole(found, size, wraps)
    if better is None or min(better) < parse.SMALLEST:
        return
    down, along = (
        f"{round(step, 1):g}" if step and wrapped else None
        for step, wrapped in zip(lattice.steps(found), wraps, strict=True)
    )
    period = f"{along}x{down} px" if along and down else f"{along} px along x" if along else f"{down} px along y"
    x, y = (0, 0) if draft.box is None else draft.box[:2]
    crop = f"--crop {x},{y},{better[1]},{better[0]}"
    note(f"{draft.exemplars[0].name}: the texture repeats every {period}: {crop} holds whole steps and wraps better")


def _band(request: Request, size: tuple[int, int]) -> int | None:
    """The width of the band across each border that wraps, None where none does; raises UsageError."""
    wraps = _wraps(request)
    if not any(wraps):
        return None
    width = default_band(size) if request.band is None else request.band
    most = min(side for side, wrapped in zip(size, wraps, strict=True) if wrapped) // 2
    if not THINNEST <= width <= most:
        raise UsageError(f"--band {width}: {THINNEST} to {most} pixels are possible, half of the side at most")
    return width


def _border(size: tuple[int, int], margins: Margins) -> Tensor:
    """What --extend adds, (1, 1, *size) bool."""
    left, top, right, bottom = margins
    hole = torch.ones(1, 1, *size, dtype=torch.bool)
    hole[:, :, top : size[0] - bottom, left : size[1] - right] = False
    return hole


def _strips(size: tuple[int, int], wraps: tuple[bool, bool], band: int) -> Tensor:
    """The band across each border that wraps, half of it at each side, (1, 1, *size) bool."""
    hole = torch.zeros(1, 1, *size, dtype=torch.bool)
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
) -> tuple[tuple[Exemplar, ...], list[Input]]:
    """What the solver sees, and what of it may be copied: opaque pixels of the others, or known ones of IMAGE."""
    sizes = draft.whole[1:] if request.others else draft.whole
    masks, entries = synthesize.masks(request.source_mask or (), sizes, draft.box, note)
    usable = [inputs.opaque(picture) for picture in draft.pictures]
    usable[0] &= False if request.others else ~hole
    for number, mask in enumerate(masks, 1 if request.others else 0):
        if mask is not None:
            usable[number] &= mask if number else _framed(mask, margins)
    if hole.any() and not any(pixels.any() for pixels in usable):
        names = ", ".join(exemplar.name for exemplar in draft.exemplars[1 if request.others else 0 :])
        raise InputError(f"{names}: nothing is left to copy from; opaque pixels outside the hole are needed")
    images = inputs.matching(draft.pictures)
    images[0] = holes.smooth(images[0], hole)
    valid = usable if hole.any() else [None] * len(usable)  # an empty hole asks for nothing
    return tuple(map(Exemplar, (e.name for e in draft.exemplars), images, valid)), entries


def _roles(draft: Draft) -> tuple[Input, ...]:
    """What was read, the pictures to copy from told apart from the one to repair."""
    others = range(1, len(draft.exemplars))
    return tuple(replace(e, role="source") if n in others else e for n, e in enumerate(draft.inputs))


VERB = Verb("inpaint", build)
