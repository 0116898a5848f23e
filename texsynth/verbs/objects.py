"""Objects of one picture, by two masks: where they are, and where they shall be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from texsynth.errors import InputError, UsageError
from texsynth.guidance import labels as label_tools
from texsynth.guidance import maps
from texsynth.guidance.maps import Map
from texsynth.guidance.progression import COLOUR_RANGE
from texsynth.image import load as inputs
from texsynth.image import masks as drawings
from texsynth.image import rows
from texsynth.image.load import Note, Source
from texsynth.image.picture import Picture
from texsynth.job import Input
from texsynth.pyramid import enlarge_pointers, halved, middles
from texsynth.verbs import warp
from texsynth.verbs.synthesize import Draft
from texsynth.verbs.warp import Warp

MOST_GROWTH = 4  # the factor of its area up to which an object is enlarged without a notice
LONGEST_RAMP, LEAST_GAP = 24, 8  # of 255 levels: longer runs of common greys are soft edges; flat greys lie apart
HINT = "white (at least 50 %) is the object, or each colour but black in a mask of more"


@dataclass(frozen=True)
class Masks:
    """The masks of what is where before and after the edit.

    source, target: The ids before and after, (1, 1, h, w).
    colours: The colour of each id, (K, 3).
    background: The id of black, or of the commonest colour where there is no black.
    objects: The ids of all objects before the edit.
    remarks: What was understood, one line each.
    """

    source: Tensor
    target: Tensor
    colours: Tensor
    background: int
    objects: tuple[int, ...]
    inputs: tuple[Input, Input]
    remarks: tuple[str, ...]

    def name(self, number: int) -> str:
        """An object in words."""
        return "the object" if len(self.colours) == 2 else f"the object {hex_of(self.colours[number])}"


def read(source: Source, target: Source, invert: bool, draft: Draft, note: Note) -> Masks:
    """Both masks on the pixels of the draft's first exemplar; raises InputError when they show no object to edit.

    invert: is the object what masks of one object do not mark?
    """
    loaded = [inputs.load(source, "mask", draft.room), inputs.load(target, "target-mask", draft.room)]
    pictures, entries = [p for p, _ in loaded], (loaded[0][1], loaded[1][1])
    # Number the colours of label maps, or the black and white of masks.
    drawn = [
        rows.changed(drawings.on_black(picture, entry.name), lambda strip: strip.clamp(0, 1))
        for picture, entry in zip(pictures, entries, strict=True)
    ]
    words = None
    if any(map(_is_label_map, drawn)):
        with maps.about(entries[0].name):
            palette = label_tools.palette(drawn[:1])
        with maps.about(entries[1].name):
            colours = label_tools.shared(palette, drawn[1])
        ids = [label_tools.ids(each, colours) for each in drawn]
    else:
        readings = [drawings.understood(p, entry.name) for p, entry in zip(pictures, entries, strict=True)]
        ids = [rows.changed(drawings.marked(r.picture), lambda strip: (strip ^ invert).float()) for r in readings]
        words = [f"{'all but ' if invert else ''}{reading.words}" for reading in readings]
        colours = torch.tensor([[0.0] * 3, [1.0] * 3])
    layers = [Map(Picture(each), entry) for each, entry in zip(ids, entries, strict=True)]
    before, after = (maps.on_exemplar(layer, draft, 0, note, "labels") for layer in layers)
    background = int(colours.norm(dim=1).argmin())
    if float(colours[background].norm()) > label_tools.COLOUR_DISTANCE:
        background = int(rows.counts(before, len(colours)).argmax())
        note(f"{entries[0].name} has no black, so its commonest colour, {hex_of(colours[background])}, is background")
    if invert and words is None:
        if len(colours) > 2:
            raise UsageError(f"--mask-invert: {entries[0].name} has objects in several colours; leave the flag out")
        background = 1 - background
    words = words or [f"each colour but {hex_of(colours[background])}"] * 2
    shares = [100 * rows.share(each != background) for each in (before, after)]
    remarks = tuple(
        f"{entry.name}: {what}, {share:.3g} % marked" for entry, what, share in zip(entries, words, shares, strict=True)
    )
    numbers = rows.distinct(before).long().tolist()
    masks = Masks(before, after, colours, background, tuple(n for n in numbers if n != background), entries, remarks)
    _check(masks, where=" inside the crop" if draft.box else "")
    for number in masks.objects:
        if not (after == number).any():
            note(f"{entries[1].name} has no {hex_of(colours[number])}: {masks.name(number)} of {entries[0].name} goes")
    return masks


def start(masks: Masks, kind: Callable[[Tensor, Tensor], Warp], valid: Tensor | None, note: Note) -> Tensor:
    """Where each pixel starts from, (1, 2, h, w): an object from its own pixels by a warp, background where it is from
    itself, and NaN where an object was and is no more. Nothing starts from pixels that are not valid.

    A picture too large to be solved whole is solved at a reduced size, so its objects are warped at that size."""
    for number in masks.objects:
        region = masks.source == number if valid is None else (masks.source == number) & valid
        if not region.any() and (masks.target == number).any():
            raise InputError(
                f"nothing of {masks.name(number)} may be copied, by --source-mask or since it is transparent"
            )
    size, level = (masks.source.shape[2], masks.source.shape[3]), 0
    while halved(size[0], level) * halved(size[1], level) > rows.WHOLE:
        level += 1
    if level == 0:
        return _warped(masks, kind, valid, note)
    source, target = (middles(each, level) for each in (masks.source, masks.target))
    usable = None if valid is None else middles(valid, level)
    warped = _warped(replace(masks, source=source, target=target), kind, usable, note)
    return enlarge_pointers(warped, 1 << level, size, size)


def _warped(masks: Masks, kind: Callable[[Tensor, Tensor], Warp], valid: Tensor | None, note: Note) -> Tensor:
    """As `start`, at the size of the masks; objects that are lost at it have no start."""
    size = (masks.source.shape[2], masks.source.shape[3])
    was, is_now = (m != masks.background for m in (masks.source, masks.target))
    origins = places(size)
    origins[(was & ~is_now).expand_as(origins)] = torch.nan
    if valid is not None:
        origins[(~valid).expand_as(origins)] = torch.nan
    for number in masks.objects:
        region, goal = masks.source == number, masks.target == number
        if valid is not None:
            region = region & valid
        if not (goal.any() and region.any()) or torch.equal(region, goal):
            continue
        pairs = warp.paired(warp.parts(region), warp.parts(goal))
        for origin, part in pairs:
            points = part[0, 0].nonzero()
            moved = warp.snapped(kind(origin, part)(points.double()), origin)
            origins[0, :, points[:, 0], points[:, 1]] = moved.T.to(origins)
        growth = max(float(part.sum()) / float(origin.sum()) for origin, part in pairs)
        if growth > MOST_GROWTH:
            note(
                f"{masks.name(number)} grows to {growth:.1f} times its area, and what it is made of repeats; "
                f"up to {MOST_GROWTH} times looks best"
            )
    return origins


def places(size: tuple[int, int], top: int = 0) -> Tensor:
    """The (y, x) of every pixel, (1, 2, *size); the first row is that of the number `top`."""
    down, across = torch.arange(float(top), float(top + size[0])), torch.arange(float(size[1]))
    return torch.stack(torch.meshgrid(down, across, indexing="ij"))[None]


def hex_of(colour: Tensor) -> str:
    """A colour (3,) in [0, 1] as "#rrggbb"."""
    return f"#{bytes((colour * 255).round().long().tolist()).hex()}"


def _is_label_map(drawn: Tensor) -> bool:
    """Is a mask (1, 3, h, w) colourful, or of more than two flat greys?"""
    if any(float((strip.amax(1) - strip.amin(1)).max()) > COLOUR_RANGE for (strip,) in rows.strips(drawn)):
        return True
    levels = rows.counts(drawn, 256, lambda strip: (strip.mean(1) * 255).round())
    common = (levels >= label_tools.SMALLEST_SHARE * levels.sum()).nonzero()[:, 0]
    breaks = ((common[1:] - common[:-1]) > LEAST_GAP).nonzero()[:, 0] + 1
    runs = common.tensor_split(breaks)
    return len(runs) > 2 and all(int(run[-1] - run[0]) <= LONGEST_RAMP for run in runs)


def _check(masks: Masks, where: str) -> None:
    """Raise InputError for masks without objects, without background, or with new objects."""
    before, after = (entry.name for entry in masks.inputs)
    if not masks.objects:
        raise InputError(f"{before}: the mask is empty{where}, so there is no object to edit; {HINT}")
    wanted = rows.distinct(masks.target).long().tolist()
    if not any(number in masks.objects for number in wanted) and set(wanted) <= {masks.background}:
        raise InputError(f"{after}: the mask is empty{where}; to take the object away use --remove {before}")
    if not (masks.source == masks.background).any():
        raise InputError(f"{before}: the mask covers all of the picture{where}, so there is no background; {HINT}")
    if new := [hex_of(masks.colours[n]) for n in wanted if n not in (*masks.objects, masks.background)]:
        there = ", ".join(hex_of(masks.colours[n]) for n in masks.objects)
        raise InputError(f"{after}: {', '.join(new)} is not in {before}, whose objects are {there}; repaint it in one")
