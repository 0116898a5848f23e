"""Maps that steer a texture: read, laid onto the pixels of exemplars and output, and made into guides."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from PIL import ImageColor
from torch import Tensor

from texsynth import settings
from texsynth.errors import UsageError
from texsynth.guidance import labels as label_tools
from texsynth.guidance import maps as of
from texsynth.guidance import orientation as field_tools
from texsynth.guidance import progression as tools
from texsynth.image import load as inputs
from texsynth.image.load import Note, Source
from texsynth.image.picture import Picture
from texsynth.job import Input
from texsynth.pyramid import axis
from texsynth.task import Guide
from texsynth.verbs.synthesize import Draft

if TYPE_CHECKING:
    from texsynth.verbs.control import Request

PROGRESSION, ORIENTATION, LABELS = 10.0, 5.0, 10.0  # weights
EXTRACTORS = ("tensor", "histogram")
COLOURFUL = 0.02  # difference of channels up to which a map is grey


@dataclass(frozen=True)
class Made:
    """A guide, and what was read for it."""

    guide: Guide
    inputs: tuple[Input, ...]


def colour(text: str) -> tuple[int, int, int]:
    """ "#rrggbb", "RRGGBB" or a CSS name -> red, green and blue, 0 to 255; raises UsageError."""
    if re.fullmatch(r"#?[0-9a-fA-F]{6}", text):
        red, green, blue = bytes.fromhex(text.removeprefix("#"))
        return red, green, blue
    if text.lower() not in ImageColor.colormap:
        near = settings.suggestion(text.lower(), list(ImageColor.colormap))
        raise UsageError(f"--label-exemplar: {text!r} is no colour; write RRGGBB or a CSS name such as red{near}")
    return ImageColor.getrgb(text.lower())[:3]


def progression(request: Request, draft: Draft, wanted: of.Map, size: tuple[int, int], note: Note) -> Made:
    """How far along its change of appearance each pixel is, compared by value."""
    assert request.progression is not None
    maps, entries = of.progression(request.progression[0], draft, note)
    goal = inputs.stretched(wanted.picture, size, "data", wanted.entry.name, note).pixels
    *maps, goal = _channels(_within([*maps, goal]), request.distance_transform)
    usable = torch.cat(of.usable(maps, draft), 2).unsqueeze(2)  # (1, C, 1, N)
    if of.flat(usable):
        raise of.nothing(entries)
    with of.about(wanted.entry.name):
        goal = _shaped(goal, maps[0], usable, request)
    _warn(goal, usable, wanted.entry.name, note)
    guide = Guide("progression", tuple(maps), goal, _weight(request.progression_weight, PROGRESSION))
    return Made(guide, (*entries, wanted.entry))


def orientation(request: Request, draft: Draft, wanted: of.Map | None, size: tuple[int, int], note: Note) -> Made:
    """The direction of each pixel; that of the exemplar is extracted from it where no map is given. wanted: None for a
    built-in field."""
    if wanted is not None:
        goal = axis(inputs.stretched(wanted.picture, size, "data", wanted.entry.name, note).pixels)
    else:
        field = field_tools.built_in(str(request.orientation), size)
        assert field is not None
        goal = field
    maps, entries = of.orientation(request.source_orientation, draft, note, request.orientation_extractor)
    weight = _weight(request.orientation_weight, ORIENTATION)
    guide = Guide("orientation", tuple(maps), goal, weight, "direction")
    return Made(guide, (*entries, *([wanted.entry] if wanted else [])))


def labels(request: Request, draft: Draft, wanted: of.Map, size: tuple[int, int], note: Note) -> Made:
    """Which label each pixel has: read from the exemplars' label pictures, or one for each whole exemplar."""
    target = of.rgb(wanted.picture)
    if request.labels is None:
        maps, colours, entries = _uniform(request, draft, target, wanted.entry.name)
    else:
        maps, colours, entries = of.labels(request.labels[0], draft, note, (target, wanted.entry.name))
    ids = Picture(label_tools.ids(target, colours))
    goal = inputs.stretched(ids, size, "labels", wanted.entry.name, note).pixels
    label_tools.check(of.usable(maps, draft), goal, colours)
    weight = _weight(request.labels_weight, LABELS)
    guide = Guide("labels", tuple(maps), goal, weight, "l0", palette=colours)
    return Made(guide, (*entries, wanted.entry))


def strength(source: Source, size: tuple[int, int], note: Note) -> tuple[Tensor, Input]:
    """The share of their weight that guides have at each output pixel, (1, 1, *size): white for all of it."""
    found = of.read(source, "guide-weight-map")
    whole = inputs.stretched(found.picture, size, "data", found.entry.name, note)
    share = whole.pixels.mean(1, keepdim=True).clamp(0, 1)
    if float(share.max()) < of.FLAT:
        note(f"{found.entry.name} is black everywhere: no guide has any effect")
    return share, found.entry


def _uniform(request: Request, draft: Draft, target: Tensor, name: str) -> tuple[list[Tensor], Tensor, list[Input]]:
    """One id for each exemplar, that of its colour; and all colours."""
    given = [colour(text) for text in request.label_colours]
    known = list(dict.fromkeys(given))
    with of.about(name):
        colours = label_tools.shared(torch.tensor(known) / 255, target)
    pairs = zip(draft.exemplars, given, strict=True)
    return [torch.full((1, 1, *e.size), float(known.index(triple))) for e, triple in pairs], colours, []


def _within(maps: list[Tensor]) -> list[Tensor]:
    """Maps of floats beyond [0, 1] brought into it together, others as they are."""
    low, high = min(0.0, *(float(m.min()) for m in maps)), max(1.0, *(float(m.max()) for m in maps))
    return maps if (low, high) == (0, 1) else [(m - low) / (high - low) for m in maps]


def _channels(maps: list[Tensor], grey: bool) -> list[Tensor]:
    """All with three channels if any is colourful, unless one is needed; else the mean of each."""
    if not grey and any(float((m.amax(1) - m.amin(1)).max()) > COLOURFUL for m in maps):
        return [m.expand(-1, 3, -1, -1) for m in maps]
    return [m.mean(1, keepdim=True) for m in maps]


def _shaped(goal: Tensor, source: Tensor, usable: Tensor, request: Request) -> Tensor:
    """The target after the tools that were asked for. source: the map whose detail is taken."""
    if request.distance_transform:
        goal = tools.distance_transform(goal)
    if request.reverse:
        goal = tools.reverse(goal)
    if request.match_range:
        goal = tools.stretch(goal, usable)
    if request.match_histogram:
        goal = tools.match_histogram(goal, usable)
    if request.refine is not None:
        goal = tools.refine(goal, source, torch.Generator().manual_seed(request.refine))
    return goal


def _warn(goal: Tensor, usable: Tensor, name: str, note: Note) -> None:
    """Say what of a target no exemplar can follow."""
    if of.flat(goal):
        note(f"{name} is the same everywhere, so all of the output gets one value")
    if share := tools.outside(goal, usable):
        held = f" ({float(usable.min()):.2f} to {float(usable.max()):.2f})" if usable.shape[1] == 1 else ""
        note(
            f"{name}: {100 * share:.3g} % of its pixels are outside the exemplar's range{held}; --match-range fits them"
        )


def _weight(given: float | None, default: float) -> float:
    return default if given is None else float(given)
