"""The frozen types that every part of texsynth shares. Nothing here computes more than a resize.

Conventions, everywhere: images are float32 tensors (1, 3, H, W), sRGB, in [0, 1]; sizes are (height, width);
masks are bool (1, 1, H, W); coordinates are (y, x) with y down and x right.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

if TYPE_CHECKING:
    from texsynth.sources import Field

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
class Task:
    """What to make: checked inputs, at full size or (`at`) at one level. No user error is possible after it.

    size: output (height, width). tile: does the output wrap in (y, x)? init: (1, 3, h, w) start image or
    None. max_memory: bytes that the run may take.
    """

    exemplars: tuple[Exemplar, ...]
    size: tuple[int, int]
    tile: tuple[bool, bool] = (False, False)
    init: Tensor | None = None
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    max_memory: int = 6 << 30
    level: int = 0  # halvings below full size

    def at(self, level: int) -> Task:
        """The same task `level` halvings down; every size is rounded up, so each fine pixel has a parent."""
        if level == 0:
            return self
        return replace(
            self,
            level=self.level + level,
            exemplars=tuple(_shrink(e, level) for e in self.exemplars),
            size=(halved(self.size[0], level), halved(self.size[1], level)),
            init=None if self.init is None else shrink(self.init, level),
        )


@dataclass(frozen=True)
class Canvas:
    """The picture so far.

    image: (1, 3, h, w). field: where each pixel was copied from, for methods that keep one. memory: what a
    method hands on to its own next level, opaque to everyone else.
    """

    image: Tensor
    field: Field | None = None
    memory: Any = None


@dataclass(frozen=True)
class Level:
    """One entry of a schedule: how many halvings below full size, and how many steps there."""

    scale: int
    steps: int


Step = Callable[[Canvas], "tuple[Canvas, float]"]


@dataclass(frozen=True)
class Event:
    """What the loop tells an observer after every step. Observers only read."""

    stage: str
    level: int
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
    schedule: the levels, coarse to fine. begin: bring the incoming canvas (None at the very start, otherwise
    the coarser level's or the previous stage's) to this level, and return it with the step that improves it;
    what it finds out on the way it says. estimate: peak bytes, and seconds on two cores.
    """

    Settings: type

    def schedule(self, task: Task, settings: Any) -> list[Level]: ...

    def begin(
        self, task: Task, canvas: Canvas | None, level: Level, settings: Any, rng: torch.Generator, say: Say
    ) -> tuple[Canvas, Step]: ...

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


def halved(size: int, level: int) -> int:
    """A length `level` halvings down, rounded up."""
    return -(-size // (1 << level))


def shrink(image: Tensor, level: int) -> Tensor:
    """Box-filtered reduction (1, C, H, W) -> (1, C, ceil(H / 2^level), ceil(W / 2^level)).

    Border cells average what they hold, so no row is dropped and parents line up with children exactly.
    """
    cell = 1 << level
    return F.avg_pool2d(image, cell, stride=cell, ceil_mode=True, count_include_pad=False)


def _shrink(exemplar: Exemplar, level: int) -> Exemplar:
    valid = exemplar.valid
    if valid is not None:  # a coarse pixel may be used where most of it may
        share = shrink(valid.float(), level)
        valid = share >= min(0.5, float(share.max()))
    return replace(exemplar, image=shrink(exemplar.image, level), valid=valid)
