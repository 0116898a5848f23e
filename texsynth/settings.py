"""Settings of a method: plain values checked against its dataclass, whose fields carry help and limits."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import Field, fields
from typing import Any, get_args, get_origin, get_type_hints

import yaml

from texsynth.errors import UsageError


def make(kind: type, values: Mapping[str, Any], where: str) -> Any:
    """An instance of a Settings dataclass from plain values; raises UsageError naming what is allowed."""
    known = {f.name: f for f in fields(kind)}
    hints = get_type_hints(kind)
    for key in values:
        if key not in known:
            raise UsageError(f"{where}: unknown setting {key!r}{suggestion(key, list(known))}")
    return kind(**{key: check(known[key], hints[key], value, where) for key, value in values.items()})


def parse(texts: Sequence[str]) -> dict[str, Any]:
    """The words of `--set`, each key=value with a YAML scalar or list as its value; raises UsageError."""
    values = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise UsageError(f"--set {text!r} is not key=value")
        try:
            values[name.strip()] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise UsageError(f"--set {text!r}: the value is no number, word or list such as [1, 2]") from None
    return values


def assign(
    stages: Sequence[Mapping[str, Any]], kinds: Mapping[str, type], values: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Put each value into the stages that have its key; "method.key" means the stages of that method."""
    out = [dict(stage) for stage in stages]
    for name, value in values.items():
        method, dot, key = name.rpartition(".")
        if dot and method not in kinds:
            raise UsageError(f"--set {name}: no stage has the method {method!r}{suggestion(method, list(kinds))}")
        having = [s for s in out if (not dot or s["method"] == method) and key in _names(kinds[s["method"]])]
        if not having:
            known = sorted({n for m, kind in kinds.items() if not dot or m == method for n in _names(kind)})
            raise UsageError(f"--set {name}: unknown setting {key!r}{suggestion(key, known)}")
        for stage in having:
            stage[key] = value
    return out


def check(field: Field[Any], hint: Any, value: Any, where: str) -> Any:
    """One value as its field's type, inside its limits; raises UsageError."""
    try:
        typed = _typed(hint, value, field.metadata.get("choices"))
    except (TypeError, ValueError):
        raise UsageError(f"{where}: {field.name} = {_show(value)}, but it is {describe(field, hint)}") from None
    items = typed if isinstance(typed, tuple) else (typed,)
    if not all(_allowed(field.metadata, item) for item in items):
        raise UsageError(f"{where}: {field.name} = {_show(value)}, but it is {describe(field, hint)}")
    return typed


def describe(field: Field[Any], hint: Any) -> str:
    """What a setting may be, in words: "a whole number from 3 to 31"."""
    words = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}
    listed = get_origin(hint) is tuple
    text = words[get_args(hint)[0] if listed else hint]
    choices, low, high = (field.metadata.get(key) for key in ("choices", "min", "max"))
    if choices:
        text = f"one of {', '.join(map(str, choices))}"
    if low is not None and high is not None:
        text += f" from {low} to {high}"
    elif low is not None or high is not None:
        text += f" of at least {low}" if low is not None else f" of at most {high}"
    return f"a list, each {text}" if listed else text


def table(kind: type) -> Iterator[dict[str, Any]]:
    """Every setting of a method: name, default, what is allowed, help."""
    hints = get_type_hints(kind)
    for f in fields(kind):
        allowed = describe(f, hints[f.name])
        yield {"name": f.name, "default": f.default, "allowed": allowed, "help": f.metadata.get("help", "")}


def suggestion(word: str, known: Sequence[str]) -> str:
    """ "; did you mean X?", or the list of what is known."""
    close = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {close[0]}?" if close else f"; known are {', '.join(known)}"


def _typed(hint: Any, value: Any, choices: Sequence[Any] | None) -> Any:
    if get_origin(hint) is tuple:
        return tuple(_typed(get_args(hint)[0], item, choices) for item in _items(value))
    if hint is str and isinstance(value, bool) and {"on", "off"} & set(choices or ()):
        return "on" if value else "off"  # YAML 1.1 reads on/off/yes/no as booleans
    if hint is float and isinstance(value, str):
        return float(value)  # YAML 1.1 reads 1e-3 as text
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not hint:
        raise TypeError
    return value


def _items(value: Any) -> list[Any]:
    """A list from YAML, from "1,2,3", or from a single value."""
    if isinstance(value, str):
        return [yaml.safe_load(item) for item in value.split(",")]
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _allowed(limits: Mapping[str, Any], value: Any) -> bool:
    if isinstance(value, float) and not math.isfinite(value):
        return False
    if limits.get("choices") and value not in limits["choices"]:
        return False
    low, high = limits.get("min"), limits.get("max")
    return (low is None or value >= low) and (high is None or value <= high)


def _show(value: Any) -> str:
    return repr(value) if isinstance(value, str) else str(value)


def _names(kind: type) -> list[str]:
    return [f.name for f in fields(kind)]
