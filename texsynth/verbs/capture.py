"""capture: from a photograph of a surface to an exemplar, with all its maps."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from typing import Any

from texsynth.errors import InputError, ResourceError, UsageError, shown
from texsynth.image import light
from texsynth.image import load as inputs
from texsynth.image import picture as image
from texsynth.image.load import Box, Note, Source
from texsynth.image.picture import Picture
from texsynth.material import export, regular, shadows, texel
from texsynth.material import frame as frames
from texsynth.material.frame import Corners, Frame
from texsynth.material.roles import role_of
from texsynth.material.straighten import straightened
from texsynth.requests.capture import WAYS, Request
from texsynth.requests.option import is_given, options, recorded
from texsynth.runs import machine, record, run
from texsynth.runs.cost import START, base, parts
from texsynth.task import Estimate
from texsynth.verbs import layers as layers_of
from texsynth.verbs import map_checks, parse

AUTO = "auto"
MOST_BENT = 0.05  # of the aspect of a map, from which on a notice says that it differs
SMALLEST_SHARE = 1e-3  # of the square of its longest side, that the triangle at a corner of a quadrangle covers
OUTSIDE = 0.5  # pixels that a corner may lie outside: programs count from 0 or from 1
FARTHEST_ASPECT = 100.0
COARSEST = 16  # times that a map may be as coarse as its photograph, for sizes to heed it


@dataclass(frozen=True)
class Aligned:
    """A map that follows: its picture and its role, see `straighten.straightened`."""

    picture: Picture
    role: str


@dataclass(frozen=True)
class Capturing:
    """A photograph that is read and checked.

    frame: Of what is straightened; None where it stays as it is. box: What is cut out of it then.
    record: The resolved run, JSON-able.
    """

    request: Request
    photo: Picture
    maps: Mapping[str, Aligned]
    frame: Frame | None
    box: Box | None
    cost: Estimate
    record: Mapping[str, Any]
    notices: tuple[str, ...]

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the outcome."""
        if self.frame is not None:
            return self.frame.size
        return inputs.extent(self.photo) if self.box is None else (self.box[3], self.box[2])


@dataclass(frozen=True)
class Captured:
    """The outcome: the exemplar and its maps by name, what was done in words, the record and the seconds it took."""

    image: Picture
    layers: Mapping[str, Picture]
    remarks: tuple[str, ...]
    record: Mapping[str, Any]
    seconds: float


def check(request: Request) -> None:
    """Refuse words that mean nothing, and options that would do nothing; UsageError."""
    if not any(is_given(getattr(request, name)) for name in WAYS):
        flags = ", ".join(o.flag for o in options(Request) if o.name in WAYS)
        raise UsageError(f"there is nothing to do; give one of {flags}")
    for name in ("size", "aspect"):
        if getattr(request, name) is not None and request.quad is None:
            raise UsageError(f"--{name} is that of what --quad marks; give its four corners, or leave --{name} out")
    if request.size is not None and request.aspect is not None and "x" in str(request.size).lower().rstrip("x"):
        raise UsageError(f"--size {request.size} has an aspect of its own; leave --aspect out, or give a factor")
    if request.quad is not None:
        corners(request.quad)
    if request.aspect is not None:
        aspect(request.aspect)
    if request.crop is not None:
        parse.crop(request.crop)
    if request.texel is not None:
        texel.parse(request.texel)


def corners(value: str | Sequence[float]) -> Corners:
    """ "X1,Y1,...,X4,Y4" -> four corners in order around a convex outline; UsageError."""
    words = value.split(",") if isinstance(value, str) else [str(number) for number in value]
    example = "for example 10,10,500,20,490,480,0,470"
    if len(words) != 8 or not all(re.fullmatch(rf"\s*-?(?:{parse.NUMBER})\s*", word) for word in words):
        raise UsageError(f"--quad {shown(value)} is not eight numbers X1,Y1,X2,Y2,X3,Y3,X4,Y4, {example}")
    numbers = [float(word) for word in words]
    if max(map(abs, numbers)) > parse.LARGEST:
        raise UsageError(f"--quad {shown(value)}: a picture has no such pixels; write places inside it, {example}")
    points = tuple(zip(numbers[::2], numbers[1::2], strict=True))
    turns = frames.turns(points)
    longest = max(abs(turn) for turn in turns)
    least = SMALLEST_SHARE * max(sum((a - b) ** 2 for a, b in zip(p, q, strict=True)) for p in points for q in points)
    order = "write the upper left, upper right, lower right and lower left corner of the surface"
    if all(turn < -least for turn in turns):
        raise UsageError(f"--quad {shown(value)} goes round counter-clockwise; {order}")
    if longest <= least or any(abs(turn) <= least for turn in turns):
        raise UsageError(f"--quad {shown(value)}: three of its corners lie on a line; {order}")
    if not all(turn > 0 for turn in turns):
        crossed = sum(turn > 0 for turn in turns) == 2
        fault = "its sides cross each other" if crossed else "one of its corners points inward"
        raise UsageError(f"--quad {shown(value)}: {fault}; {order}")
    return points


