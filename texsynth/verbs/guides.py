"""Maps that steer a texture: read, laid onto the pixels of exemplars and output, and made into guides."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import ImageColor
from torch import Tensor

from texsynth import image, settings
from texsynth.errors import InputError, TexsynthError, UsageError
from texsynth.guidance import labels as label_tools
from texsynth.guidance import orientation as field_tools
from texsynth.guidance import progression as tools
from texsynth.image import Picture
from texsynth.job import Input
from texsynth.task import Guide, axis, tensor_of
from texsynth.verbs import inputs
from texsynth.verbs.inputs import Note, Source
from texsynth.verbs.synthesize import Draft

if TYPE_CHECKING:
    from texsynth.verbs.control import Request

PROGRESSION, ORIENTATION, LABELS = 10.0, 5.0, 10.0  # weights
AUTO = "auto"  # in place of a source map: estimate it
EXTRACTORS = ("tensor", "histogram")
COLOURFUL = 0.02  # difference of channels up to which a map is grey
FLAT = tools.STEP / 2  # range up to which a map is the same everywhere


@dataclass(frozen=True)
class Map:
    """A map as given: a picture, and its entry in the record. Directions are kept as the entries of their outer
    products (`task.tensor_of`), so that stretching them needs no care about signs."""

    picture: Picture
    entry: Input


@dataclass(frozen=True)
class Made:
    """A guide, what was read for it, and the colours (K, 3) of its ids if it has any."""

    guide: Guide
    inputs: tuple[Input, ...]
    palette: Tensor | None = None


def read(source: Source, role: str) -> Map:
    """Read a map that is a picture; raises InputError."""
    return Map(*inputs.load(source, role))


def read_direction(source: Source, role: str) -> Map:
    """Read a direction field: .npy or an array (2, H, W), or a picture; raises InputError with its name."""
    values: Any
    if isinstance(source, (str, Path)) and Path(source).suffix.lower() == ".npy":
        path = Path(source)
        values, entry = _array(path), Input(role, path.name, hashlib.sha256(path.read_bytes()).hexdigest())
    elif isinstance(source, np.ndarray) and (source.ndim != 3 or source.shape[2] not in (3, 4) or len(source) == 2):
        content = str(source.shape).encode() + np.ascontiguousarray(source).tobytes()
        values, entry = source, Input(role, "array", hashlib.sha256(content).hexdigest())
    else:
        picture, entry = inputs.load(source, role)
        values = image.rgb(picture)
    with about(entry.name):
        return Map(Picture(tensor_of(field_tools.decode(values)), depth="float32"), entry)


def is_auto(source: Source) -> bool:
    """Is a source map to be estimated?"""
    return isinstance(source, str) and source == AUTO


def word(source: Source) -> str | None:
    """The built-in direction that is meant, None for a map; an existing file wins over a word. Raises UsageError."""
    if not isinstance(source, str) or Path(source).is_file() or field_tools.built_in(source, (1, 1)) is None:
        return None
    return source


def colour(text: str) -> tuple[int, int, int]:
    """ "#rrggbb", "RRGGBB" or a CSS name -> red, green and blue, 0 to 255; raises UsageError."""
    if re.fullmatch(r"#?[0-9a-fA-F]{6}", text):
        red, green, blue = bytes.fromhex(text.removeprefix("#"))
        return red, green, blue
    if text.lower() not in ImageColor.colormap:
        near = settings.suggestion(text.lower(), list(ImageColor.colormap))
        raise UsageError(f"--label-exemplar: {text!r} is no colour; write RRGGBB or a CSS name such as red{near}")
    return ImageColor.getrgb(text.lower())[:3]


def progression(request: Request, draft: Draft, wanted: Map, size: tuple[int, int], note: Note) -> Made:
    """How far along its change of appearance each pixel is, compared by value."""
    assert request.progression is not None
    maps: list[Tensor] = []
    entries: list[Input] = []
    for number, (source, exemplar) in enumerate(zip(request.progression[0], draft.exemplars, strict=True)):
        if is_auto(source):
            with about(exemplar.name):
                values, line = tools.estimate(exemplar.image)
            note(f"{exemplar.name}: {line}")
        else:
            found = read(source, "progression-source")
            entries.append(found.entry)
            values = _on_exemplar(found, draft, number, note)
        maps.append(values)
    goal = inputs.stretched(wanted.picture, size, "data", wanted.entry.name, note).pixels
    *maps, goal = _channels(_within([*maps, goal]), request.distance_transform)
    usable = torch.cat(_usable(maps, draft), 2).unsqueeze(2)  # (1, C, 1, N)
    if _flat(usable):
        raise _nothing(entries)
    with about(wanted.entry.name):
        goal = _shaped(goal, maps[0], usable, request)
    _warn(goal, usable, wanted.entry.name, note)
    guide = Guide("progression", tuple(maps), goal, _weight(request.progression_weight, PROGRESSION))
    return Made(guide, (*entries, wanted.entry))


def orientation(request: Request, draft: Draft, wanted: Map | None, size: tuple[int, int], note: Note) -> Made:
    """The direction of each pixel; that of the exemplar is extracted from it where no map is given. wanted: None for a
    built-in field."""
    entries: list[Input] = []
    if wanted is not None:
        goal = axis(inputs.stretched(wanted.picture, size, "data", wanted.entry.name, note).pixels)
    else:
        field = field_tools.built_in(str(request.orientation), size)
        assert field is not None
        goal = field
    if request.source_orientation:
        found = [read_direction(source, "orientation-source") for source in request.source_orientation]
        entries += [f.entry for f in found]
        maps = [axis(_on_exemplar(f, draft, number, note)) for number, f in enumerate(found)]
    elif request.orientation_extractor == "histogram":
        maps = [field_tools.histogram(exemplar.image) for exemplar in draft.exemplars]
    else:
        maps = [field_tools.structure(exemplar.image)[0] for exemplar in draft.exemplars]
    weight = _weight(request.orientation_weight, ORIENTATION)
    guide = Guide("orientation", tuple(maps), goal, weight, "direction")
    return Made(guide, (*entries, *([wanted.entry] if wanted else [])))


def labels(request: Request, draft: Draft, wanted: Map, size: tuple[int, int], note: Note) -> Made:
    """Which label each pixel has: read from the exemplars' label pictures, or one for each whole exemplar."""
    target = _rgb(wanted.picture)
    if request.labels is None:
        maps, colours, entries = _uniform(request, draft, target, wanted.entry.name)
    else:
        found = [read(source, "labels-source") for source in request.labels[0]]
        maps, colours, entries = _painted(found, draft, target, wanted.entry.name, note)
    ids = Picture(label_tools.ids(target, colours))
    goal = inputs.stretched(ids, size, "labels", wanted.entry.name, note).pixels
    label_tools.check(_usable(maps, draft), goal, colours)
    guide = Guide("labels", tuple(maps), goal, _weight(request.labels_weight, LABELS), "l0")
    return Made(guide, (*entries, wanted.entry), colours)


