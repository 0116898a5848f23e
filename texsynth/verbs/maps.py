"""maps: one map of a material made out of another. Each command reads and checks its map, and says how it is made."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch

from texsynth.errors import InputError, ResourceError
from texsynth.foreign.piped import path_of
from texsynth.image import codecs, rows
from texsynth.image import load as inputs
from texsynth.image import picture as image
from texsynth.image.load import Note, Source
from texsynth.image.picture import Picture
from texsynth.material import relief
from texsynth.material.roles import DX
from texsynth.requests.maps.common import DEPTHS
from texsynth.requests.maps.normal import STEEPEST
from texsynth.requests.option import recorded
from texsynth.requests.shared import TILES
from texsynth.runs import record, run
from texsynth.runs.cost import START, WRITING, base, parts
from texsynth.task import Estimate
from texsynth.verbs import parse

GREY = 2 / 255  # by how much the channels of a grey map may differ
USUAL_RELIEF = 1 / 32  # of the shorter side: the height of white where nothing says it


@dataclass(frozen=True)
class Conversion:
    """A map that is read and checked.

    make: Makes the result.
    record: The resolved run, JSON-able.
    """

    make: Callable[[], Picture]
    size: tuple[int, int]
    cost: Estimate
    record: Mapping[str, Any]
    notices: tuple[str, ...]


@dataclass(frozen=True)
class Converted:
    """The outcome for one map."""

    image: Picture
    record: Mapping[str, Any]
    seconds: float


@dataclass(frozen=True)
class ReadMap:
    """A map, and what goes with it. stored: what the record in its file says of maps."""

    picture: Picture
    entry: inputs.Input
    stored: Mapping[str, Any]
    wraps: tuple[bool, bool]
    device: torch.device


def prepare(command: str, request: Any, source: Source) -> Conversion:
    """Read and check one map for a command; raises UsageError, InputError and ResourceError."""
    notices: list[str] = []
    device, limit = parse.device(request.device), parse.memory(request.max_memory)
    picture, entry = inputs.load(source, "map", parse.left(limit))
    stored = _stored(source)
    word = request.tile or stored.get("tile")
    tile = word if word in TILES else "none"
    reading = ReadMap(picture, entry, stored, parse.tile(tile), device)
    make, values, planes = COMMANDS[command](request, reading, notices.append)
    size = inputs.extent(picture)
    cost = _cost(picture, planes)
    if cost.memory > limit:
        needs = f"about {run.gigabytes(cost.memory)}, above the limit of {run.gigabytes(limit)}"
        raise ResourceError(f"{entry.name} needs {needs}; make it smaller, or raise --max-memory")
    written = {
        **record.versions(),
        "verb": command,
        type(request).SECTION: recorded(request, type(request).SECTION, tile=tile, **values),
        "size": f"{size[1]}x{size[0]}",
        "device": str(device),
        "inputs": [asdict(entry)],
    }
    return Conversion(make, size, cost, record.plain(written), tuple(notices))


def execute(conversion: Conversion) -> Converted:
    """Make a map."""
    start = time.perf_counter()
    return Converted(conversion.make(), conversion.record, time.perf_counter() - start)


def _stored(source: Source) -> Mapping[str, Any]:
    """What the record in the file of a map says of it; empty without one. Others may have written it."""
    if not isinstance(source, str) and not hasattr(source, "name"):
        return {}
    path = path_of(source)
    values = (image.read_metadata(path) or {}).get("maps") if path.is_file() else None
    return values if isinstance(values, dict) else {}


def _normal(request: Any, reading: ReadMap, note: Note) -> tuple[Callable[[], Picture], dict[str, Any], int]:
    height = _grey(reading)
    strength = _strength(request, reading)
    if reading.picture.depth == "uint8":
        note(f"{reading.entry.name} has 8 bits, whose steps show on flat slopes; a 16-bit height has none")

    def make() -> Picture:
        vectors = relief.normals(height, strength, reading.wraps, reading.device)
        return _picture(reading, relief.encoded(vectors, request.normals == DX), request)

    return make, {"strength": strength}, 12


def _strength(request: Any, reading: ReadMap) -> float:
    """The height of white, in pixels."""
    stored = reading.stored.get("strength")
    if request.strength is not None:
        return float(request.strength)
    if isinstance(stored, (int, float)) and math.isfinite(stored) and 0 <= stored <= STEEPEST:
        return float(stored)
    return min(inputs.extent(reading.picture)) * USUAL_RELIEF


def _grey(reading: ReadMap) -> torch.Tensor:
    """The values of a map without colours, (1, 1, H, W); InputError for one that has some."""
    pixels = reading.picture.pixels
    if pixels.shape[1] == 3:
        least, greatest = rows.extremes(rows.changed(pixels, lambda part: part - part.mean(1, keepdim=True)))
        if max(-least, greatest) > GREY:
            name = reading.entry.name
            raise InputError(f"{name} has colours, and a height map is grey; give its height map, or convert it")
    return pixels[:, :1]


def _picture(reading: ReadMap, values: torch.Tensor, request: Any) -> Picture:
    """The result, which keeps the alpha and the resolution of its map; its values are numbers, no colours."""
    tags = replace(codecs.PLAIN, density=reading.picture.tags.density)
    return Picture(values, reading.picture.alpha, DEPTHS[request.depth], None, tags)


def _cost(picture: Picture, planes: int) -> Estimate:
    """Peak bytes and seconds of a map whose making takes so many planes of floats."""
    pixels = picture.height * picture.width
    return Estimate(base(parts(picture)) + 4 * planes * pixels, START + (3 * WRITING + 5e-9 * planes) * pixels)


COMMANDS = {"maps normal": _normal}
