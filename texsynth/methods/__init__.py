"""Synthesis methods: each is a file here, or `method.py` in the folder of a trained network; presets use its name."""

from __future__ import annotations

from typing import cast

from texsynth.registry import METHODS
from texsynth.task import Method

names = METHODS.names  # the keys of all methods


def method(name: str) -> Method:
    """The method module of that key, or of the key that an earlier version had for it; raises KeyError."""
    return cast(Method, METHODS.module(name))
