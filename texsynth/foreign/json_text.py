"""JSON of others: bounded in length, depth and digits, without names that stand twice; and JSON for others."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

LONGEST = 4 << 20  # characters
DEEPEST = 32  # lists and mappings in each other
MOST_DIGITS = 40  # of a whole number


def load(text: str) -> Any:
    """The value of a text, in which NaN and infinity are None; raises ValueError, with one line, for any other text."""
    if len(text) > LONGEST:
        raise ValueError(f"it has more than {LONGEST >> 20} MB")
    try:
        value = json.loads(
            text, object_pairs_hook=_mapping, parse_int=_whole, parse_float=_finite, parse_constant=lambda _: None
        )
    except RecursionError:
        raise ValueError("its lists and mappings are too deep") from None
    _check_depth(value)
    return value


def text(value: Any, indent: int | None = None) -> str:
    """The text of plain values, in which NaN and infinity, that JSON does not have, are null."""
    try:
        return json.dumps(value, indent=indent, allow_nan=False)
    except ValueError:
        return json.dumps(_without_nan(value), indent=indent)


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nan(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _mapping(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    out = dict(pairs)
    if len(out) < len(pairs):
        raise ValueError("a name stands twice in it")
    return out


def _whole(digits: str) -> int:
    if len(digits) > MOST_DIGITS:
        raise ValueError(f"it has a number of {len(digits)} digits")
    return int(digits)


def _finite(digits: str) -> float | None:
    value = float(digits)
    return value if math.isfinite(value) else None


def _check_depth(value: Any) -> None:
    """Raise ValueError where a value is too deep for what reads it later; without recursion itself."""
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > DEEPEST:
            raise ValueError("its lists and mappings are too deep")
        inner = (each.values() if isinstance(each, dict) else each for each in level if isinstance(each, (dict, list)))
        level = [item for items in inner for item in items if isinstance(item, (dict, list))]
