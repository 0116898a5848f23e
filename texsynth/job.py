"""A job: what a verb hands to `run`. Everything in it is read, checked and final."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from texsynth.image.load import Input as Input
from texsynth.image.picture import Picture
from texsynth.task import Task


@dataclass(frozen=True)
class Layer:
    """Pictures that the field copies, one aligned with each exemplar, alike in channels and depth.

    role: "colour", "data", "normal" or "labels"; it decides how values turn with their copy and how they are resized.
    """

    pictures: tuple[Picture, ...]
    role: str = "colour"


@dataclass(frozen=True)
class Job:
    """A checked task, the layers its result copies at full depth, and what the record says about both.

    values: The resolved flags, plain and JSON-able.
    notices: What the user should know, one line each.
    match_tone: May what is copied into a hole take the tone of its place?
    """

    verb: str
    task: Task
    image: Layer
    maps: Mapping[str, Layer] = field(default_factory=dict)
    inputs: tuple[Input, ...] = ()
    values: Mapping[str, Any] = field(default_factory=dict)
    notices: tuple[str, ...] = ()
    match_tone: bool = False
