"""The errors texsynth raises on purpose, each with the exit code of the command line.

A message is one line: what the user gave, what is allowed, the nearest fix. What it repeats of a file or an option is
escaped and cut short (`one_line`, `shown`), as others may have written it.
"""

from __future__ import annotations

import reprlib
from collections.abc import Iterable
from typing import ClassVar

LONGEST_MESSAGE = 2000  # characters; paths may be long
LONGEST_VALUE = 200  # characters that a message repeats of a value


class TexsynthError(Exception):
    """Base of every error that is shown to the user as one line, without a traceback."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: object) -> None:
        super().__init__(one_line(message))


class UsageError(TexsynthError):
    """An option or an output path that cannot be used."""

    exit_code: ClassVar[int] = 2


class InputError(TexsynthError):
    """An input picture that is missing, damaged or of a kind that is not supported."""

    exit_code: ClassVar[int] = 3


class ResourceError(TexsynthError):
    """Not enough memory, disk or device for the work asked for."""

    exit_code: ClassVar[int] = 4


class WeightsError(TexsynthError):
    """Network weights that are missing, damaged or of another shape."""

    exit_code: ClassVar[int] = 5


class ExtraError(TexsynthError):
    """A part of the installation that is missing, an extra."""

    exit_code: ClassVar[int] = 5


class NoRoomError(ResourceError, WeightsError):
    """Network weights that do not fit on the disk."""


class BatchError(TexsynthError):
    """At least one item of a batch failed; the others were written."""

    exit_code: ClassVar[int] = 6


def one_line(text: object, longest: int = LONGEST_MESSAGE) -> str:
    """`text` as one printable line: a space for every run of white space, "?" for all that cannot be printed, "..." for
    the middle of what is too long."""
    try:
        words = str(text).split()
    except ValueError:  # which Python raises for a number of thousands of digits
        words = [f"a {type(text).__name__} of too many digits"]
    line = printable(" ".join(words))
    half = longest // 2
    return line if len(line) <= longest else f"{line[:half]}...{line[-half:]}"


def listed(names: Iterable[object], most: int = 5) -> str:
    """A list of names that stays on a line."""
    words = [one_line(name) for name in names]
    return ", ".join(words[:most]) + (f" and {len(words) - most} more" if len(words) > most else "")


def printable(line: str) -> str:
    """A line with "?" for all that cannot be printed, such as escapes of a terminal."""
    return "".join(c if c.isprintable() else "?" for c in line)


def shown(value: object) -> str:
    """A value that others wrote as messages repeat it: text in quotes, everything cut short."""
    try:
        text = _short.repr(value)
    except ValueError:  # as in one_line
        return one_line(value, LONGEST_VALUE)
    return one_line(text, LONGEST_VALUE)


_short = reprlib.Repr()
_short.maxstring = _short.maxother = _short.maxlong = LONGEST_VALUE
_short.maxlist = _short.maxtuple = _short.maxdict = 20
