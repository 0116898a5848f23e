"""Pictures: reading and writing them, bringing them to one size and one kind, correcting their light and tone.

The public names of `texsynth.image.picture` are available here, too. That module, and torch with it, is loaded when one
of them is used.
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from texsynth.image.picture import Picture as Picture
    from texsynth.image.picture import from_array as from_array
    from texsynth.image.picture import read as read
    from texsynth.image.picture import to_array as to_array
    from texsynth.image.picture import write as write


def __getattr__(name: str) -> Any:
    if name.startswith("_"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if importlib.util.find_spec(f"{__name__}.{name}") is not None:  # a module of its own, which may be what is loading
        return importlib.import_module(f"{__name__}.{name}")
    return getattr(importlib.import_module("texsynth.image.picture"), name)
