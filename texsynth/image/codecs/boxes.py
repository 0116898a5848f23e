"""Boxes of ISO base media files, of which AVIF and JP2 are made."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from texsynth.image.codecs.base import CodecError, size_of

MAX_BOXES = 4096  # in one box or file


class Box(NamedTuple):
    """A box. start, end: Where its content lies in the file."""

    kind: bytes
    start: int
    end: int


def boxes(handle: BinaryIO, start: int, end: int) -> Iterator[Box]:
    """The boxes between two positions of a file; CodecError for one that does not fit there."""
    for _ in range(MAX_BOXES):
        if start + 8 > end:
            return
        handle.seek(start)
        length, kind = struct.unpack(">I4s", handle.read(8))
        content = start + 8
        if length == 1:
            length, content = int.from_bytes(handle.read(8), "big"), start + 16
        last = end if length == 0 else start + length
        if not content <= last <= end:
            raise CodecError("damaged or truncated picture file, export or copy it again (a box ends too late)")
        yield Box(kind, content, last)
        start = last
    raise CodecError("damaged picture file, export or copy it again (too many boxes)")


def inside(handle: BinaryIO, *path: bytes) -> list[Box]:
    """The boxes inside the first box at `path`; none without it."""
    start, end = 0, size_of(handle)
    for kind in path:
        box = next((box for box in boxes(handle, start, end) if box.kind == kind), None)
        if box is None:
            return []
        start, end = box.start + (4 if kind == b"meta" else 0), box.end  # which has a version before its boxes
    return list(boxes(handle, start, end))


def content(handle: BinaryIO, box: Box, most: int = 1 << 24) -> bytes:
    """The content of a box, of which `most` bytes are read."""
    handle.seek(box.start)
    return handle.read(min(most, box.end - box.start))
