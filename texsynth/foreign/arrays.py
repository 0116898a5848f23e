"""Arrays in zip files of others, as numpy.savez writes them: checked before there is memory for them, never pickled."""

from __future__ import annotations

import math
import sys
import zipfile
from collections.abc import Callable, Collection
from typing import IO, Any

import numpy as np

BLOCK = 1 << 22  # bytes that are read and checked at a time
LONGEST_HEADER = 4096  # bytes of the head of an array
HEADS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}

Shape = tuple[int | None, ...]  # None for any length
Empty = Callable[[tuple[int, ...], np.dtype[Any]], "np.ndarray[Any, Any]"]


def read(
    archive: zipfile.ZipFile,
    name: str,
    dtypes: Collection[np.dtype[Any]],
    shape: Shape,
    low: float | None = None,
    high: float | None = None,
    empty: Empty = np.empty,
) -> np.ndarray[Any, Any]:
    """An array of one of these types, in new memory of `empty`; raises ValueError and what zipfile does where it is
    missing, of another type or shape, has values outside [low, high], or floats that are not finite."""
    entry = archive.getinfo(f"{name}.npy")
    with archive.open(entry) as member:
        there, by_columns, dtype = _head(member)
        alike = len(there) == len(shape) and all(a in (b, None) for a, b in zip(shape, there, strict=True))
        if dtype not in dtypes or not alike or (by_columns and len(there) > 1):
            raise ValueError
        if member.tell() + math.prod(there) * dtype.itemsize != entry.file_size:
            raise ValueError
        array = empty(there, dtype)
        flat, step = array.reshape(-1), BLOCK // dtype.itemsize
        for start in range(0, len(flat), step):
            part = flat[start : start + step]
            if member.readinto(part.view(np.uint8).data) != part.nbytes:  # type: ignore[attr-defined]
                raise ValueError
            _check(part, low, high)
        if member.read(1):  # which compares the checksum at the end, too
            raise ValueError
    return array


def shape_of(archive: zipfile.ZipFile, name: str) -> tuple[int, ...]:
    """The shape that an array says it has; raises ValueError and what zipfile does."""
    with archive.open(f"{name}.npy") as member:
        return _head(member)[0]


def _head(member: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """The shape of an array, whether it lies in memory by columns, and its type; raises ValueError."""
    head: tuple[tuple[int, ...], bool, np.dtype[Any]]
    head = HEADS[np.lib.format.read_magic(member)](member, max_header_size=LONGEST_HEADER)
    return head


def _check(values: np.ndarray[Any, Any], low: float | None, high: float | None) -> None:
    """Raise ValueError where values are outside [low, high], not finite, or neither bools nor text where these are
    wanted."""
    if values.dtype == bool and values.view(np.uint8).max() > 1:
        raise ValueError
    if values.dtype.kind == "U":
        if values.view(np.uint32).max() > sys.maxunicode:
            raise ValueError
        return
    least, most = values.min(), values.max()  # NaN where there is one
    if not (np.isfinite(least) and np.isfinite(most)):
        raise ValueError
    if (low is not None and least < low) or (high is not None and most > high):
        raise ValueError
