"""Fields as files, as `--save-field` writes them. They may come from anywhere: nothing in one is believed."""

from __future__ import annotations

import tokenize
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from torch import Tensor

from texsynth.errors import InputError, one_line, shown
from texsynth.field.magnify.sheet import Pointers
from texsynth.field.planes import COPIES, Coordinates, laid_out
from texsynth.foreign import arrays, regular
from texsynth.image import scratch
from texsynth.image.strips import spans
from texsynth.weights import header

WHERE = ("exemplar", "copy", "y", "x")
NAMES, COST = {*WHERE, "copies"}, "cost"  # which fields of pictures above the working size do not have
INTEGERS = [np.dtype(f"<u{size}") for size in (1, 2, 4, 8)]
WORDS = [np.dtype(f"<U{length}") for length in range(1, max(map(len, COPIES)) + 1)]
PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
MARGIN = 1  # pixel of padding, so that no neighbour of a source pixel is one of another row
LONGEST_WORD = 40
OVERHEAD = 1 << 16  # bytes of a file beside its arrays, at the most
DAMAGE = (*header.DAMAGE, zlib.error, SyntaxError, tokenize.TokenError)


def read(path: Path, exemplars: Sequence[tuple[int, int]], size: tuple[int, int], tile: tuple[bool, bool]) -> Pointers:
    """The field of an output of `size` that copies exemplars of these (height, width). Raises InputError, in words that
    do not name the file, where it cannot be that; no array is read before its size is known."""
    try:
        with regular.opened(path) as file:
            _check_length(file, size)
            archive = zipfile.ZipFile(file)
            _check_entries(archive, size)
            copies = tuple(map(str, arrays.read(archive, "copies", WORDS, (None,)).tolist()))
            if unknown := [copy for copy in copies if copy not in COPIES]:
                raise InputError(f"it names copies as {shown(unknown[0])}; there are {', '.join(COPIES)}")
            if not copies or len(set(copies)) < len(copies):
                raise InputError("it names no copy, or one twice")
            where = [arrays.read(archive, name, INTEGERS, size, empty=scratch.empty) for name in WHERE]
    except FileNotFoundError:
        raise InputError("there is no such file") from None
    except InputError:
        raise
    except DAMAGE:
        raise InputError("it is no field as --save-field writes it, or is damaged") from None
    return pointers(where, exemplars, copies, tile)


def pointers(
    where: Sequence[np.ndarray[Any, Any]],
    exemplars: Sequence[tuple[int, int]],
    copies: Sequence[str],
    tile: tuple[bool, bool],
) -> Pointers:
    """The field whose pixels copy these exemplars, copies, y and x, each (h, w), of exemplars of these (height, width).
    Raises InputError where there are no such pixels."""
    planes = laid_out(exemplars, copies, MARGIN)
    sizes, size = torch.tensor(exemplars), where[0].shape
    index = torch.from_numpy(scratch.empty(size, "int32"))
    for top, bottom in spans(size):
        parts = [torch.from_numpy(values[top:bottom].astype(np.int64)) for values in where]
        exemplar, copy, y, x = parts
        if _beyond(exemplar, len(exemplars)) or _beyond(copy, len(copies)):
            raise InputError(f"it copies from others than {len(exemplars)} exemplar(s) in {len(copies)} copies")
        if _beyond(y, sizes[exemplar, 0]) or _beyond(x, sizes[exemplar, 1]):
            raise InputError(f"it points outside the exemplar, which is {exemplars[0][1]}x{exemplars[0][0]}")
        index[top:bottom] = planes.copying(Coordinates(exemplar, copy, y, x)).int()
        for coordinate in where:
            scratch.release(coordinate[top:bottom])
        scratch.release(index[top:bottom])
    return Pointers(index, planes, tile)


def _beyond(values: Tensor, limit: int | Tensor) -> bool:
    """Is any value none from 0 to below the limit?"""
    return bool(((values < 0) | (values >= limit)).any())


def _most(size: tuple[int, int]) -> int:
    """The bytes of one array of a field, at the most."""
    return INTEGERS[-1].itemsize * size[0] * size[1] + arrays.LONGEST_HEADER


def _check_length(file: IO[bytes], size: tuple[int, int]) -> None:
    """Refuse a file that is longer than a field of that size can be, before its directory is read; ValueError."""
    if file.seek(0, 2) > (len(NAMES) + 1) * _most(size) + OVERHEAD:
        raise ValueError
    file.seek(0)


def _check_entries(archive: zipfile.ZipFile, size: tuple[int, int]) -> None:
    """Refuse other arrays than those of a field, and such as could grow beyond its size when they are unpacked; raises
    InputError and ValueError."""
    entries = archive.infolist()
    names = [entry.filename.removesuffix(".npy") for entry in entries if entry.filename.endswith(".npy")]
    if sorted({*names, COST}) != sorted({*NAMES, COST}) or len(set(names)) < len(entries):
        raise ValueError
    if any(entry.compress_type not in PACKINGS for entry in entries):
        raise ValueError
    height, width = arrays.shape_of(archive, "y")
    if (height, width) != size:
        other = one_line(f"{width}x{height}", LONGEST_WORD)
        raise InputError(f"it is the field of a picture of {other}, and not of {size[1]}x{size[0]}")
    if any(entry.file_size > _most(size) for entry in entries) or archive.getinfo("copies.npy").file_size > OVERHEAD:
        raise ValueError
