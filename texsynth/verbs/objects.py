"""Objects of one picture, by two masks: where they are, and where they shall be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from texsynth.errors import InputError
from texsynth.guidance import labels as label_tools
from texsynth.guidance import maps
from texsynth.guidance.progression import COLOUR_RANGE
from texsynth.image import load as inputs
from texsynth.image import picture as image
from texsynth.image.load import Note, Source
from texsynth.image.picture import Picture
from texsynth.job import Input
from texsynth.verbs import warp
from texsynth.verbs.synthesize import Draft
from texsynth.verbs.warp import Warp

GROWN = 4  # times its area, from which on an object is said to grow
RAMP, GAP = 24, 8  # levels of 255: a longer run of common greys is a soft edge, and flat greys are further apart
HINT = "white (at least 50 %) is the object, or each colour but black in a mask of more"


@dataclass(frozen=True)
class Masks:
    """What is what now, and what it shall be: ids (1, 1, h, w) of `colours` (K, 3); and the masks as inputs.

    background: the id of black, or of the commonest colour where there is no black. objects: the ids of all objects
    that are there now.
    """

    source: Tensor
    target: Tensor
    colours: Tensor
    background: int
    objects: tuple[int, ...]
    inputs: tuple[Input, Input]

    def name(self, number: int) -> str:
        """An object in words."""
        if len(self.colours) == 2:
            return "the object"
        return f"the object {hex_of(self.colours[number])}"


def read(source: Source, target: Source, draft: Draft, note: Note) -> Masks:
    """Both masks on the pixels of the draft's first exemplar; raises InputError when they show no object to edit."""
    found = [inputs.load(source, "mask"), inputs.load(target, "target-mask")]
    pictures, entries = [p for p, _ in found], (found[0][1], found[1][1])
    drawn = [image.rgb(picture).clamp(0, 1) for picture in pictures]
    if any(map(_many, drawn)):
        ids, colours = _painted(drawn, entries)
    else:
        ids = [inputs.usable(picture).float() for picture in pictures]
        colours = torch.tensor([[0.0] * 3, [1.0] * 3])
    maps = []
    for each, entry in zip(ids, entries, strict=True):
        whole = inputs.stretched(Picture(each), draft.whole[0], "labels", entry.name, note)
        maps.append(inputs.cropped(whole, draft.box, entry.name).pixels)
    background = int(colours.norm(dim=1).argmin())
    if float(colours[background].norm()) > label_tools.COLOUR_DISTANCE:
        background = int(maps[0].long().flatten().bincount().argmax())
        note(f"{entries[0].name} has no black, so its commonest colour, {hex_of(colours[background])}, is background")
    numbers = maps[0].unique().long().tolist()
    made = Masks(maps[0], maps[1], colours, background, tuple(n for n in numbers if n != background), entries)
    _check(made, colours, where=" inside the crop" if draft.box else "")
    for number in made.objects:
        if not (made.target == number).any():
            note(f"{entries[1].name} has no {hex_of(colours[number])}: {made.name(number)} of {entries[0].name} goes")
    return made


def start(masks: Masks, kind: Callable[[Tensor, Tensor], Warp], valid: Tensor | None, note: Note) -> Tensor:
    """Where each pixel starts from, (1, 2, h, w): an object from its own pixels by a warp, background where it is from
    itself, and NaN where an object was and is no more. Nothing starts from pixels that are not valid."""
    size = (masks.source.shape[2], masks.source.shape[3])
    was, is_now = (m != masks.background for m in (masks.source, masks.target))
    found = places(size)
    found[(was & ~is_now).expand_as(found)] = torch.nan
    if valid is not None:
        found[(~valid).expand_as(found)] = torch.nan
    for number in masks.objects:
        region, goal = masks.source == number, masks.target == number
        if not goal.any():
            continue
        if valid is not None:
            region = region & valid
        if not region.any():
            raise InputError(f"--source-mask leaves nothing of {masks.name(number)} to copy from; white means usable")
        if torch.equal(region, goal):
            continue
        pairs = warp.paired(warp.parts(region), warp.parts(goal))
        for origin, part in pairs:
            points = part[0, 0].nonzero()
            moved = warp.snapped(kind(origin, part)(points.double()), origin)
            found[0, :, points[:, 0], points[:, 1]] = moved.T.to(found)
        growth = max(float(part.sum()) / float(origin.sum()) for origin, part in pairs)
        if growth > GROWN:
            note(
                f"{masks.name(number)} grows to {growth:.1f} times its area, and what it is made of repeats; "
                f"up to {GROWN} times looks best"
            )
    return found


def places(size: tuple[int, int]) -> Tensor:
    """The (y, x) of every pixel, (1, 2, *size)."""
    axes = (torch.arange(float(n)) for n in size)
    return torch.stack(torch.meshgrid(*axes, indexing="ij"))[None]


def hex_of(colour: Tensor) -> str:
    """A colour (3,) in [0, 1] as "#rrggbb"."""
    return f"#{bytes((colour * 255).round().long().tolist()).hex()}"


def _many(drawn: Tensor) -> bool:
    """Is a mask (1, 3, h, w) a label map: colourful, or of more than two flat greys?"""
    if float((drawn.amax(1) - drawn.amin(1)).max()) > COLOUR_RANGE:
        return True
    levels = (drawn.mean(1) * 255).round().long().flatten().bincount(minlength=256)
    common = (levels >= label_tools.SMALLEST_SHARE * levels.sum()).nonzero()[:, 0]
    breaks = ((common[1:] - common[:-1]) > GAP).nonzero()[:, 0] + 1
    runs = common.tensor_split(breaks)
    return len(runs) > 2 and all(int(run[-1] - run[0]) <= RAMP for run in runs)


def _painted(drawn: list[Tensor], entries: tuple[Input, Input]) -> tuple[list[Tensor], Tensor]:
    """Label maps as ids, and all colours in them."""
    with maps.about(entries[0].name):
        own = label_tools.palette(drawn[:1])
    with maps.about(entries[1].name):
        colours = label_tools.shared(own, drawn[1])
    return [label_tools.ids(each, colours) for each in drawn], colours


def _check(masks: Masks, colours: Tensor, where: str) -> None:
    """Raise InputError for masks without objects, without background, or with new objects."""
    before, after = (entry.name for entry in masks.inputs)
    if not masks.objects:
        raise InputError(f"{before}: the mask is empty{where}, so there is no object to edit; {HINT}")
    wanted = masks.target.unique().long().tolist()
    if not any(number in masks.objects for number in wanted) and set(wanted) <= {masks.background}:
        raise InputError(f"{after}: the mask is empty{where}; to take the object away use --remove {before}")
    if not (masks.source == masks.background).any():
        raise InputError(f"{before}: the mask covers all of the picture{where}, so there is no background; {HINT}")
    if new := [hex_of(colours[n]) for n in wanted if n not in (*masks.objects, masks.background)]:
        there = ", ".join(hex_of(colours[n]) for n in masks.objects)
        raise InputError(f"{after}: {', '.join(new)} is not in {before}, whose objects are {there}; repaint it in one")