def aspect(word: str) -> float | None:
    """ "3:2" -> width / height, None for "auto"; UsageError."""
    if word == AUTO:
        return None
    match = re.fullmatch(rf"({parse.NUMBER}):({parse.NUMBER})", word.strip())
    width, height = (float(match[1]), float(match[2])) if match else (0.0, 0.0)
    if not (width > 0 and height > 0 and 1 / FARTHEST_ASPECT <= width / height <= FARTHEST_ASPECT):
        raise UsageError(f"--aspect {shown(word)} is not W:H, such as 3:2, or auto")
    return width / height


def aim(request: Request, photo: Source, maps: Mapping[str, Source]) -> Capturing:
    """Read and check one photograph and its maps, and find its frame; raises UsageError, InputError and
    ResourceError."""
    limit = parse.memory(request.max_memory)
    parse.device(request.device)
    notices: list[str] = []
    room = parse.left(limit)
    picture, entry = inputs.load(photo, "photo", room)
    image.check_exemplar_size(picture, entry.name)
    room -= image.size_in_memory(picture)
    layers, entries = {}, [entry]
    for name, source in maps.items():
        layer, of_map = inputs.load(source, f"map:{name}", room)
        room -= image.size_in_memory(layer)
        _check_shape(layer, of_map.name, picture, entry.name, notices.append)
        meaning = role_of(name)
        layer = export.as_numbers(layer, meaning.name if meaning else "")
        layers[name] = Aligned(layer, _role(name, request.normals, layer, of_map.name, notices.append))
        entries.append(of_map)
    cell = _cell(picture, [each.picture for each in layers.values()])
    frame = None if request.quad is None else _quad(request, picture, cell, entry.name, notices.append)
    frame = _lattice(picture, cell, entry.name, notices.append) if request.straighten else frame
    box = None if request.crop is None else parse.crop(request.crop)
    if box is not None:
        size = inputs.extent(picture) if frame is None else frame.size
        if box[0] + box[2] > size[1] or box[1] + box[3] > size[0]:
            what = f"what is straightened of {entry.name}" if frame else entry.name
            raise UsageError(f"--crop {','.join(map(str, box))} reaches outside {what}, which is {size[1]}x{size[0]}")
        frame, box = (None, box) if frame is None else (frame.cropped(*box), None)
    work = Capturing(request, picture, layers, frame, box, Estimate(0, 0.0), {}, tuple(notices))
    cost = estimate(work)
    if cost.memory > limit:
        needs = f"about {run.gigabytes(cost.memory)}, above the limit of {run.gigabytes(limit)}"
        raise ResourceError(f"{entry.name} needs {needs}; make it smaller, or raise --max-memory")
    stored = {
        **record.versions(),
        "verb": "capture",
        **record.plain(recorded(request, "")),
        "capture": record.plain(recorded(request, Request.SECTION)),
        "size": f"{work.size[1]}x{work.size[0]}",
        "inputs": [asdict(each) for each in entries],
    }
    return replace(work, cost=cost, record=stored)


def execute(work: Capturing) -> Captured:
    """Straighten, even out the light, and say how large a pixel is."""
    start = time.perf_counter()
    request, remarks = work.request, []
    picture = _placed(work.photo, work, "colour")
    for asked, change in ((request.delight, shadows.lightened), (request.flatten, light.flatten)):
        if asked:  # a shadow first, as its edge is no slow change of light
            with machine.one_thread():
                picture, remark = light.relit(picture, change)
            remarks.append(remark)
    layers = {name: _placed(each.picture, work, each.role) for name, each in work.maps.items()}
    if request.texel is not None:
        side, width = texel.parse(request.texel), picture.width
        layers = {name: _measured(layer, side * width / layer.width) for name, layer in layers.items()}
        picture = _measured(picture, side)
    return Captured(picture, layers, tuple(remarks), work.record, time.perf_counter() - start)


def estimate(work: Capturing) -> Estimate:
    """Peak bytes and seconds of one photograph."""
    pictures = [work.photo, *(each.picture for each in work.maps.values())]
    held = base([part for picture in pictures for part in parts(picture)])
    pixels = work.size[0] * work.size[1]
    largest = max(picture.height * picture.width for picture in pictures)
    scale = max(picture.width / work.photo.width for picture in pictures) ** 2
    straightening = 36 * largest if work.frame is not None else 0
    lighting = 100 * pixels if work.request.flatten or work.request.delight else 0
    memory = held + straightening + lighting + int(40 * pixels * max(1.0, scale)) + 16 * pixels * len(pictures)
    return Estimate(memory, START + 1e-6 * pixels * len(pictures))


