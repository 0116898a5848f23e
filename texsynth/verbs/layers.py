"""Aligned maps, which follow the copy: read, and brought to one scale where there are several exemplars.

A map that is larger or smaller than its exemplar by a whole factor keeps its resolution and all its values. Any other
is stretched to the exemplar's size, and the user is told.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from texsynth.errors import InputError, one_line
from texsynth.image import load as inputs
from texsynth.image import picture as image
from texsynth.image import rows
from texsynth.image.load import NORMAL, NORMAL_DX, NORMALS, Box, Note, Source, extent
from texsynth.image.picture import Picture
from texsynth.job import Input, Layer
from texsynth.material import channels
from texsynth.material.names import convention_in
from texsynth.material.packing import Packing, packing_of
from texsynth.material.roles import DX, convention_of, role_of
from texsynth.verbs import map_checks, parse

VALUES_MIXED, LABELS_MOVED = "its values are interpolated", "its labels are those of the nearest pixels"


@dataclass(frozen=True)
class Ground:
    """What a map lies on: the name of its exemplar, and the exemplar's whole (height, width)."""

    name: str
    size: tuple[int, int]

    def scale(self, picture: Picture) -> Fraction | None:
        """How many times as fine a map is: a whole number, or 1 divided by one; None if it is neither."""
        height, width = (Fraction(*sides) for sides in zip(extent(picture), self.size, strict=True))
        return height if height == width and 1 in height.as_integer_ratio() else None


def read(
    named: Mapping[str, Sequence[Source]],
    grounds: Sequence[Ground],
    box: Box | None,
    memory: int,
    note: Note,
    normals: str | None = None,
    pack: Packing | None = None,
) -> tuple[dict[str, Layer], list[Input]]:
    """Every named map, one file for each exemplar, as a layer, and a packed one as a layer for each of its channels;
    and their entries in the record.

    box: the part of the exemplars that is used. memory: the bytes that all maps may take together. normals: "gl" or
    "dx", the convention of all normal maps; None: that of their names, else "gl". pack: a packing beside the built-in
    ones, in which maps are written. Raises UsageError, InputError and ResourceError.
    """
    layers: dict[str, Layer] = {}
    unpacked: dict[str, Layer] = {}
    entries: list[Input] = []
    for name, files in named.items():
        loaded = inputs.load_all(files, f"map:{name}", memory)
        inputs.tell(loaded, note)
        packing = _packing(name, pack, loaded, note)
        for ground, (picture, entry) in zip(grounds, loaded, strict=True):
            map_checks.check_aspect(picture, ground.size, entry.name, ground.name)
            if packing is not None:
                map_checks.check_channels(picture, entry.name)
            map_checks.tell_of_height(picture, entry.name, packing.contents if packing else (name,), note)
        role = "data" if packing else _role(name, normals, loaded, note)
        scales = [ground.scale(p) or Fraction(1) for ground, (p, _) in zip(grounds, loaded, strict=True)]
        scale = max(scales)
        if len(set(scales)) > 1:
            each = ", ".join(map(str, scales))
            note(f"the maps {name} are {each} times as fine as their exemplars; all are brought to {scale}")
        pictures = []
        for ground, (picture, entry) in zip(grounds, loaded, strict=True):
            height, width = (scale.numerator * side for side in ground.size)
            parse.room((height, width), picture.channels + (picture.alpha is not None), memory, entry.name)
            fitted = _fitted(picture, (height, width), ground, role, entry.name, note)
            memory -= image.size_in_memory(fitted)
            pictures.append(inputs.cropped(fitted, box and _scaled(box, scale.numerator), entry.name))
            entries.append(entry)
        layer = Layer(inputs.alike(pictures, f"the maps {name}", note), role, scale)
        fresh = {name: layer} if packing is None else _unpacked(layer, packing)
        map_checks.check_claims(layers if packing else unpacked, fresh, entries[-1].name)
        unpacked |= fresh if packing else {}
        layers |= fresh
    if pack is not None:
        map_checks.check_pack(pack, {name: layer.scale for name, layer in layers.items()})
    return layers, entries


