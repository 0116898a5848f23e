"""Pieces are laid on the processor, wherever the passes run: each wave of them continues what the wave before has left,
and a cut finds its way row by row. On a GPU that would be launches and waits without end for little work."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar, cast

from torch import Tensor

Kind = TypeVar("Kind")


def at_hand(value: Kind) -> Kind:
    """A tensor on the processor, or a frozen dataclass whose tensors are there, also those of dataclasses in it;
    anything else, such as a tuple of tensors, as it is."""
    if isinstance(value, Tensor):
        return cast(Kind, value.cpu())
    if is_dataclass(value) and not isinstance(value, type):
        parts: dict[str, Any] = {part.name: at_hand(getattr(value, part.name)) for part in fields(value)}
        return cast(Kind, replace(value, **parts))
    return value
