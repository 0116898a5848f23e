"""Maps of exemplars: read, estimated or extracted, and laid onto their pixels."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
import torch
from torch import Tensor

from texsynth.errors import InputError, TexsynthError
from texsynth.guidance import labels as label_tools
from texsynth.guidance import orientation as field_tools
from texsynth.guidance import progression as tools
from texsynth.image import load as inputs
from texsynth.image import picture as image
from texsynth.image.load import Note, Source
from texsynth.image.picture import Picture
from texsynth.job import Input
from texsynth.pyramid import axis, tensor_of
from texsynth.verbs.synthesize import Draft

AUTO = "auto"  # in place of a source map: estimate it
FLAT = tools.STEP / 2  # range up to which a map is the same everywhere


@dataclass(frozen=True)
class Map:
    """A map as given: a picture, and its entry in the record. Directions are kept as the entries of their outer
    products (`pyramid.tensor_of`), so that stretching them needs no care about signs."""

    picture: Picture
    entry: Input


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


def progression(sources: Sequence[Source], draft: Draft, note: Note) -> tuple[list[Tensor], list[Input]]:
    """How far along its change of appearance each pixel of each exemplar is, (1, C, H, W); AUTO estimates it."""
    maps: list[Tensor] = []
    entries: list[Input] = []
    for number, (source, exemplar) in enumerate(zip(sources, draft.exemplars, strict=True)):
        if is_auto(source):
            with about(exemplar.name):
                values, line = tools.estimate(exemplar.image)
            note(f"{exemplar.name}: {line}")
        else:
            found = read(source, "progression-source")
            entries.append(found.entry)
            values = on_exemplar(found, draft, number, note)
        maps.append(values)
    return maps, entries


def orientation(
    sources: Sequence[Source], draft: Draft, note: Note, extractor: str | None = None
) -> tuple[list[Tensor], list[Input]]:
    """The direction of each pixel of each exemplar, (1, 2, H, W); extracted from it where there are no sources."""
    if sources:
        found = [read_direction(source, "orientation-source") for source in sources]
        maps = [axis(on_exemplar(f, draft, number, note)) for number, f in enumerate(found)]
        return maps, [f.entry for f in found]
    if extractor == "histogram":
        return [field_tools.histogram(exemplar.image) for exemplar in draft.exemplars], []
    return [field_tools.structure(exemplar.image)[0] for exemplar in draft.exemplars], []


def labels(
    sources: Sequence[Source], draft: Draft, note: Note, target: tuple[Tensor, str] | None = None
) -> tuple[list[Tensor], Tensor, list[Input]]:
    """The ids (1, 1, H, W) of each exemplar's label picture; and all colours (K, 3), those of the target, a picture
    (1, 3, h, w) and its name, too."""
    found = [read(source, "labels-source") for source in sources]
    entries, drawn = [f.entry for f in found], [rgb(f.picture) for f in found]
    with about(named(entries)):
        colours = label_tools.palette(drawn)
    if target is not None:
        with about(target[1]):
            colours = label_tools.shared(colours, target[0])
    ids = [Map(Picture(label_tools.ids(d, colours)), e) for d, e in zip(drawn, entries, strict=True)]
    maps = [on_exemplar(m, draft, number, note, "labels") for number, m in enumerate(ids)]
    if flat(torch.cat(usable(maps, draft), 2).unsqueeze(2)):
        raise nothing(entries)
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


def on_exemplar(given: Map, draft: Draft, number: int, note: Note, role: str = "data") -> Tensor:
    """A map on the pixels of exemplar `number`: stretched to all of it, then cropped as it was."""
    whole = inputs.stretched(given.picture, draft.whole[number], role, given.entry.name, note)
    return inputs.cropped(whole, draft.box, given.entry.name).pixels


def usable(maps: list[Tensor], draft: Draft) -> list[Tensor]:
    """The values of each map (1, C, H, W) where its exemplar may be copied, (1, C, N)."""
    pairs = zip(maps, draft.exemplars, strict=True)
    return [m.flatten(2) if e.valid is None else m.flatten(2)[:, :, e.valid.flatten()] for m, e in pairs]


def flat(values: Tensor) -> bool:
    return float((values.amax((2, 3)) - values.amin((2, 3))).max()) < FLAT


def nothing(entries: list[Input]) -> InputError:
    return InputError(f"{named(entries)}: the same everywhere, nothing to steer by; it must show where what is")


def named(entries: list[Input]) -> str:
    return ", ".join(entry.name for entry in entries)


def rgb(picture: Picture) -> Tensor:
    return image.rgb(picture).clamp(0, 1)


@contextmanager
def about(name: str) -> Iterator[None]:
    """Errors of the tools, which know no files, said of one."""
    try:
        yield
    except TexsynthError as error:
        raise type(error)(f"{name}: {error}") from None
