"""A file that is held in memory, in the place of one that is read from the disk."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing_extensions import Self

    Plain = Path
else:
    Plain = type(Path())  # that of this system, which alone has instances


class Held(Plain):
    """A path whose content is in memory: `foreign.regular` opens that. Its name says what it is, as that of a file
    does, and records keep it."""

    content: bytes = b""

    @classmethod
    def of(cls, content: bytes, name: str) -> Self:
        path = cls(name)
        path.content = content
        return path

    @property
    def size(self) -> int:
        """The bytes that it takes."""
        return len(self.content)

    def __reduce__(self) -> Any:
        return type(self).of, (self.content, str(self))

    def exists(self, **_: bool) -> bool:
        return True

    def is_file(self, **_: bool) -> bool:
        return True

    def is_dir(self, **_: bool) -> bool:
        return False
