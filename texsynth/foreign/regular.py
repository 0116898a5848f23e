"""Opening files of others: a regular file, or nothing. A pipe would wait for ever, and a device has no end."""

from __future__ import annotations

import os
import stat
from errno import EFBIG, EINVAL
from io import BufferedReader, BytesIO
from pathlib import Path

from texsynth.foreign.piped import Piped

_AT_ONCE = getattr(os, "O_NONBLOCK", 0)  # a pipe is not waited for


def opened(path: Path) -> BufferedReader:
    """A file to read, open at its start; raises OSError, also where `path` is a folder, a pipe or a device."""
    if isinstance(path, Piped):
        return BufferedReader(BytesIO(path.content))
    try:
        file = open(path, "rb", opener=lambda name, flags: os.open(name, flags | _AT_ONCE))  # noqa: SIM115
    except ValueError:  # of a NUL in the name
        raise OSError(EINVAL, "no file can have that name") from None
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(EINVAL, "it is a pipe or a device, not a file")
    return file


def content(path: Path, most: int) -> bytes:
    """All of a file of at most `most` bytes; raises OSError, also for a longer one."""
    with opened(path) as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise OSError(EFBIG, f"it has more than {most >> 10} kB")
    return data
