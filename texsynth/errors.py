"""The errors texsynth raises on purpose, each with the exit code of the command line.

A message is one line: what the user gave, what is allowed, the nearest fix.
"""

from __future__ import annotations

from typing import ClassVar


class TexsynthError(Exception):
    """Base of every error that is shown to the user as one line, without a traceback."""

    exit_code: ClassVar[int] = 1


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


class BatchError(TexsynthError):
    """At least one item of a batch failed; the others were written."""

    exit_code: ClassVar[int] = 6


def one_line(text: object) -> str:
    """`text` as one printable line: a space for every run of white space, "?" for all that cannot be printed."""
    return "".join(c if c.isprintable() else "?" for c in " ".join(str(text).split()))
