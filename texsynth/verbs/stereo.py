"""maps stereo: base colour, normals and height out of photographs under different lamps."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.errors import InputError, ResourceError, UsageError, shown
from texsynth.foreign.piped import path_of
from texsynth.image import codecs, files, rows, seen
from texsynth.image import load as inputs
from texsynth.image import picture as image
from texsynth.image.codecs.tags import LINEAR_GAMMA
from texsynth.image.picture import Picture
from texsynth.image.strips import spans
from texsynth.job import Input
from texsynth.material import lamps as estimates
from texsynth.material import lights, relief, stereo
from texsynth.material.roles import BASE_COLOUR, DX, HEIGHT, NORMAL
from texsynth.requests.maps.common import DEPTHS
from texsynth.requests.maps.stereo import Request
from texsynth.requests.option import recorded
from texsynth.runs import record, run
from texsynth.runs.cost import START, WRITING, base, parts
from texsynth.task import Estimate
from texsynth.verbs import parse

FEWEST, FEWEST_UNKNOWN, MOST = 3, 6, 64  # photographs: with lamps that are known, without, and at most
BLACK = 0.01  # of linear light, below which nothing is seen
STRIP = 1 << 17  # pixels that are solved at a time
REDUCED = 320  # pixels of the longer side of photographs by which lamps are estimated
BRIGHTEST = 0.999  # the share of colours that are to stay below white
OUTLIERS = 1e-3  # the share of heights at each end that come of single wrong normals
FREE = 4  # photographs from which on something can be left out


@dataclass(frozen=True)
class Shots:
    """Photographs that are read and checked, and the lamps (k, 3) where they are known."""

    request: Request
    photographs: tuple[Picture, ...]
    lamps: Tensor | None
    wraps: tuple[bool, bool]
    device: torch.device
    cost: Estimate
    record: Mapping[str, Any]
    notices: tuple[str, ...]


@dataclass(frozen=True)
class Reconstruction:
    """What photographs give: maps by their roles, and what the record keeps of them."""

    maps: Mapping[str, Picture]
    record: Mapping[str, Any]
    measured: Mapping[str, Any]
    notices: tuple[str, ...]
    seconds: float


def roles(request: Request) -> list[str]:
    """The roles of the maps that are asked for."""
    return [BASE_COLOUR, NORMAL, *([HEIGHT] if request.height else [])]


def prepare(request: Request, sources: Sequence[Path]) -> Shots:
    """Read and check photographs; raises UsageError, InputError and ResourceError."""
    ball = _check(request, len(sources))
    device, limit = parse.device(request.device), parse.memory(request.max_memory)
    loaded = inputs.load_all(sources, "photograph", parse.left(limit))
    entries = [entry for _, entry in loaded]
    first = loaded[0][0]
    for picture, entry in loaded:
        if inputs.extent(picture) != inputs.extent(first):
            sizes = f"{picture.width}x{picture.height} and {entries[0].name} {first.width}x{first.height}"
            raise InputError(f"{entry.name} is {sizes}; photographs from one place have one size")
    lamps = None
    if request.lights is not None:
        lamps = lights.read(request.lights, [entry.name for entry in entries])
        entries.append(Input("lights", request.lights.name, files.digest(request.lights)))
    elif ball is not None:
        show = lights.shaded if request.ball == "matte" else lights.mirrored
        shown_by = [show(_square(picture, ball), entry.name) for picture, entry in loaded]
        lamps = lights.checked(shown_by, "--sphere")
    box = None if request.crop is None else parse.crop(request.crop)
    photographs = tuple(inputs.cropped(picture, box, entry.name) for picture, entry in loaded)
    if max(map(_brightest, photographs)) < BLACK:
        raise InputError("all photographs are black; nothing can be told from them")
    size = inputs.extent(photographs[0])
    cost = _cost(photographs, size, request)
    if cost.memory > limit:
        needs = f"about {run.gigabytes(cost.memory)}, above the limit of {run.gigabytes(limit)}"
        raise ResourceError(f"{len(sources)} photographs need {needs}; make them smaller, or raise --max-memory")
    written = {
        **record.versions(),
        "verb": "maps stereo",
        Request.SECTION: recorded(request, Request.SECTION),
        "size": f"{size[1]}x{size[0]}",
        "device": str(device),
        "inputs": [asdict(entry) for entry in entries],
    }
    notices = () if len(sources) >= FREE else ("three photographs leave nothing to tell shadows and highlights by",)
    stored = record.plain(written)
    return Shots(request, photographs, lamps, parse.tile(request.tile), device, cost, stored, notices)


def execute(session: Shots, tick: Callable[[float], None] = lambda _: None) -> Reconstruction:
    """Make the maps; raises InputError where lamps cannot be estimated."""
    start = time.perf_counter()
    request, notices = session.request, list[str]()
    lamps = session.lamps
    if lamps is None:
        estimate = estimates.estimated(torch.cat([_reduced(picture) for picture in session.photographs]))
        lamps = estimate.lamps
        notices += _assumed(estimate)
        if request.invert:
            lamps = lamps * torch.tensor([-1.0, -1.0, 1.0])
    colours, normals = _solved(session, lamps, tick)
    scale = float(
        colours[:, :, ::7, ::7].flatten().sort().values[int(BRIGHTEST * (colours[:, :, ::7, ::7].numel() - 1))]
    )
    if scale > 1:
        notices.append(f"the base colour is {scale:.2f} times as bright as white; it is made darker by that")
    maps = {BASE_COLOUR: _base(session, colours, max(1.0, scale))}
    maps[NORMAL] = _map(session, relief.encoded(normals, request.normals == DX))
    measured: dict[str, Any] = {"lamps": [[round(part, 4) for part in lamp] for lamp in lamps.tolist()]}
    if request.height:
        surface = relief.heights(normals, session.wraps, session.device)
        grey, measured["strength"] = relief.grey(surface, OUTLIERS)
        notices.append(f"height: white is {measured['strength']:g} pixels above black")
        maps[HEIGHT] = _map(session, grey)
    stored = {**session.record, "measured": measured}
    return Reconstruction(maps, stored, measured, tuple(notices), time.perf_counter() - start)


def _brightest(picture: Picture) -> float:
    """The brightest value of a photograph, in linear light."""
    value = torch.tensor(rows.extremes(picture.pixels)[1])
    return float(value if picture.depth.startswith("float") else seen.light_of(value))


def linear(picture: Picture, top: int, bottom: int) -> Tensor:
    """The rows of a photograph in linear light, (1, C, h, W): sRGB is decoded, floats are linear."""
    values = picture.pixels[:, :, top:bottom]
    if picture.depth.startswith("float"):
        return values.clamp(min=0)
    return seen.light_of(values)


def _check(request: Request, count: int) -> tuple[float, float, float] | None:
    """The ball of --sphere, if there is one; UsageError for what contradicts itself."""
    if request.lights is not None and request.sphere is not None:
        raise UsageError("--lights and --sphere exclude each other: both say where the lamps stand; give one of them")
    if request.ball is not None and request.sphere is None:
        raise UsageError("--ball says what the ball of --sphere is; give --sphere X,Y,R too")
    is_known = request.lights is not None or request.sphere is not None
    if request.invert and is_known:
        raise UsageError("--invert is for lamps that are estimated; leave it out")
    least = FEWEST if is_known else FEWEST_UNKNOWN
    if not least <= count <= MOST:
        more = "" if is_known else ", or three with --lights or --sphere"
        raise UsageError(f"{count} photographs given; from {least} to {MOST} are needed{more}")
    if request.sphere is None:
        return None
    words = request.sphere.split(",") if isinstance(request.sphere, str) else list(request.sphere)
    try:
        x, y, radius = (float(word) for word in words)
        if not (radius >= 4 and all(abs(number) < parse.LARGEST for number in (x, y, radius))):
            raise ValueError
    except ValueError:
        raise UsageError(f"--sphere {shown(request.sphere)} is not X,Y,R in pixels, with a radius from 4 up") from None
    return x, y, radius


def _square(picture: Picture, ball: tuple[float, float, float]) -> Tensor:
    """The linear light of the square round a ball, (2 r, 2 r); InputError where it reaches outside."""
    x, y, radius = ball
    side, left, top = round(2 * radius), round(x - radius), round(y - radius)
    if min(left, top) < 0 or left + side > picture.width or top + side > picture.height:
        raise InputError(f"--sphere reaches outside the photographs, which are {picture.width}x{picture.height}")
    return linear(picture, top, top + side)[0, :, :, left : left + side].mean(0)


def _reduced(picture: Picture) -> Tensor:
    """The linear light of a photograph, (1, C, h, w), as means of squares, of about REDUCED pixels or less."""
    cell = -(-max(inputs.extent(picture)) // REDUCED)
    height, width = (side // cell for side in inputs.extent(picture))

    def make(top: int, bottom: int) -> Tensor:
        return F.avg_pool2d(linear(picture, top * cell, bottom * cell).expand(-1, 3, -1, -1), cell)

    return rows.composed((1, 3, height, width), make, picture.pixels, cell=cell)


def _solved(session: Shots, lamps: Tensor, tick: Callable[[float], None]) -> tuple[Tensor, Tensor]:
    """The colours (1, C, H, W) in linear light and the unit normals (1, 3, H, W)."""
    photographs, device = session.photographs, session.device
    size, channels = inputs.extent(photographs[0]), max(picture.channels for picture in photographs)
    colours, normals, agreeing = (rows.blank((1, planes, *size)) for planes in (channels, 3, 1))
    lamps = lamps.to(device)
    for top, bottom in spans(size, STRIP):
        lit = torch.cat([linear(p, top, bottom).expand(-1, channels, -1, -1) for p in photographs]).to(device)
        light = lit.flatten(2)
        bright, weights = stereo.solved(light.mean(1), lamps)
        upright = stereo.unit(bright)
        shape = bottom - top, size[1]
        normals[0, :, top:bottom] = upright.unflatten(1, shape).cpu()
        colours[0, :, top:bottom] = stereo.albedo(light, lamps, upright, weights).unflatten(1, shape).cpu()
        agreeing[0, :, top:bottom] = weights.sum(0, keepdim=True).unflatten(1, shape).cpu()
        rows.release(colours, normals, agreeing, *(p.pixels for p in photographs))
        tick(bottom / size[0])
    normals = rows.changed(stereo.mended(normals, agreeing), lambda part: F.normalize(part, dim=1))
    return stereo.mended(colours, agreeing), normals


def _assumed(estimate: estimates.LampEstimate) -> list[str]:
    """What is assumed of lamps that are estimated."""
    said = ["lamps are estimated: equally bright, far away, over a surface that is level on the whole"]
    if estimate.is_ring:
        said.append("the lamps stand in one ring; how high is not told by photographs, and 45 degrees are assumed")
    if not estimate.told_by_shadows:
        said.append("no shadows tell hollows from bumps; the lamps are taken to stand above; --invert exchanges them")
    return said


def _base(session: Shots, colours: Tensor, scale: float) -> Picture:
    """The base colour: sRGB, with the primaries of the photographs; in floats linear light, which its file says."""
    first, depth = session.photographs[0], DEPTHS[session.request.depth]
    if depth == "float32":
        tags = replace(first.tags, cicp=None, mastering=None, light=None, srgb=None, gamma=LINEAR_GAMMA)
        return Picture(rows.changed(colours, lambda part: part / scale), None, depth, None, tags)
    coded = rows.changed(colours, lambda part: seen.srgb_of((part / scale).clamp(0, 1)))
    if first.depth.startswith("float"):
        return Picture(coded, None, depth, None, replace(first.tags, gamma=None))
    return Picture(coded, None, depth, first.icc, first.tags)


def _map(session: Shots, values: Tensor) -> Picture:
    """A map of numbers, with the resolution of the photographs."""
    tags = replace(codecs.PLAIN, density=session.photographs[0].tags.density)
    return Picture(values, None, DEPTHS[session.request.depth], None, tags)


def _cost(photographs: Sequence[Picture], size: tuple[int, int], request: Request) -> Estimate:
    """Peak bytes and seconds."""
    pixels, count = size[0] * size[1], len(photographs)
    strip = 4 * min(pixels, STRIP) * (12 * count + 40)
    surface = relief.memory(size, parse.tile(request.tile)) if request.height else 0
    results = 4 * 12 * min(pixels, rows.WHOLE)
    held = base([part for picture in photographs for part in parts(picture)])
    seconds = START + pixels * (1e-6 * count + 3e-8 * count * 64 + 8 * WRITING)
    return Estimate(held + max(strip, surface) + results, seconds)


def names(sources: Sequence[Path], folder: Path) -> str:
    """The stem of the results: what the names of the photographs begin with together, but for digits and separators at
    its end; that of the folder where nothing is left."""
    stems = [path_of(source).stem for source in sources]
    first = min(stems, key=len)
    length = next((n for n in range(len(first), 0, -1) if all(stem.startswith(first[:n]) for stem in stems)), 0)
    return first[:length].rstrip("0123456789_-. ") or folder.name or "surface"


def check_writable(out: Path, session: Shots) -> None:
    """Refuse a format that cannot hold the maps; UsageError."""
    image.check_side(out.name, image.SUFFIXES_WRITE[out.suffix], inputs.extent(session.photographs[0]))
