"""Opening files of others: a regular file, or nothing. A pipe would wait for ever, and a device has no end."""

from __future__ import annotations

import os
import stat
from errno import EFBIG, EINVAL, EISDIR
from io import BufferedReader, BytesIO
from pathlib import Path

from texsynth.foreign.held import Held

_AT_ONCE = getattr(os, "O_NONBLOCK", 0)  # a pipe is not waited for


def opened(path: Path) -> BufferedReader:
    """A file to read, open at its start; raises OSError, also where `path` is a folder, a pipe or a device."""
    if isinstance(path, Held):
        return BufferedReader(BytesIO(path.content))
    try:
        return open(path, "rb", opener=_regular)
    except ValueError:  # of a NUL in the name
        raise OSError(EINVAL, "no file can have that name") from None


def _regular(name: str, flags: int) -> int:
    """The descriptor of a regular file; raises OSError. Python itself closes that of a folder late, with a warning."""
    number = os.open(name, flags | _AT_ONCE)
    kind = os.fstat(number).st_mode
    if stat.S_ISREG(kind):
        return number
    os.close(number)
    if stat.S_ISDIR(kind):
        raise IsADirectoryError(EISDIR, os.strerror(EISDIR), name)
    raise OSError(EINVAL, "it is a pipe or a device, not a file")


def content(path: Path, most: int) -> bytes:
    """All of a file of at most `most` bytes; raises OSError, also for a longer one."""
    with opened(path) as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise OSError(EFBIG, f"it has more than {most >> 10} kB")
    return data
