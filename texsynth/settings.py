"""Settings of a method: plain values checked against its dataclass, whose fields carry help and limits."""

from __future__ import annotations

import copy
import difflib
import inspect
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import Field, dataclass, field, fields
from functools import cache
from typing import Any, get_args, get_origin, get_type_hints

from texsynth.errors import UsageError, one_line, shown
from texsynth.foreign import yaml_text
from texsynth.registry import METHODS

LONGEST_WORD = 100  # characters that are compared with known words
LONGEST_LIST = 1000  # items of a list that is one text


def setting(
    default: Any,
    help: str = "",  # noqa: A002
    *,
    low: float | None = None,
    high: float | None = None,
    choices: Sequence[Any] | None = None,
    was: str = "",
) -> Any:
    """A field of a Settings dataclass: its default, and what it may be. What it means stands in the class's docstring.

    Help texts, `--set`, the checks of presets and the reference pages all come from these two.

    help: what it means, where that is no plain text.
    low, high: limits of the value, or of each item of a list.
    choices: the only values that are allowed.
    was: the key of an earlier version, which presets, models and checkpoints may still use.
    """
    return field(default=default, metadata={"help": help, "min": low, "max": high, "choices": choices, "was": was})


def meanings(kind: type) -> Mapping[str, str]:
    """What the docstring of a dataclass, and those of its bases, say of each field: lines "name: A sentence."."""
    texts: dict[str, str] = {}
    for owner in reversed(kind.__mro__):
        texts |= _said_of_fields(owner)[1]
    return texts


def summary(kind: type) -> str:
    """The docstring of a dataclass without what it says of fields."""
    return _said_of_fields(kind)[0]


@cache
def _said_of_fields(owner: Any) -> tuple[str, Mapping[str, str]]:
    """The docstring of one class: what comes before its fields, and the text of each of these."""
    before: list[str] = []
    texts: dict[str, str] = {}
    for line in inspect.cleandoc(vars(owner).get("__doc__") or "").splitlines():
        match = re.match(r"(\w+): (.*)", line)
        if match and match[1] in vars(owner).get("__annotations__", {}):
            texts[match[1]] = match[2]
        elif texts and line.startswith("    "):
            texts[next(reversed(texts))] += f" {line.strip()}"
        elif not texts:
            before.append(line)
    return "\n".join(before).strip(), texts


def make(kind: type, values: Mapping[str, Any], where: str) -> Any:
    """An instance of a Settings dataclass from plain values; raises UsageError naming what is allowed."""
    declared = {f.name: f for f in fields(kind)}
    hints = get_type_hints(kind)
    former = _former(kind)
    values = {former.get(key, key): value for key, value in values.items()}
    for key in values:
        if key not in declared:
            raise UsageError(f"{where}: unknown setting {shown(key)}{suggestion(key, list(declared))}")
    return kind(**{key: check(declared[key], hints[key], value, where) for key, value in values.items()})


def plain(made: Any) -> dict[str, Any]:
    """A Settings instance as plain values, from which `make` builds it again."""
    return {f.name: _plain(getattr(made, f.name)) for f in fields(made)}


def parse(texts: Sequence[str]) -> dict[str, Any]:
    """The words of `--set`, each key=value with a YAML scalar or list as its value; raises UsageError."""
    values = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise UsageError(f"--set {shown(text)} is not key=value")
        try:
            values[name.strip()] = yaml_text.load(value)
        except ValueError as error:
            why = f"the value is no number, word or list such as [1, 2] ({error})"
            raise UsageError(f"--set {shown(text)}: {why}") from None
    return values


def texts(values: Mapping[str, Any]) -> list[list[str]]:
    """What `parse` reads."""
    return [[f"{key}={yaml_text.text(value)}"] for key, value in values.items()]


