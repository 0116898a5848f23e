"""Synthesis methods, one a file; the file's name is the key that presets use."""

from __future__ import annotations

import importlib
import pkgutil
from typing import cast

from texsynth.task import Method


def names() -> list[str]:
    """The registry is the directory listing."""
    return sorted(m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_"))


def method(name: str) -> Method:
    """The method module of that name (presets are validated against `names` before)."""
    return cast(Method, importlib.import_module(f"texsynth.methods.{name}"))
