"""How a function becomes a verb: the shared options are added to its own."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any, get_type_hints

from texsynth.cli.options import Common


def takes_common(verb: Callable[..., int]) -> Callable[..., int]:
    """Give a verb, whose last parameter is `common: Common`, every field of Common as an option."""
    return takes(*(f.name for f in fields(Common)))(verb)


def takes(*names: str) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """Give a verb, whose last parameter is `common: Common`, some fields of Common as options; the others are left at
    their defaults.

    Typer reads the signature, so the shared options are written once, as the fields of a dataclass.
    """
    return functools.partial(_with, names)


def _with(names: Sequence[str], verb: Callable[..., int]) -> Callable[..., int]:
    hints = get_type_hints(Common, include_extras=True)
    defaults = {f.name: f.default for f in fields(Common)}
    keyword = inspect.Parameter.KEYWORD_ONLY
    shared = [inspect.Parameter(n, keyword, default=defaults[n], annotation=hints[n]) for n in names]
    own_hints = get_type_hints(verb, include_extras=True)
    parameters = [p for p in inspect.signature(verb).parameters.values() if p.name != "common"]
    own = [p.replace(annotation=own_hints[p.name]) for p in parameters]

    @functools.wraps(verb)
    def command(**values: Any) -> int:
        mine = {p.name: values.pop(p.name) for p in own}
        return verb(**mine, common=Common(**values))

    command.__signature__ = inspect.Signature([*own, *shared])  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in (*own, *shared)}
    return command
