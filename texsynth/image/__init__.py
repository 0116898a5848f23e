"""Pictures: read, written, brought to one size and one kind, and evened out in light and tone.

The names of `texsynth.image.picture` can be used from here; it is loaded, and torch with it, when one of them is.
"""

from __future__ import annotations

import importlib
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
    return getattr(importlib.import_module("texsynth.image.picture"), name)