def _packing(name: str, pack: Packing | None, loaded: Sequence[tuple[Picture, Input]], note: Note) -> Packing | None:
    """The packing that the name of a map means; None for single maps, and where the pictures are grey."""
    packing = pack if pack is not None and pack.name == name else packing_of(name)
    if packing is None or all(picture.channels == 3 for picture, _ in loaded):
        return packing
    note(f"{loaded[0][1].name} is grey, so it is no packed map; its values are copied as they are")
    return None


def _unpacked(layer: Layer, packing: Packing) -> dict[str, Layer]:
    """A layer for each channel of a packed one, by role; they share its memory."""
    every = [channels.unpack(picture, packing) for picture in layer.pictures]
    whole = channels.again(packing, {name for maps in every for name in maps})  # what is empty in some of them only
    each = [channels.unpack(picture, whole) for picture in layer.pictures]
    return {name: replace(layer, pictures=tuple(maps[name] for maps in each)) for name in each[0]}


def kind(name: str, normals: str | None = None, files: Sequence[str] = (), note: Note = lambda _: None) -> str:
    """The role of a layer by the name of its map: "normal" or "normal_dx", "labels" where the name says so, else
    "data". normals: the convention; None: that which the names say, of the map or of its files; raises InputError where
    they say both."""
    if packing_of(name) is not None:
        return "data"
    words = re.split(r"[^a-z]+", name.lower())
    role = role_of(name)
    if "normal" in name.lower() or (role is not None and role.name == NORMAL):
        return NORMAL_DX if (normals or convention_of(name) or _convention(name, files, note)) == DX else NORMAL
    return "labels" if "id" in words or any(w in name.lower() for w in ("label", "mask")) else "data"


def _role(name: str, normals: str | None, loaded: Sequence[tuple[Picture, Input]], note: Note) -> str:
    """The role of a layer by its map's name and what its pictures hold; InputError for normals that are none."""
    role = kind(name, normals, [entry.name for _, entry in loaded], note)
    if role not in NORMALS:
        return role
    if all(picture.channels == 1 for picture, _ in loaded):
        note(f"{loaded[0][1].name} is grey, so it holds no normals; its values are copied as they are")
        return "data"
    for picture, entry in loaded:
        if picture.channels == 3:
            map_checks.check_normals(picture, entry.name, note)
    return role


def _convention(name: str, files: Sequence[str], note: Note) -> str | None:
    """The convention that the names of files with normals say; raises InputError where they say both."""
    says = {file: convention for file in files if (convention := convention_in(Path(file).stem)) is not None}
    if len(set(says.values())) > 1:
        each = ", ".join(f"{one_line(file)} is {convention}" for file, convention in says.items())
        raise InputError(f"the maps {name} differ in their convention: {each}; all must be of one, as --normals says")
    if DX in says.values():
        note(f"{one_line(next(iter(says)))} is read as dx, green down, as its name says; --normals gl reads gl")
    return next(iter(says.values()), None)


def tell(layers: Mapping[str, Layer], size: tuple[int, int], note: Note) -> None:
    """Say which maps lose their own resolution beside an output of `size`, because it is no whole number of values."""
    for name, layer in layers.items():
        cell = layer.scale.denominator
        if cell > 1 and layer.extent(size) == size:
            height, width = size
            note(
                f"the map {name} has {layer.scale} of its exemplar's resolution, and {width}x{height} does not divide "
                f"by {cell}: it is written at that size with its values repeated; "
                f"{-(-width // cell) * cell}x{-(-height // cell) * cell} would keep its resolution"
            )


def _fitted(picture: Picture, size: tuple[int, int], ground: Ground, role: str, name: str, note: Note) -> Picture:
    """A map at `size`: its values repeated where it is coarser by a whole factor, else stretched."""
    times = Fraction(size[0], picture.height)
    if ground.scale(picture) is not None and times.denominator == 1:
        return inputs.mapped(picture, lambda values: rows.repeated(values, int(times)))
    factor = max(2, round(picture.height / ground.size[0]))
    example = f"{factor * ground.size[1]}x{factor * ground.size[0]}"
    lost = LABELS_MOVED if role == "labels" else VALUES_MIXED
    exact = f"a map as large as {ground.name}, or {factor} times as large ({example}), would be copied exactly"
    return inputs.stretched(picture, size, role, name, note, f"{lost}; {exact}")


def _scaled(box: Box, times: int) -> Box:
    x, y, width, height = box
    return times * x, times * y, times * width, times * height