def assign(
    stages: Sequence[Mapping[str, Any]], kinds: Mapping[str, type], values: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Put each value into the stages, and the objectives in them, that have its key. "word.key" means those of one
    method, or of one loss or features."""
    out = copy.deepcopy([dict(stage) for stage in stages])
    places = [place for stage in out for place in _places(stage, kinds[stage["method"]])]
    for name, value in values.items():
        word, dot, key = name.rpartition(".")
        named = [place for place in places if not dot or word in place.words]
        if not named:
            words = sorted({w for place in places for w in place.words})
            raise UsageError(f"--set {_cut(name)}: the preset has no {shown(word)}{suggestion(word, words)}")
        having = [place for place in named if place.former.get(key, key) in place.keys]
        if not having:
            keys = sorted({k for place in named for k in place.keys})
            raise UsageError(f"--set {_cut(name)}: unknown setting {shown(key)}{suggestion(key, keys)}")
        for place in having:
            place.values[place.former.get(key, key)] = value
    return out


def _cut(name: str) -> str:
    return one_line(name, LONGEST_WORD)


@dataclass(frozen=True)
class _Place:
    """A mapping that `--set` may write to: the words that name it, the keys that it knows, and former names of keys."""

    words: set[str]
    keys: Sequence[str]
    values: dict[str, Any]
    former: Mapping[str, str] = field(default_factory=dict)


def _places(stage: dict[str, Any], kind: type) -> Iterator[_Place]:
    """A stage, and the nested mappings in it; nested defaults are written out so that they can be changed."""
    words = {stage["method"], *(old for old, new in METHODS.aliases.items() if new == stage["method"])}
    yield _Place(words, [f.name for f in fields(kind)], stage, _former(kind))
    hints = get_type_hints(kind)
    for f in fields(kind):
        nested = _nested(hints[f.name])
        if nested is None:
            continue
        if f.name not in stage:
            stage[f.name] = list(_plain(f.default))
        if isinstance(stage[f.name], list):
            for item in stage[f.name]:
                if isinstance(item, dict):
                    yield _Place({*words, *nested.labels(item)}, nested.keys(item), item)


def check(f: Field[Any], hint: Any, value: Any, where: str) -> Any:
    """One value as its field's type, inside its limits; raises UsageError."""
    if nested := _nested(hint):
        if not isinstance(value, (list, tuple)) or not value:
            raise UsageError(f"{where}: {f.name} is a list of mappings, and at least one is needed")
        return tuple(nested.read(item, where) for item in value)
    try:
        typed = _typed(hint, value, f.metadata.get("choices"))
        if all(_allowed(f.metadata, item) for item in (typed if isinstance(typed, tuple) else (typed,))):
            return typed
    except (TypeError, ValueError, OverflowError):
        pass
    raise UsageError(f"{where}: {f.name} = {shown(value)}, but it is {describe(f, hint)}")


def describe(f: Field[Any], hint: Any) -> str:
    """What a setting may be, in words: "a whole number from 3 to 31"."""
    if _nested(hint):
        return "a list of mappings"
    words = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}
    listed = get_origin(hint) is tuple
    text = words[get_args(hint)[0] if listed else hint]
    choices, low, high = (f.metadata.get(key) for key in ("choices", "min", "max"))
    if choices:
        text = f"one of {', '.join(map(str, choices))}"
    if low is not None and high is not None:
        text += f" from {low} to {high}"
    elif low is not None or high is not None:
        text += f" of at least {low}" if low is not None else f" of at most {high}"
    return f"a list, each {text}" if listed else text


def show(instance: Any) -> Iterator[dict[str, Any]]:
    """Every setting of an instance: name, value, default, what is allowed, help; plain values all of them. Where the
    value is a list of mappings, "items" holds the rows of each."""
    hints, texts = get_type_hints(type(instance)), meanings(type(instance))
    for f in fields(instance):
        value = getattr(instance, f.name)
        row = {"name": f.name, "value": _plain(value), "default": _plain(f.default)}
        row |= {"allowed": describe(f, hints[f.name]), "help": f.metadata.get("help") or texts.get(f.name, "")}
        yield row | {"items": [list(item.show()) for item in value]} if _nested(hints[f.name]) else row


def suggestion(word: object, known: Sequence[str]) -> str:
    """ "; did you mean X?", or the list of what is known; `word` may be anything that a file has in a word's place."""
    if not known:
        return "; there are none"
    close = difflib.get_close_matches(str(word)[:LONGEST_WORD], known, n=1)
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
    """A list from YAML, from "1,2,3", or from a single value; raises ValueError."""
    if isinstance(value, str):
        items = value.split(",", LONGEST_LIST)
        if len(items) > LONGEST_LIST:
            raise ValueError
        return [yaml_text.load(item) for item in items]
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _allowed(limits: Mapping[str, Any], value: Any) -> bool:
    if isinstance(value, float) and not math.isfinite(value):
        return False
    if isinstance(value, int) and abs(value) >= 1 << 63:  # which no tensor holds
        return False
    if limits.get("choices") and value not in limits["choices"]:
        return False
    low, high = limits.get("min"), limits.get("max")
    return (low is None or value >= low) and (high is None or value <= high)


def _nested(hint: Any) -> Any:
    """The type of a list's items where these are mappings of their own: it can `read` them."""
    item = get_args(hint)[0] if get_origin(hint) is tuple else None
    return item if hasattr(item, "read") else None


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(_plain(item) for item in value)
    return value.plain() if hasattr(value, "plain") else value


def _former(kind: type) -> dict[str, str]:
    """The present key of a setting, by the key of an earlier version."""
    return {f.metadata["was"]: f.name for f in fields(kind) if f.metadata.get("was")}
