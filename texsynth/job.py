"""A job: what a verb hands to `run`. Everything in it is read, checked and final."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from texsynth.image.load import Input as Input
from texsynth.image.picture import Picture
from texsynth.task import Task

if TYPE_CHECKING:
    from texsynth.field.planes import Copying


@dataclass(frozen=True)
class Layer:
    """Pictures that the field copies, one aligned with each exemplar, alike in channels and depth.

    role: "colour", "data", "labels", "normal" (green up, as of OpenGL) or "normal_dx" (green down, as of DirectX); it
        decides how values turn with their copy and how they are resized. No value is converted on reading.
    scale: How many times as fine as its exemplar it is: a whole number, or 1 divided by one. The pictures of a finer
        layer are so many times as large; those of a coarser one repeat each value to have the exemplar's size.
    """

    pictures: tuple[Picture, ...]
    role: str = "colour"
    scale: Fraction = Fraction(1)

    def extent(self, size: tuple[int, int]) -> tuple[int, int]:
        """The size of the copy beside an output of `size` (height, width). A coarser layer has that of the output where
        this is no whole number of its values."""
        scale = self.scale if all(side % self.scale.denominator == 0 for side in size) else self.scale.numerator
        return int(size[0] * scale), int(size[1] * scale)

    @property
    def planes(self) -> int:
        """The floats that a pixel of the output takes while this layer is copied."""
        first = self.pictures[0]
        return (first.channels + (first.alpha is not None)) * self.scale.numerator**2


@dataclass(frozen=True)
class Reduced:
    """The same run at a reduced size, which is made first and then magnified to that of the job.

    task: What it synthesises; the one exemplar and the output are those of the job reduced `factor`-fold.
    factor: How many times as large the job is: a whole number of at least 2.
    field: Where each pixel of its output is copied from, where that is known already; None: it is solved.
    """

    task: Task
    factor: int
    field: Copying | None = None


@dataclass(frozen=True)
class Job:
    """A checked task, the layers its result copies at full depth, and what the record says about both.

    values: The resolved flags, plain and JSON-able.
    notices: What the user should know, one line each.
    remarks: What was understood, one line each, for those who ask.
    absent: The networks that a run would fetch first, where it is only planned.
    match_tone: May pieces that are copied take the tone of those around them?
    reduced: The run that this one is magnified from; None where it is solved at its own size.
    """

    verb: str
    task: Task
    image: Layer
    maps: Mapping[str, Layer] = field(default_factory=dict)
    inputs: tuple[Input, ...] = ()
    values: Mapping[str, Any] = field(default_factory=dict)
    notices: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    match_tone: bool = False
    reduced: Reduced | None = None
