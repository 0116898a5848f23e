"""The frozen types that every part of texsynth shares. Nothing here computes more than a resize.

Conventions, everywhere: images are float32 tensors (1, 3, H, W), sRGB, in [0, 1]; sizes are (height, width);
masks are bool (1, 1, H, W); coordinates are (y, x) with y down and x right.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

if TYPE_CHECKING:
    from texsynth.field.atlas import Field
    from texsynth.weights.pretrained import Weights
    from texsynth.weights.trained import Model

ROLES = ("colour", "data", "normal", "labels")


@dataclass(frozen=True)
class Exemplar:
    """One source of texture: what the solver matches.

    image: (1, 3, H, W) in [0, 1]. valid: (1, 1, H, W) bool, False where nothing may be copied from, or None.
    """

    name: str
    image: Tensor
    valid: Tensor | None = None

    @property
    def size(self) -> tuple[int, int]:
        return self.image.shape[2], self.image.shape[3]


@dataclass(frozen=True)
class Guide:
    """A map that steers what goes where: pixels of the output take from source pixels of a like value.

    sources: (1, C, H, W) for each exemplar, target: (1, C, h, w) of the output's size. distance: "l2" (values in
    [0, 1]), "l0" (ids, 0 where equal and 1 elsewhere) or "direction" (unit vectors (x, y) whose sign does not matter).
    strength: (1, 1, h, w) in [0, 1], the share of the weight that counts at each output pixel; None for all of it.
    palette: the colours (K, 3) in [0, 1] of the ids, for "l0".
    """

    name: str
    sources: tuple[Tensor, ...]
    target: Tensor
    weight: float = 1.0
    distance: str = "l2"
    strength: Tensor | None = None
    palette: Tensor | None = None


@dataclass(frozen=True)
class Task:
    """What to make: checked inputs, at full size or (`at`) at one level. No user error is possible after it.

    size: output (height, width). tile: does the output wrap in (y, x)? init: (1, 3, h, w) start image or
    None. max_memory: bytes that the run may take. weights: of each pretrained network that the preset needs, by name.
    model: the trained network of `--model`, for methods that use one.
    hole: (1, 1, h, w) bool, the pixels to make; all others are those of the first exemplar, which has the output's
    size. None: all are made. start: (1, 2, h, w), the (y, x) in pixels of the first exemplar that each output pixel
    starts from, NaN where that is left to the method. blend: (1, K, h, w), the share of each of the K exemplars at
    every pixel, adding up to 1, for methods that mix exemplars; None: they are one source.
    """

    exemplars: tuple[Exemplar, ...]
    size: tuple[int, int]
    tile: tuple[bool, bool] = (False, False)
    init: Tensor | None = None
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    max_memory: int = 6 << 30
    guides: tuple[Guide, ...] = ()
    weights: Mapping[str, Weights] = field(default_factory=dict)
    model: Model | None = None
    hole: Tensor | None = None
    start: Tensor | None = None
    blend: Tensor | None = None
    level: float = 0  # halvings below full size

    def at(self, level: float, nearest: bool = False) -> Task:
        """The same task `level` halvings down; every size is rounded up, so each fine pixel has a parent.

        nearest: drop pixels in place of averaging them, as the released code of some papers does.
        """
        if level == 0:
            return self
        return replace(
            self,
            level=self.level + level,
            exemplars=tuple(_shrink(e, level, nearest) for e in self.exemplars),
            size=(halved(self.size[0], level), halved(self.size[1], level)),
            init=None if self.init is None else shrink(self.init, level),
            guides=tuple(_shrink_guide(g, level) for g in self.guides),
            hole=None if self.hole is None else _shrink_hole(self.hole, level),
            start=None if self.start is None else _shrink_start(self.start, level),
            blend=None if self.blend is None else shrink(self.blend, level),
        )


@dataclass(frozen=True)
class Canvas:
    """The picture so far.

    image: (1, 3, h, w). field: where each pixel was copied from, for methods that keep one. memory: what a
    method hands on to its own next level, opaque to everyone else. shown: what a method found out on the way and can
    show, pictures (1, 3, H, W) in [0, 1] by a name that can be a file's.
    """

    image: Tensor
    field: Field | None = None
    memory: Any = None
    shown: Mapping[str, Tensor] = dataclasses.field(default_factory=dict)


@dataclass(frozen=True)
class Level:
    """One entry of a schedule: how many halvings below full size, and how many steps there.

    nearest: sources and start are reduced by dropping pixels in place of averaging them.
    """

    scale: float
    steps: int
    nearest: bool = False


Step = Callable[[Canvas], "tuple[Canvas, float]"]


@dataclass(frozen=True)
class Event:
    """What the loop tells an observer after every step. Observers only read."""

    stage: str
    level: float
    levels: int
    step: int
    steps: int
    loss: float
    done: float  # share of the estimated work in [0, 1]
    canvas: Canvas


Report = Callable[[Event], None]


class Method(Protocol):
    """A file in methods/: these names are all that the loop and the presets use.

    Settings: a frozen dataclass whose defaults are the method's defaults (help and limits in field metadata).
    COPIES: does it keep a field, so that maps can follow? RECIPES: those whose models it uses, () for a method without.
    schedule: the levels, coarse to fine. begin: bring the incoming canvas (None at the very start, otherwise
    the coarser level's or the previous stage's) to this level, and return it with the step that improves it;
    what it finds out on the way it says. needs: the layers that it looks at, by the name of the features,
    with that model (None: whatever it may need, of which the layers are not known yet). refuses: why
    it cannot do this task, as the end of a sentence that begins with its name, or None. estimate: peak bytes, and
    seconds on two cores.
    """

    Settings: type
    COPIES: bool
    RECIPES: tuple[str, ...]

    def schedule(self, task: Task, settings: Any) -> list[Level]: ...

    def begin(
        self, task: Task, canvas: Canvas | None, level: Level, settings: Any, rng: torch.Generator, say: Say
    ) -> tuple[Canvas, Step]: ...

    def needs(self, settings: Any, model: Model | None) -> Mapping[str, tuple[str, ...]]: ...

    def refuses(self, task: Task, settings: Any) -> str | None: ...

    def estimate(self, task: Task, settings: Any) -> Estimate: ...


Say = Callable[[str], None]


@dataclass(frozen=True)
class Estimate:
    """Predicted cost of a run: peak resident bytes of the whole process, and seconds on two CPU cores."""

    memory: int
    seconds: float


@dataclass(frozen=True)
class Stage:
    """One entry of a preset: a method by file name, and its settings."""

    method: str
    settings: Any


@dataclass(frozen=True)
class Preset:
    """A frozen, validated preset: one or more stages run in order."""

    name: str
    description: str
    stages: tuple[Stage, ...]
    values: Mapping[str, Any] = field(default_factory=dict)  # the plain YAML-able form, for the run record


def octaves(task: Task, coarsest: int, finest: int) -> tuple[int, int]:
    """The halvings at which the smallest exemplar's shorter side is about `finest` (0: full) and `coarsest` pixels."""
    side = min(min(exemplar.size) for exemplar in task.exemplars)
    bottom = max(0, round(math.log2(side / finest))) if finest else 0
    return bottom, max(bottom, round(math.log2(side / coarsest)))


