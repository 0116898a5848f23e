"""The frozen types that every part of texsynth shares.

Conventions, everywhere: images are float32 tensors (1, 3, H, W), sRGB, in [0, 1]; sizes are (height, width);
masks are bool (1, 1, H, W); coordinates are (y, x) with y down and x right.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from texsynth import pyramid

if TYPE_CHECKING:
    from texsynth.weights.pretrained import Weights
    from texsynth.weights.trained import Model


@dataclass(frozen=True)
class Exemplar:
    """One source of texture: its name in messages, its image (1, 3, H, W) in [0, 1], and its usable pixels.

    valid: (1, 1, H, W) bool, False where nothing may be copied from; None where everything may.
    further: (1, K, H, W), what methods that copy compare beside the colours, weighed against these and 0 on average;
        None for nothing.
    vectors: of how many pairs of its first channels each is a vector (x, y), y down, which turns with its copy.
    """

    name: str
    image: Tensor
    valid: Tensor | None = None
    further: Tensor | None = None
    vectors: int = 0

    @property
    def size(self) -> tuple[int, int]:
        """(height, width)."""
        return self.image.shape[2], self.image.shape[3]

    def at(self, level: float, nearest: bool = False) -> Exemplar:
        """The exemplar `level` halvings down; `nearest` drops pixels where averages are usual."""
        valid = None if self.valid is None else pyramid.shrink_valid(self.valid, level)
        further = None if self.further is None else pyramid.shrink(self.further, level, nearest)
        return replace(self, image=pyramid.shrink(self.image, level, nearest), valid=valid, further=further)


@dataclass(frozen=True)
class Guide:
    """A map that steers the synthesis: pixels of the output come from source pixels of a similar value.

    name: its key in messages and records.
    sources: a map (1, C, H, W) for each exemplar.
    target: (1, C, h, w) of the output's size.
    weight: its weight against the other terms of a method's energy.
    distance: "l2" (values in [0, 1]), "l0" (labels: 0 where equal and 1 elsewhere) or "direction" (unit vectors (x, y)
        whose sign does not matter).
    strength: (1, 1, h, w) in [0, 1], the share of the weight that counts at each output pixel; None for all of it.
    palette: (K, 3) in [0, 1], the colours of the labels, for "l0".
    asked_by: the names of the options that hold its maps; by default the one of its own name, and for labels
        "label_map" too.
    """

    name: str
    sources: tuple[Tensor, ...]
    target: Tensor
    weight: float = 1.0
    distance: str = "l2"
    strength: Tensor | None = None
    palette: Tensor | None = None
    asked_by: frozenset[str] = frozenset()

    @property
    def requested(self) -> frozenset[str]:
        """The names of the options that ask for it."""
        return self.asked_by or frozenset({self.name, "label_map"} if self.name == "labels" else {self.name})

    @property
    def options(self) -> frozenset[str]:
        """The names of the options that ask for it and weigh it."""
        return self.requested | {f"{self.name}_weight"}

    def at(self, level: float) -> Guide:
        """The guide `level` halvings down."""
        return replace(
            self,
            sources=tuple(pyramid.shrink_guide(source, level, self.distance) for source in self.sources),
            target=pyramid.shrink_guide(self.target, level, self.distance),
            strength=None if self.strength is None else pyramid.shrink(self.strength, level),
        )


@dataclass(frozen=True)
class Period:
    """After which (height, width) a regular texture comes back, so that tiles of this size are in step.

    shift: (1, 2, h, w), how much further (down, along) in such a plane each output pixel lies; None where the output is
    the plane.
    """

    size: tuple[float, float]
    shift: Tensor | None = None

    def at(self, level: float) -> Period:
        """The same `level` halvings down."""
        size = self.size[0] / 2**level, self.size[1] / 2**level
        return Period(size, None if self.shift is None else pyramid.shrink_pointers(self.shift, level))


@dataclass(frozen=True)
class Task:
    """What to synthesise: checked inputs, at full size or (by `at`) at one level. No user error is possible after it.

    exemplars: the sources of texture.
    size: (height, width) of the output.
    tile: whether the output wraps in (y, x).
    init: (1, 3, h, w), the picture that the synthesis starts from, or None.
    device: where the work is done.
    max_memory: the bytes that the run may take.
    guides: the maps that steer the synthesis.
    weights: the weights of each pretrained network that the preset needs, by its name.
    model: the trained network of `--model`, for methods that use one.
    hole: (1, 1, h, w) bool, the pixels to synthesise; all others are those of the first exemplar, which then has the
        output's size. None: all are synthesised.
    core: (1, 1, h, w) bool, the pixels of the hole that are made anew in any case. The others may stay as the first
        exemplar has them, so that the border of what is made can be a cut. None: all of the hole is made anew.
    start: (1, 2, h, w), the (y, x) in pixels of the first exemplar that each output pixel starts from, NaN where the
        method is free to choose.
    blend: (1, K, h, w), the share of each of the K exemplars at every pixel, with the sum 1, for methods that mix
        exemplars. None: the exemplars are one source.
    period: that of the lattice of a regular exemplar, which is the second one where there is a hole; None for its own.
    level: the halvings below full size.
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
    core: Tensor | None = None
    start: Tensor | None = None
    blend: Tensor | None = None
    period: Period | None = None
    level: float = 0

    @property
    def shorter_side(self) -> int:
        """The shorter side of the smallest exemplar, in pixels."""
        return min(min(exemplar.size) for exemplar in self.exemplars)

    def at(self, level: float, nearest: bool = False) -> Task:
        """The same task `level` halvings further down.

        nearest: exemplars drop pixels where averages are usual, as the released code of some papers does.
        """
        if level == 0:
            return self
        return replace(
            self,
            level=self.level + level,
            exemplars=tuple(exemplar.at(level, nearest) for exemplar in self.exemplars),
            size=(pyramid.halved(self.size[0], level), pyramid.halved(self.size[1], level)),
            init=None if self.init is None else pyramid.shrink(self.init, level),
            guides=tuple(guide.at(level) for guide in self.guides),
            hole=None if self.hole is None else pyramid.shrink_hole(self.hole, level),
            core=None if self.core is None else pyramid.shrink_hole(self.core, level),
            start=None if self.start is None else pyramid.shrink_pointers(self.start, level),
            blend=None if self.blend is None else pyramid.shrink(self.blend, level),
            period=None if self.period is None else self.period.at(level),
        )


