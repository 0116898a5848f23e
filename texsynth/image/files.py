"""Files that are written whole or not at all, and the SHA-256 by which records name a file."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from texsynth.errors import ResourceError, TexsynthError, UsageError
from texsynth.foreign import regular

BLOCK = 1 << 20  # bytes that are read at a time


def digest(path: Path) -> str:
    """SHA-256 of a regular file in hexadecimal, read in blocks so that its size does not matter; raises OSError."""
    import hashlib  # with OpenSSL, which would slow every start of the command line

    total = hashlib.sha256()
    with regular.opened(path) as file:
        while block := file.read(BLOCK):
            total.update(block)
    return total.hexdigest()


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """`staged`, with failures to write as ResourceError for a full disk and UsageError for all else."""
    try:
        with staged(path) as part:
            yield part
    except OSError as error:
        raise unwritable(path.name, error) from None


@contextmanager
def staged(path: Path) -> Iterator[Path]:
    """A hidden name beside `path` to write to, renamed to it at the end, removed on any exception."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield part
        part.replace(path)
    except BaseException:  # Ctrl-C too must leave nothing behind
        with suppress(OSError):
            part.unlink()
        raise


def unwritable(name: str, error: OSError) -> TexsynthError:
    """The error to raise for a file that cannot be written."""
    kind = ResourceError if error.errno in (errno.ENOSPC, errno.EDQUOT) else UsageError
    return kind(f"{name}: cannot be written ({error.strerror or error}); choose another place")
