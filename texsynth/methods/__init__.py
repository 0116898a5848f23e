"""Synthesis methods: each is a file here, or `method.py` in the folder of a trained network; presets use its name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from texsynth.registry import METHODS
from texsynth.task import Method, Stage, Task

STAGE_BEFORE = "the stage before"  # in place of an option, where a method makes nothing of its picture
names = METHODS.names  # the keys of all methods


def method(name: str) -> Method:
    """The method module of that key, or of the key that an earlier version had for it; raises KeyError."""
    return cast(Method, METHODS.module(name))


def unused_by(stage: Stage, task: Task) -> frozenset[str]:
    """The names of the options of which a stage makes nothing in a task, though it does the task. A method says so by
    a function `unused(task, settings)`; one without it makes something of all."""
    says: Callable[[Task, Any], frozenset[str]] | None = getattr(method(stage.method), "unused", None)
    return frozenset() if says is None else says(task, stage.settings)
