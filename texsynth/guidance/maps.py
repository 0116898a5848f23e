"""Maps that users give: read, and laid onto the pixels of the exemplars and of the output."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from torch import Tensor

from texsynth.errors import InputError, TexsynthError
from texsynth.image import load as inputs
from texsynth.image import picture as image
from texsynth.image import rows
from texsynth.image.load import Box, Input, Note, Source
from texsynth.image.picture import Picture
from texsynth.requests.guides import AUTO
from texsynth.task import Exemplar, Guide

FLAT_RANGE = 0.5 / 255  # the range of values up to which a map is the same everywhere


@dataclass(frozen=True)
class Map:
    """A map as it was given.

    picture: its values; directions are kept as the entries of their outer products (`pyramid.tensor_of`), so that
        stretching them needs no care about signs.
    entry: what the record says of it.
    """

    picture: Picture
    entry: Input


@dataclass(frozen=True)
class Guided:
    """A guide, what was read for it, and its values in the record that differ from what was asked for."""

    guide: Guide
    inputs: tuple[Input, ...]
    record: dict[str, Any] = field(default_factory=dict)


class Cropped(Protocol):
    """Exemplars as they are used: `box` (x, y, width, height) of pictures of the sizes `whole`, (height, width); and
    the bytes of memory, `room`, that are left for maps."""

    @property
    def exemplars(self) -> tuple[Exemplar, ...]: ...

    @property
    def whole(self) -> tuple[tuple[int, int], ...]: ...

    @property
    def box(self) -> Box | None: ...

    @property
    def room(self) -> int: ...


def read(source: Source, role: str, memory: int) -> Map:
    """Read a map that is a picture, which may take `memory` bytes; raises InputError and ResourceError."""
    return Map(*inputs.load(source, role, memory))


def is_auto(source: Source) -> bool:
    """Is a map of an exemplar to be estimated?"""
    return isinstance(source, str) and source == AUTO


def on_exemplar(given: Map, draft: Cropped, number: int, note: Note, role: str = "data") -> Tensor:
    """A map on the pixels of exemplar `number`: stretched to all of it, then cropped as it was."""
    whole = inputs.stretched(given.picture, draft.whole[number], role, given.entry.name, note)
    return inputs.cropped(whole, draft.box, given.entry.name).pixels


def usable(maps: Sequence[Tensor], draft: Cropped) -> list[Tensor]:
    """The values of each map (1, C, H, W) where its exemplar may be copied, (1, C, N)."""
    pairs = zip(maps, draft.exemplars, strict=True)
    return [m.flatten(2) if e.valid is None else m.flatten(2)[:, :, e.valid.flatten()] for m, e in pairs]


def strength(source: Source, size: tuple[int, int], memory: int, note: Note) -> tuple[Tensor, Input]:
    """The share of their weight that guides have at each output pixel, (1, 1, *size): white for all of it. Reading
    them may take `memory` bytes."""
    weights = read(source, "guide-weight-map", memory)
    whole = inputs.stretched(weights.picture, size, "data", weights.entry.name, note)
    share = rows.changed(whole.pixels, lambda strip: strip.mean(1, keepdim=True).clamp(0, 1))
    if float(share.max()) < FLAT_RANGE:
        note(f"{weights.entry.name} is black everywhere: no guide has any effect")
    return share, weights.entry


def is_flat(values: Tensor) -> bool:
    """Are values (1, C, H, W) the same everywhere?"""
    return float((values.amax((2, 3)) - values.amin((2, 3))).max()) < FLAT_RANGE


def flat_error(entries: Sequence[Input]) -> InputError:
    """The error to raise for maps of exemplars that steer nothing."""
    return InputError(f"{names_of(entries)}: the same everywhere, nothing to steer by; it must show where what is")


def names_of(entries: Sequence[Input]) -> str:
    """The names of inputs, for a message."""
    return ", ".join(entry.name for entry in entries)


def rgb(picture: Picture) -> Tensor:
    """The colours of a map, (1, 3, H, W) in [0, 1]."""
    return rows.changed(image.rgb(picture), lambda strip: strip.clamp(0, 1))


def weight_of(given: float | None, default: float) -> float:
    """The weight of a guide: the one that was asked for, or the default."""
    return default if given is None else float(given)


@contextmanager
def about(name: str) -> Iterator[None]:
    """Name the file in errors of tools that know no files."""
    try:
        yield
    except TexsynthError as error:
        raise type(error)(f"{name}: {error}") from None