def strength(source: Source, size: tuple[int, int], note: Note) -> tuple[Tensor, Input]:
    """The share of their weight that guides have at each output pixel, (1, 1, *size): white for all of it."""
    found = read(source, "guide-weight-map")
    whole = inputs.stretched(found.picture, size, "data", found.entry.name, note)
    share = whole.pixels.mean(1, keepdim=True).clamp(0, 1)
    if float(share.max()) < FLAT:
        note(f"{found.entry.name} is black everywhere: no guide has any effect")
    return share, found.entry


def _uniform(request: Request, draft: Draft, target: Tensor, name: str) -> tuple[list[Tensor], Tensor, list[Input]]:
    """One id for each exemplar, that of its colour; and all colours."""
    given = [colour(text) for text in request.label_colours]
    known = list(dict.fromkeys(given))
    with about(name):
        colours = label_tools.shared(torch.tensor(known) / 255, target)
    pairs = zip(draft.exemplars, given, strict=True)
    return [torch.full((1, 1, *e.size), float(known.index(triple))) for e, triple in pairs], colours, []


def _painted(
    found: list[Map], draft: Draft, target: Tensor, name: str, note: Note
) -> tuple[list[Tensor], Tensor, list[Input]]:
    """The ids of the exemplars' label pictures; and all colours, those of the target too."""
    entries, drawn = [f.entry for f in found], [_rgb(f.picture) for f in found]
    with about(_names(entries)):
        own = label_tools.palette(drawn)
    with about(name):
        colours = label_tools.shared(own, target)
    ids = [Map(Picture(label_tools.ids(d, colours)), e) for d, e in zip(drawn, entries, strict=True)]
    maps = [_on_exemplar(m, draft, number, note, "labels") for number, m in enumerate(ids)]
    if _flat(torch.cat(_usable(maps, draft), 2).unsqueeze(2)):
        raise _nothing(entries)
    return maps, colours, entries


def _array(path: Path) -> np.ndarray[Any, Any]:
    """The array of a .npy file, never one that would run code; raises InputError."""
    try:
        return np.array(np.lib.format.open_memmap(path, mode="r"))
    except FileNotFoundError:
        raise InputError(f"{path.name}: no such file in {path.parent}; check the path") from None
    except OSError as error:
        raise InputError(f"{path.name}: cannot be read ({error.strerror or error})") from None
    except (ValueError, OverflowError, SyntaxError, TokenError):
        raise InputError(f"{path.name}: is no array as numpy.save writes it, or is damaged; save it again") from None


def _on_exemplar(given: Map, draft: Draft, number: int, note: Note, role: str = "data") -> Tensor:
    """A map on the pixels of exemplar `number`: stretched to all of it, then cropped as it was."""
    whole = inputs.stretched(given.picture, draft.whole[number], role, given.entry.name, note)
    return inputs.cropped(whole, draft.box, given.entry.name).pixels


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
    if _flat(goal):
        note(f"{name} is the same everywhere, so all of the output gets one value")
    if share := tools.outside(goal, usable):
        held = f" ({float(usable.min()):.2f} to {float(usable.max()):.2f})" if usable.shape[1] == 1 else ""
        note(
            f"{name}: {100 * share:.3g} % of its pixels are outside the exemplar's range{held}; --match-range fits them"
        )


def _weight(given: float | None, default: float) -> float:
    return default if given is None else float(given)


def _usable(maps: list[Tensor], draft: Draft) -> list[Tensor]:
    """The values of each map (1, C, H, W) where its exemplar may be copied, (1, C, N)."""
    pairs = zip(maps, draft.exemplars, strict=True)
    return [m.flatten(2) if e.valid is None else m.flatten(2)[:, :, e.valid.flatten()] for m, e in pairs]


def _flat(values: Tensor) -> bool:
    return float((values.amax((2, 3)) - values.amin((2, 3))).max()) < FLAT


def _nothing(entries: list[Input]) -> InputError:
    return InputError(f"{_names(entries)}: the same everywhere, nothing to steer by; it must show where what is")


def _names(entries: list[Input]) -> str:
    return ", ".join(entry.name for entry in entries)


def _rgb(picture: Picture) -> Tensor:
    return image.rgb(picture).clamp(0, 1)


@contextmanager
def about(name: str) -> Iterator[None]:
    """Errors of the tools, which know no files, said of one."""
    try:
        yield
    except TexsynthError as error:
        raise type(error)(f"{name}: {error}") from None
