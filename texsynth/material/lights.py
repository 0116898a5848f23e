"""Where lamps stand, as a file says it or a ball shows it: directions (x, y, z), right, up and to the viewer."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.errors import InputError, one_line, shown
from texsynth.foreign import regular, yaml_text

STRUCTURED = (".json", ".yaml", ".yml")  # a file of JSON is one of YAML
FLAT = 0.05  # how far lamps must stand from one plane with the surface, as a share of how they differ otherwise
BRIGHT = 0.9  # of the brightest pixel: part of the highlight on a mirror
LIT = 0.15  # of the brightest pixel: on the side of a matte ball that the lamp sees
DIMMEST = 0.02  # of linear light, that a lamp on a ball must have


def read(path: Path, photographs: Sequence[str]) -> Tensor:
    """The directions (k, 3), of unit length, that a file gives for photographs by the names of their files, or in their
    order; raises InputError."""
    name = one_line(path.name)
    try:
        text = regular.content(path, yaml_text.LONGEST).decode("utf-8")
        entries = yaml_text.load(text) if path.suffix.lower() in STRUCTURED else _lines(text)
        vectors = _ordered(entries, photographs)
    except OSError as error:
        raise InputError(f"{name}: cannot be read ({error.strerror or error}); check the path") from None
    except UnicodeDecodeError:
        raise InputError(f"--lights {name}: it is no text; write x y z a line, one line for each photograph") from None
    except ValueError as error:
        raise InputError(f"--lights {name}: {error}") from None
    return checked(vectors, f"--lights {name}")


def checked(vectors: Sequence[Sequence[float]], source: str) -> Tensor:
    """Directions as unit vectors (k, 3); InputError where one is none, stands behind the surface, or all of them lie in
    one plane, so that nothing can be told from them."""
    lamps = torch.tensor(vectors, dtype=torch.float64)
    for number, lamp in enumerate(lamps, 1):
        if not float(lamp[2]) > 0:
            raise InputError(f"{source}: lamp {number} does not stand before the surface; its z must be above 0")
    lamps = F.normalize(lamps, dim=1).float()
    sizes = torch.linalg.svdvals(lamps)
    if sizes[-1] < FLAT * sizes[0]:
        raise InputError(f"{source}: the lamps lie in one plane with the surface's middle; one must stand beside it")
    return lamps


def mirrored(light: Tensor, name: str) -> list[float]:
    """The direction of the lamp whose highlight a mirror ball shows, that fills a square (2 r, 2 r) of linear light."""
    normals, inside = _ball(len(light))
    values = light * inside
    if float(values.amax()) < DIMMEST:
        raise InputError(f"--sphere: {name} shows no highlight there; check its centre and radius")
    marks = (values >= BRIGHT * values.amax()).float()
    x, y = ((normals[axis] * marks).sum() / marks.sum() for axis in (0, 1))
    normal = torch.stack([x, y, (1 - x**2 - y**2).clamp(min=0).sqrt()])
    direction = 2 * normal[2] * normal - torch.tensor([0.0, 0.0, 1.0])
    return [float(part) for part in direction]


def shaded(light: Tensor, name: str) -> list[float]:
    """The direction of the lamp that lights a matte ball, by least squares on its lit side, of a square (2 r, 2 r)."""
    normals, inside = _ball(len(light))
    lit = inside & (light > LIT * (light * inside).amax())
    if float((light * inside).amax()) < DIMMEST or int(lit.sum()) < 12:
        raise InputError(f"--sphere: {name} shows no lit ball there; check its centre and radius")
    direction = torch.linalg.lstsq(normals[:, lit].T, light[lit][:, None]).solution[:, 0]
    return [float(part) for part in direction]


def _ball(side: int) -> tuple[Tensor, Tensor]:
    """The normals (3, side, side) of a ball that fills a square, and where it is not near its rim."""
    steps = (torch.arange(side) + 0.5) / side * 2 - 1
    x, y = steps[None].expand(side, side), -steps[:, None].expand(side, side)
    square = x**2 + y**2
    return torch.stack([x, y, (1 - square).clamp(min=0).sqrt()]), square < 0.9


def _lines(text: str) -> Any:
    """The entries of a plain text: a direction a line, with the name of a file before it or without."""
    rows = [line.replace(",", " ").split() for line in text.splitlines() if line.strip() and line.strip()[0] != "#"]
    named = {len(row) for row in rows} == {4}
    if not named and {len(row) for row in rows} != {3}:
        raise ValueError("it has lines that are not x y z, or NAME x y z")
    if named and len({row[0] for row in rows}) < len(rows):
        raise ValueError("a name stands twice in it")
    return {row[0]: row[1:] for row in rows} if named else rows


def _ordered(entries: Any, photographs: Sequence[str]) -> list[list[float]]:
    """The directions in the order of the photographs; ValueError."""
    if isinstance(entries, Mapping):
        paths = [(Path(str(name)), value) for name, value in entries.items()]
        stems = {path.name: value for path, value in paths}
        counts = Counter(path.stem for path, _ in paths)  # a stem of two files names neither
        stems |= {path.stem: value for path, value in paths if counts[path.stem] == 1}
        missing = [name for name in photographs if name not in stems and Path(name).stem not in stems]
        if missing:
            raise ValueError(f"it says nothing of {one_line(missing[0])}")
        return [_vector(stems[name] if name in stems else stems[Path(name).stem]) for name in photographs]
    if not isinstance(entries, list) or len(entries) != len(photographs):
        count = len(entries) if isinstance(entries, list) else "no"
        raise ValueError(f"it has {count} directions for {len(photographs)} photographs; one for each is needed")
    return [_vector(entry) for entry in entries]


def _vector(value: Any) -> list[float]:
    """Three finite numbers; ValueError."""
    try:
        numbers = [float(part) for part in value] if isinstance(value, list) else []
    except (TypeError, ValueError, OverflowError):
        numbers = []
    if len(numbers) != 3 or not all(math.isfinite(n) and abs(n) < 1e6 for n in numbers) or not any(numbers):
        raise ValueError(f"{shown(value)} is not a direction x, y, z")
    return numbers
