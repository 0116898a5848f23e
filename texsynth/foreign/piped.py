"""Standard input in the place of a picture's file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    Plain = Path
else:
    Plain = type(Path())  # that of this system, which alone has instances

STANDARD = "-"  # how a command line names standard input and output
NAME = "stdin"  # how messages and records call it; no picture's file is called that, as it has no suffix


class Piped(Plain):
    """A path that stands for what standard input held, and has it in memory: `foreign.regular` opens that."""

    content: bytes = b""

    @classmethod
    def of(cls, content: bytes) -> Piped:
        path = cls(STANDARD)
        path.content = content
        return path

    def __reduce__(self) -> Any:
        return Piped.of, (self.content,)

    @property
    def name(self) -> str:
        return NAME

    def exists(self, **_: bool) -> bool:
        return True

    def is_file(self, **_: bool) -> bool:
        return True

    def is_dir(self, **_: bool) -> bool:
        return False


def path_of(file: object) -> Path:
    """The path that a name means; a path as it is."""
    return file if isinstance(file, Path) else Path(str(file))
