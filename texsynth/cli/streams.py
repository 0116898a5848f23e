"""Standard output and standard error as they may be: closed, broken, full, or of an encoding that lacks a name's
letters. What cannot be printed is one error, wherever it was printed; what cannot be said must not end a run."""

from __future__ import annotations

import codecs
import errno
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, ClassVar

from texsynth.errors import TexsynthError


class OutputError(TexsynthError):
    """Standard output cannot be written: its disk is full, or it was closed before the program began."""

    exit_code: ClassVar[int] = 4


class ClosedError(OutputError):
    """The reader of standard output has gone, as `head` does; no message is needed, and other tools say nothing."""

    exit_code: ClassVar[int] = 128 + getattr(signal, "SIGPIPE", 13)


class Told:
    """Standard output, with OutputErrors in place of those of the system: what has failed once goes on to fail."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._failed: OutputError | None = None

    def write(self, text: str) -> int:
        with self.told():
            return int(self._stream.write(text))

    def flush(self) -> None:
        with self.told():
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    @contextmanager
    def told(self) -> Iterator[None]:
        """For a block that writes to the stream."""
        if self._failed is not None:
            raise self._failed
        try:
            yield
        except OSError as error:
            _drop(self._stream)
            kind = ClosedError if error.errno == errno.EPIPE else OutputError
            self._failed = kind(f"standard output cannot be written ({error.strerror or error})")
            raise self._failed from None


class Messages(Told):
    """Standard error: what cannot be said there cannot be said at all."""

    @contextmanager
    def told(self) -> Iterator[None]:
        try:
            yield
        except OSError:
            _drop(self._stream)


def write_bytes(content: bytes) -> None:
    """Write to standard output what is no text; raises OutputErrors."""
    stream: Any = sys.stdout
    with stream.told():
        stream.buffer.write(content)
        stream.buffer.flush()


@contextmanager
def guarded() -> Iterator[None]:
    """Use these for a while."""
    out: Any = sys.stdout
    err: Any = sys.stderr
    if out is None:  # closed: open for reading only, so that what is printed is known to be lost
        out = _opened(1, os.O_RDONLY)
    if err is None:
        err = _opened(2, os.O_WRONLY)
    with suppress(AttributeError):  # a path is printed byte for byte, whatever the encoding
        out.reconfigure(errors="texsynth-bytes")
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = Told(out), Messages(err)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def _opened(number: int, mode: int) -> Any:
    """A stream for a descriptor that was closed; no file that is opened later may take its place."""
    for lower in range(number + 1):
        try:
            os.fstat(lower)
        except OSError:
            os.open(os.devnull, mode if lower == number else os.O_RDONLY)
    return os.fdopen(number, "w", closefd=False)


def _drop(stream: Any) -> None:
    """Let what is still buffered go nowhere, or Python would try again at its end, and complain."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def _as_bytes(error: UnicodeError) -> tuple[bytes, int]:
    """The bytes of a name for letters that an encoding lacks, and for bytes that are no letters."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return os.fsencode(error.object[error.start : error.end]), error.end


codecs.register_error("texsynth-bytes", _as_bytes)