def _cell(photo: Picture, layers: Sequence[Picture]) -> int:
    """The pixels of a photograph that a size must be a multiple of, so that maps which are coarser by a whole factor
    stay so."""
    times = [
        Fraction(photo.width, layer.width)
        for layer in layers
        if layer.width * photo.height == layer.height * photo.width
    ]
    return math.lcm(*(int(each) for each in times if each.denominator == 1 and each <= COARSEST))


def _quad(request: Request, picture: Picture, cell: int, name: str, note: Note) -> Frame:
    """The frame that --quad marks in a photograph; raises UsageError."""
    assert request.quad is not None
    points = corners(request.quad)
    height, width = inputs.extent(picture)
    for x, y in points:
        if not (-OUTSIDE <= x <= width + OUTSIDE and -OUTSIDE <= y <= height + OUTSIDE):
            raise UsageError(f"--quad: the corner {x:g},{y:g} lies outside {name}, which is {width}x{height}")
    down, along = frames.mean_sides(points)
    if request.aspect is not None:
        shape = aspect(request.aspect)
        if shape is None and (shape := frames.true_aspect(points, (width / 2, height / 2))) is None:
            note("--aspect auto: opposite sides are too near to parallel to tell it; their mean lengths are taken")
        area = down * along
        down, along = (down, along) if shape is None else ((area / shape) ** 0.5, (area * shape) ** 0.5)
    size = round(down / cell) * cell, round(along / cell) * cell
    if min(size) < parse.SMALLEST:
        raise UsageError(f"--quad marks {size[1]}x{size[0]} pixels; at least {parse.SMALLEST} a side are needed")
    if request.size is not None:
        size = parse.size(request.size, size)
    return frames.of_corners(points, size)


def _lattice(picture: Picture, cell: int, name: str, note: Note) -> Frame:
    """The frame in which a regular photograph has level rows and upright columns; InputError where it is none."""
    with machine.one_thread():
        lattice = regular.measured(picture)
    if lattice is None:
        why = "its rows and columns cannot be told, as it shows too few that repeat, or too irregular ones"
        raise InputError(f"--straighten lattice: {name}: {why}; mark a rectangle on it with --quad")
    along, down = lattice.steps
    turn = f"{abs(lattice.turned):.1f} degrees {'counter-' if lattice.turned < 0 else ''}clockwise"
    note(f"{name} repeats every {along:.1f} pixels along and {down:.1f} down; its rows were turned by {turn}")
    height, width = lattice.frame.size
    return lattice.frame.cropped(0, 0, max(1, width // cell) * cell, max(1, height // cell) * cell)


def _role(name: str, normals: str | None, layer: Picture, file: str, note: Note) -> str:
    """How the values of a map are treated, by its name; InputError for normals that are none."""
    role = layers_of.kind(name, normals, [file], note)
    if role in inputs.NORMALS and layer.channels == 1:
        note(f"{file} is grey, so it holds no normals; its values are averaged as they are")
        return "data"
    if role in inputs.NORMALS:
        map_checks.check_normals(layer, file, note)
    map_checks.tell_of_height(layer, file, [name], note)
    return role


def _check_shape(layer: Picture, name: str, photo: Picture, of: str, note: Note) -> None:
    """Tell where a map has another aspect than its photograph, and refuse where it cannot be of it; InputError."""
    map_checks.check_aspect(layer, inputs.extent(photo), name, of)
    bent = layer.width * photo.height / (layer.height * photo.width)
    bent = max(bent, 1 / bent) - 1
    if bent > MOST_BENT:
        sizes = f"{name} is {layer.width}x{layer.height} beside {of} of {photo.width}x{photo.height}"
        note(f"{sizes}: the aspect differs by {100 * bent:.0f} %")


def _placed(picture: Picture, work: Capturing, role: str) -> Picture:
    """A picture in the frame, or the part in the box, as large as its own resolution says."""
    down, along = (mine / its for mine, its in zip(inputs.extent(picture), inputs.extent(work.photo), strict=True))
    if work.frame is not None:
        # The resolution that the file tells is one of the photograph.
        plain = replace(picture, tags=replace(picture.tags, density=None))
        return straightened(plain, work.frame.finer(down, along), role)
    if work.box is None:
        return picture
    x, y, width, height = work.box
    box = round(x * along), round(y * down), max(1, round(width * along)), max(1, round(height * down))
    return inputs.cropped(picture, box, "the map")


def _measured(picture: Picture, side: Fraction) -> Picture:
    """A picture whose files say that a pixel has a side of so many metres."""
    return replace(picture, tags=replace(picture.tags, density=texel.density(side)))
