"""maps: one map of a material made out of another. Each command reads and checks its map, and says how it is made."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from texsynth.errors import InputError, ResourceError
from texsynth.foreign.piped import Piped, path_of
from texsynth.image import codecs, rows
from texsynth.image import load as inputs
from texsynth.image import picture as image
from texsynth.image.load import Note, Source
from texsynth.image.picture import Picture
from texsynth.material import occlusion, relief
from texsynth.material.names import convention_in
from texsynth.material.roles import CONVENTIONS, DX, GL, HEIGHT
from texsynth.requests.maps.common import DEPTHS
from texsynth.requests.maps.normal import STEEPEST
from texsynth.requests.option import recorded
from texsynth.requests.shared import TILES
from texsynth.runs import record, run
from texsynth.runs.cost import START, WRITING, base, parts
from texsynth.task import Estimate
from texsynth.verbs import map_checks, parse

GREY = 2 / 255  # by how much the channels of a grey map may differ
USUAL_RELIEF = 1 / 32  # of the shorter side: the height of white where nothing says it


@dataclass(frozen=True)
class MadeMap:
    """What comes of a map. measured: What the record keeps of it, beside what was asked for."""

    picture: Picture
    measured: Mapping[str, Any] = field(default_factory=dict)
    notices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Making:
    """How a map is made. values: What the record says in place of what was asked for. memory: The bytes that it takes
    beside the map that is read; seconds: how long."""

    make: Callable[[], MadeMap]
    values: Mapping[str, Any]
    memory: int
    seconds: float


@dataclass(frozen=True)
class Conversion:
    """A map that is read and checked.

    make: Makes the result.
    record: The resolved run, JSON-able.
    """

    make: Callable[[], MadeMap]
    size: tuple[int, int]
    cost: Estimate
    record: Mapping[str, Any]
    notices: tuple[str, ...]


@dataclass(frozen=True)
class Converted:
    """The outcome for one map. measured: What the record keeps of the result, such as the strength of a height."""

    image: Picture
    record: Mapping[str, Any]
    measured: Mapping[str, Any]
    notices: tuple[str, ...]
    seconds: float


@dataclass(frozen=True)
class ReadMap:
    """A map, and what goes with it. stem: of its file, "" without one. stored: what the record in its file says."""

    picture: Picture
    entry: inputs.Input
    stem: str
    stored: Mapping[str, Any]
    wraps: tuple[bool, bool]
    device: torch.device


def prepare(command: str, request: Any, source: Source) -> Conversion:
    """Read and check one map for a command; raises UsageError, InputError and ResourceError."""
    notices: list[str] = []
    device, limit = parse.device(request.device), parse.memory(request.max_memory)
    picture, entry = inputs.load(source, "map", parse.left(limit))
    path = path_of(source) if isinstance(source, (str, Path)) else None
    stored = _stored(path)
    word = request.tile or stored.get("tile")
    tile = word if word in TILES else "none"
    stem = "" if path is None else path.stem
    making = COMMANDS[command](request, ReadMap(picture, entry, stem, stored, parse.tile(tile), device), notices.append)
    size = inputs.extent(picture)
    held = base(parts(picture)) + making.memory
    if held > limit:
        needs = f"about {run.gigabytes(held)}, above the limit of {run.gigabytes(limit)}"
        raise ResourceError(f"{entry.name} needs {needs}; make it smaller, or raise --max-memory")
    written = {
        **record.versions(),
        "verb": command,
        type(request).SECTION: recorded(request, type(request).SECTION, tile=tile, **making.values),
        "size": f"{size[1]}x{size[0]}",
        "device": str(device),
        "inputs": [asdict(entry)],
    }
    seconds = START + making.seconds + 3 * WRITING * size[0] * size[1]
    return Conversion(making.make, size, Estimate(held, seconds), record.plain(written), tuple(notices))


def execute(conversion: Conversion) -> Converted:
    """Make a map."""
    start = time.perf_counter()
    result = conversion.make()
    stored = dict(conversion.record) | ({"measured": dict(result.measured)} if result.measured else {})
    return Converted(result.picture, stored, result.measured, result.notices, time.perf_counter() - start)


def _stored(path: Path | None) -> Mapping[str, Any]:
    """What the record in the file of a map says of it; empty without one. Others may have written it."""
    is_file = path is not None and not isinstance(path, Piped) and path.is_file()
    whole = (image.read_metadata(path) or {}) if path is not None and is_file else {}
    said = [part for part in (whole.get("maps"), whole.get("measured")) if isinstance(part, dict)]
    return {key: value for part in said for key, value in part.items()}


def _normal(request: Any, read: ReadMap, note: Note) -> Making:
    """maps normal."""
    height, strength = _height_of(read, note), _strength(request, read, note)

    def make() -> MadeMap:
        vectors = relief.normals(height, strength, read.wraps, read.device)
        return MadeMap(_picture(read, relief.encoded(vectors, request.normals == DX), request))

    pixels = height.numel()
    return Making(make, {"strength": strength}, _by_rows(pixels, 16), 3e-8 * pixels)


def _height(request: Any, read: ReadMap, note: Note) -> Making:
    """maps height."""
    word = read.stored.get("normals")
    named = word if word in CONVENTIONS else convention_in(read.stem)
    convention = request.normals or named or GL
    if request.normals is None and convention == DX:
        note(f"{read.entry.name} is taken as one whose green points down; --normals gl says otherwise")
    colours = _normals_of(read, note)

    def make() -> MadeMap:
        surface = relief.heights(relief.decoded(colours, convention == DX), read.wraps, read.device)
        grey, strength = relief.grey(surface)
        back = f"`texsynth maps normal` gives the normals back with --strength {strength:g}, which the record says too"
        words = f"{read.entry.name}: white is {strength:g} pixels above black; {back}"
        return MadeMap(_picture(read, grey, request), {"strength": strength}, (words,))

    size = inputs.extent(read.picture)
    whole = relief.memory(size, read.wraps)
    return Making(make, {"normals": convention}, whole + _by_rows(size[0] * size[1], 8), 1e-8 * whole)


def _occlusion(request: Any, read: ReadMap, note: Note) -> Making:
    """maps occlusion."""
    height, strength = _height_of(read, note), _strength(request, read, note)
    radius = float(request.radius or max(1.0, min(inputs.extent(read.picture)) / 8))

    def make() -> MadeMap:
        shares = occlusion.visible(height, strength, radius, read.wraps, read.device)
        return MadeMap(_picture(read, shares, request))

    pixels, steps = height.numel(), len(occlusion.distances(radius))
    side = inputs.extent(read.picture)[1] + 2 * radius
    framed = int(4 * side * (2 * radius + min(pixels, rows.WHOLE) / inputs.extent(read.picture)[1]))
    memory, seconds = 2 * framed + _by_rows(pixels, 16), 4e-9 * occlusion.SLICES * steps * pixels
    return Making(make, {"strength": strength, "radius": radius}, memory, seconds)


def _by_rows(pixels: int, planes: int) -> int:
    """The bytes of so many planes of a map that is made some rows at a time, and of its file."""
    return 4 * planes * min(pixels, rows.WHOLE)


def _strength(request: Any, read: ReadMap, note: Note) -> float:
    """The height of white, in pixels."""
    stored = read.stored.get("strength")
    if request.strength is not None:
        return float(request.strength)
    if isinstance(stored, (int, float)) and math.isfinite(stored) and 0 <= stored <= STEEPEST:
        return float(stored)
    usual = min(inputs.extent(read.picture)) * USUAL_RELIEF
    note(f"{read.entry.name}: white is taken as {usual:g} pixels above black; --strength says otherwise")
    return usual


def _height_of(read: ReadMap, note: Note) -> torch.Tensor:
    """The values of a height map, (1, 1, H, W); InputError for one with colours."""
    pixels = read.picture.pixels
    if pixels.shape[1] == 3:
        least, greatest = rows.extremes(rows.changed(pixels, lambda part: part - part.mean(1, keepdim=True)))
        if max(-least, greatest) > GREY:
            name = read.entry.name
            raise InputError(f"{name} has colours, and a height map is grey; give its height map, or convert it")
    if max(map(abs, rows.extremes(pixels))) > STEEPEST:
        raise InputError(f"{read.entry.name} holds heights beyond {STEEPEST}; scale them, to 0 to 1 at best")
    map_checks.tell_of_height(read.picture, read.entry.name, [HEIGHT], note)
    return pixels[:, :1]


def _normals_of(read: ReadMap, note: Note) -> torch.Tensor:
    """The colours of a normal map, (1, 3, H, W), whose third part is worked out where it is not there; InputError where
    its vectors are none."""
    pixels, name = read.picture.pixels, read.entry.name
    if pixels.shape[1] != 3:
        raise InputError(f"{name} is grey, and a normal map has three channels; give the normal map")
    if not map_checks.has_two_parts(read.picture):
        map_checks.check_vectors(read.picture, name, "give the normal map")
        return pixels
    note(f"{name}: its blue is the same everywhere, as BC5 saves it; it is worked out of red and green")

    def completed(part: torch.Tensor) -> torch.Tensor:
        flat = part[:, :2]
        upright = (1 - (2 * flat - 1).square().sum(1, keepdim=True)).clamp(min=0).sqrt()
        return torch.cat([flat, (upright + 1) / 2], 1)

    return rows.changed(pixels, completed)


def _picture(read: ReadMap, values: torch.Tensor, request: Any) -> Picture:
    """The result, which keeps the alpha and the resolution of its map; its values are numbers, no colours."""
    tags = replace(codecs.PLAIN, density=read.picture.tags.density)
    return Picture(values, read.picture.alpha, DEPTHS[request.depth], None, tags)


COMMANDS: Mapping[str, Callable[[Any, ReadMap, Note], Making]] = {
    "maps normal": _normal,
    "maps height": _height,
    "maps occlusion": _occlusion,
}