class CorrespondenceField(Protocol):
    """What everyone may ask of a field: where each pixel was copied from. `texsynth.field.atlas.Field` is the class."""

    @property
    def index(self) -> Tensor: ...

    def image(self) -> Tensor: ...


@dataclass(frozen=True)
class Canvas:
    """The picture so far.

    image: (1, 3, h, w).
    field: where each pixel was copied from, for methods that keep a field.
    memory: what a method hands on to its next level; other code does not look into it.
    shown: further pictures (1, 3, H, W) in [0, 1], by names that can be those of files.
    """

    image: Tensor
    field: CorrespondenceField | None = None
    memory: Any = None
    shown: Mapping[str, Tensor] = dataclasses.field(default_factory=dict)


@dataclass(frozen=True)
class Level:
    """One entry of a method's schedule: `scale` halvings below full size, and the steps there.

    nearest: exemplars and the start are reduced by dropping pixels where averages are usual.
    """

    scale: float
    steps: int
    nearest: bool = False


Step = Callable[[Canvas], "tuple[Canvas, float]"]


@dataclass(frozen=True)
class Event:
    """What the loop tells an observer after every step. Observers only read.

    stage: the name of the stage's method.
    level: the halvings below full size.
    levels: the number of levels of the whole run.
    step, steps: the number of this step in its level, from 1, and how many the level has.
    done: the share of the run's estimated work that is done, in [0, 1]. Its end, such as evening out the tone, is not.
    left: the seconds that the run still takes, about.
    """

    stage: str
    level: float
    levels: int
    step: int
    steps: int
    loss: float
    done: float
    canvas: Canvas
    left: float = 0.0


Report = Callable[[Event], None]


class Stored(Protocol):
    """Tensors that an earlier process stored, by name. `tensor` raises InputError where one is missing, of another type
    or shape (None for any length), not finite, or outside [low, high]; `damaged` is that error."""

    @property
    def names(self) -> frozenset[str]: ...

    def tensor(
        self,
        name: str,
        dtype: torch.dtype,
        shape: tuple[int | None, ...],
        low: float | None = None,
        high: float | None = None,
    ) -> Tensor: ...

    def damaged(self) -> Exception: ...


class Method(Protocol):
    """A synthesis method: the names of its file that the loop and the presets use.

    `seconds(task, settings)`, where a method has it, says what each of its levels takes, as a pair: to begin it, and
    for all of its steps. A method whose levels may take minutes also has `store(memory, inside)`, a mapping of names to
    tensors, and `restore(stored, task, settings, inside)`, which makes of these the memory of a canvas at that task's
    level again: at the end of the level, or `inside` it with all that its next step needs. `store` gives None where it
    cannot.

    Settings: a frozen dataclass; its defaults are the method's defaults, its metadata hold their help and limits.
    COPIES: whether the method keeps a field, so that other maps can be copied along.
    RECIPES: the recipes whose models it uses; () for a method without a model.
    """

    Settings: type
    COPIES: bool
    RECIPES: tuple[str, ...]

    def schedule(self, task: Task, settings: Any) -> list[Level]:
        """The levels, from coarse to fine."""

    def begin(
        self, task: Task, canvas: Canvas | None, level: Level, settings: Any, rng: torch.Generator, say: Say
    ) -> tuple[Canvas, Step]:
        """Bring the canvas to this level, and return it with the step that improves it.

        canvas: the coarser level's or the previous stage's; None at the very start. say: takes lines for the user.
        """

    def needs(self, settings: Any, model: Model | None) -> Mapping[str, tuple[str, ...]]:
        """The layers that the method looks at, by the name of their features.

        model: the model in use; None stands for all that any model may need.
        """

    def refuses(self, task: Task, settings: Any) -> str | None:
        """Why the method cannot do this task, as the end of a sentence that begins with its name, or None."""

    def estimate(self, task: Task, settings: Any) -> Estimate:
        """The cost of this method on this task, beside what every run takes: the process, its inputs and its files."""


Say = Callable[[str], None]


@dataclass(frozen=True)
class Estimate:
    """The predicted cost of a run: the bytes of memory of the whole process at its peak, and seconds on two CPU cores.
    Those of a method are the part of its own, beside what every run takes (runs/cost.py)."""

    memory: int
    seconds: float


@dataclass(frozen=True)
class Stage:
    """One entry of a preset: the name of a method, and its settings."""

    method: str
    settings: Any


@dataclass(frozen=True)
class Preset:
    """A validated preset, whose stages run in this order.

    values: its plain form, as YAML could hold it, for the record of a run.
    """

    name: str
    description: str
    stages: tuple[Stage, ...]
    values: Mapping[str, Any] = field(default_factory=dict)
