"""maps pack and maps unpack: single maps into the channels of one picture, and out of them again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from texsynth.errors import InputError, ResourceError, UsageError, one_line
from texsynth.foreign.piped import path_of
from texsynth.image import load as inputs
from texsynth.image import picture as image
from texsynth.image.load import Source
from texsynth.image.picture import Picture
from texsynth.image.strips import Strips
from texsynth.material import channels
from texsynth.material.names import split
from texsynth.material.packing import Packing, packing_of, parse
from texsynth.runs import record, run
from texsynth.runs.cost import ENCODING, START, WRITING, base, parts
from texsynth.task import Estimate
from texsynth.verbs import map_checks
from texsynth.verbs import parse as words


@dataclass(frozen=True)
class Repacked:
    """What a command makes of its files.

    pictures: by what each is called, a packing or the role of a map.
    size: The (height, width) of the largest.
    record: The resolved run, JSON-able.
    """

    pictures: Mapping[str, Picture | Strips]
    size: tuple[int, int]
    cost: Estimate
    record: Mapping[str, Any]
    notices: tuple[str, ...]


def pack(request: Any, sources: Mapping[str, Source]) -> Repacked:
    """The maps of these roles, packed; raises UsageError, InputError and ResourceError."""
    packing, notices = parse(request.pack), list[str]()
    limit = words.memory(request.max_memory)
    room, maps, entries = words.left(limit), dict[str, Picture | Strips](), []
    held: list[Picture] = []
    for role, source in sources.items():
        picture, entry = inputs.load(source, f"map:{role}", room)
        room -= image.size_in_memory(picture)
        maps[role] = picture
        held.append(picture)
        entries.append(entry)
    packed = channels.pack(maps, packing, notices.append)
    return _repacked("maps pack", request, {packing.name: packed}, packed.size, held, packing, entries, notices)


def unpack(request: Any, source: Source) -> Repacked:
    """The maps in a packed one, by role; raises UsageError, InputError and ResourceError."""
    picture, entry = inputs.load(source, "map", words.left(words.memory(request.max_memory)))
    packing = packing_in(request.pack, source)
    map_checks.check_channels(picture, entry.name)
    try:
        maps = channels.unpack(picture, packing)
    except InputError as error:
        raise InputError(f"{entry.name}: {error}") from None
    return _repacked("maps unpack", request, maps, inputs.extent(picture), [picture], packing, [entry], [])


def packing_in(spec: str | None, source: Source) -> Packing:
    """The packing of a file: what the command says, else its name, else its record; InputError where none does."""
    path = path_of(source) if isinstance(source, (str, Path)) else Path()
    if (packing := _said(spec, path)) is not None:
        return packing
    stored = (image.read_metadata(path) or {}) if path.is_file() else {}
    maps = stored.get("maps")
    if isinstance(maps, dict) and isinstance(maps.get("pack"), str):
        try:
            return parse(maps["pack"], f"{one_line(path.name)}: its record's")
        except UsageError as error:
            raise InputError(error) from None
    raise InputError(f"{one_line(path.name)}: its name says nothing of channels; --pack NAME=R:ao,G:roughness does")


def says_packing(spec: str | None, path: Path) -> bool:
    """Does the command, the name of a file or its record say what its channels hold?"""
    try:
        packing_in(spec, path)
    except InputError:
        return False
    return True


def contents(spec: str | None, path: Path) -> tuple[str, ...]:
    """The maps in a file, as far as the command or its name says; raises UsageError."""
    packing = _said(spec, path)
    return () if packing is None else packing.contents


def _said(spec: str | None, path: Path) -> Packing | None:
    """The packing that the command says, or else the name of a file; None for none."""
    if spec is not None:
        return parse(spec)
    name = split(path.stem)
    return None if name is None else packing_of(name.kind)


def _repacked(
    verb: str,
    request: Any,
    pictures: Mapping[str, Picture | Strips],
    size: tuple[int, int],
    held: Sequence[Picture],
    packing: Packing,
    entries: Sequence[inputs.Input],
    notices: Sequence[str],
) -> Repacked:
    """The outcome, its estimate and its record; ResourceError where it takes more than it may."""
    samples = size[0] * size[1] * sum(each.channels + 1 for each in pictures.values())
    written = min(samples * max(np.dtype(each.depth).itemsize for each in held), image.WHOLE)
    memory = base([part for picture in held for part in parts(picture)]) + ENCODING * written
    limit = words.memory(request.max_memory)
    if memory > limit:
        needs = f"about {run.gigabytes(memory)}, above the limit of {run.gigabytes(limit)}"
        raise ResourceError(f"{size[1]}x{size[0]} needs {needs}; raise --max-memory")
    stored = {
        **record.versions(),
        "verb": verb,
        type(request).SECTION: {"pack": str(packing)},
        "size": f"{size[1]}x{size[0]}",
        "inputs": [asdict(entry) for entry in entries],
    }
    cost = Estimate(memory, START + 2 * WRITING * samples)
    return Repacked(pictures, size, cost, record.plain(stored), tuple(notices))