def halved(size: int, level: float) -> int:
    """A length `level` halvings down, rounded up."""
    return math.ceil(size / 2**level - 1e-6)


def shrink(image: Tensor, level: float, nearest: bool = False) -> Tensor:
    """Reduction (1, C, H, W) -> (1, C, ceil(H / 2^level), ceil(W / 2^level)), by boxes for whole levels.

    Border cells average what they hold, so no row is dropped and parents line up with children exactly.
    """
    size = halved(image.shape[2], level), halved(image.shape[3], level)
    if nearest:
        return F.interpolate(image, size, mode="nearest")
    if level != int(level):
        return F.interpolate(image, size, mode="bilinear", antialias=True)
    cell = 1 << int(level)
    return F.avg_pool2d(image, cell, stride=cell, ceil_mode=True, count_include_pad=False)


def _shrink(exemplar: Exemplar, level: float, nearest: bool) -> Exemplar:
    valid = exemplar.valid
    if valid is not None:  # a coarse pixel may be used where most of it may
        share = shrink(valid.float(), level)
        valid = (share > 0) & (share >= min(0.5, float(share.max())))
    return replace(exemplar, image=shrink(exemplar.image, level, nearest), valid=valid)


def _shrink_hole(hole: Tensor, level: float) -> Tensor:
    """Every cell that the hole touches, so that what is known stays clean; where that would leave less than half of
    what is known (scattered specks), every cell that is mostly hole."""
    share = shrink(hole.float(), level)
    touched = share > 0
    return touched if float((~touched).float().mean()) > 0.5 * float((1 - share).mean()) else share >= 0.5


def _shrink_start(start: Tensor, level: float) -> Tensor:
    """The pointer of the pixel in the middle of each cell."""
    h, w = start.shape[2:]
    rows, columns = (
        ((torch.arange(halved(n, level), device=start.device) + 0.5) * 2**level).long().clamp(max=n - 1) for n in (h, w)
    )
    return start[:, :, rows][:, :, :, columns] / 2**level


def _shrink_guide(guide: Guide, level: float) -> Guide:
    """Labels by nearest, values by their mean, directions by the mean of their outer products (signs would cancel)."""

    def reduced(values: Tensor) -> Tensor:
        if guide.distance == "direction":
            return axis(shrink(tensor_of(values), level))
        return shrink(values, level, nearest=guide.distance == "l0")

    strength = None if guide.strength is None else shrink(guide.strength, level)
    sources = tuple(reduced(s) for s in guide.sources)
    return replace(guide, sources=sources, target=reduced(guide.target), strength=strength)


def tensor_of(direction: Tensor) -> Tensor:
    """Vectors (1, 2, h, w) as (x, y) -> the entries xx, yy, xy of their outer products, (1, 3, h, w)."""
    x, y = direction[:, :1], direction[:, 1:]
    return torch.cat([x * x, y * y, x * y], 1)


def axis(tensor: Tensor) -> Tensor:
    """The leading eigenvector of symmetric 2 x 2 matrices given as xx, yy, xy: (1, 3, h, w) -> (1, 2, h, w)."""
    angle = torch.atan2(2 * tensor[:, 2:], tensor[:, :1] - tensor[:, 1:2]) / 2
    return torch.cat([angle.cos(), angle.sin()], 1)
