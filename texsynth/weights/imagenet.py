"""The 1000 classes of ImageNet (Russakovsky et al. 2015) by number and by name. Importing this loads no torch."""

from __future__ import annotations

import difflib
from functools import cache
from pathlib import Path

from texsynth.errors import UsageError

FILE = Path(__file__).parent / "imagenet_classes.txt"
SUGGESTED = 3  # names that a message suggests


@cache
def names() -> tuple[str, ...]:
    """The names of the classes, in their order."""
    return tuple(FILE.read_text("utf-8").splitlines())


def number(word: str, where: str = "--class") -> int:
    """The number of a class, from 0 to 999, that a number or a name stands for.

    Case and underscores matter only between two names that differ in nothing else. Raises UsageError, which gives the
    nearest names and `where`, the flag or setting that the word came with.
    """
    if word in names():
        return names().index(word)
    if word.isdecimal():
        if int(word) < len(names()):
            return int(word)
        raise UsageError(f"{where} {word}: classes are numbered from 0 to {len(names()) - 1}")
    same = [n for n, name in enumerate(names()) if name.lower() == _plain(word)]
    if len(same) == 1:
        return same[0]
    near = [f"{names()[n]} ({n})" for n in same or _nearest(_plain(word))]
    hint = f"did you mean {', '.join(near)}?" if near else "give one of its names, such as goldfish, or 0 to 999"
    count = "two classes are" if same else "no class of ImageNet is"
    raise UsageError(f"{where} {word!r}: {count} called that; {hint}")


def _plain(word: str) -> str:
    return " ".join(word.replace("_", " ").lower().split())


def _nearest(word: str) -> list[int]:
    """The numbers of the names that have this word among theirs, else of those spelt most like it."""
    lower = [name.lower() for name in names()]
    having = [n for n, name in enumerate(lower) if word in name.split()]
    return having[:SUGGESTED] or [lower.index(name) for name in difflib.get_close_matches(word, lower, SUGGESTED)]
