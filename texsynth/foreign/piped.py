"""Standard input in the place of a picture's file."""

from __future__ import annotations

from pathlib import Path

from texsynth.foreign.held import Held

STANDARD = "-"  # how a command line names standard input and output
NAME = "stdin"  # how messages and records call it; no picture's file is called that, as it has no suffix


class Piped(Held):
    """A path that stands for what standard input held."""

    @classmethod
    def of(cls, content: bytes, name: str = STANDARD) -> Piped:
        path = cls(name)
        path.content = content
        return path

    @property
    def name(self) -> str:
        return NAME


def path_of(file: object) -> Path:
    """The path that a name means; a path as it is."""
    return file if isinstance(file, Path) else Path(str(file))
