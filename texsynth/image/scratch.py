"""Large temporary arrays, which lie beside the output: mapped from files without a name, they take disk, not memory.

What the system holds of a mapped array in memory it can write out and let go, and `release` says when; a process that
dies leaves nothing, as its files had no name any more. A folder that lies in memory itself (tmpfs) gives no such files:
there an array is an array, and counts.
"""

from __future__ import annotations

import errno
import itertools
import math
import mmap
import os
import tempfile
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from texsynth.errors import ResourceError, one_line
from texsynth.image import files

if TYPE_CHECKING:
    from torch import Tensor

SHARE: Final = 32  # the part of the limit below which an array stays in memory
DEFAULT_LIMIT: Final = 6 << 30  # bytes, as --max-memory has it
MOUNTS = Path("/proc/mounts")
IN_MEMORY: Final = ("tmpfs", "ramfs", "devtmpfs")  # kinds of file systems
BLOCK: Final = 1 << 20  # bytes of zeros that are written at a time
PIECES: Final = 64  # of a view that is not contiguous: above that it is let go as a whole

_numbers = itertools.count()
_mappings: dict[int, tuple[int, weakref.ref[mmap.mmap]]] = {}  # by the address of each: its bytes


@dataclass
class _Room:
    """Where arrays lie, how many bytes the command may take, and how many those take that had to stay in memory."""

    folder: Path | None
    limit: int
    held: list[weakref.ref[np.ndarray]] = field(default_factory=list)


_room: ContextVar[_Room | None] = ContextVar("scratch", default=None)


@contextmanager
def beside(folder: Path | None, limit: int) -> Iterator[None]:
    """Inside, large arrays lie in `folder` (None: the system's for temporary files), and the command may take `limit`
    bytes of memory. A thread that is started inside begins outside; run it in a copy of the context."""
    token = _room.set(_Room(folder, limit))
    try:
        yield
    finally:
        _room.reset(token)


def is_large(size: int) -> bool:
    """Would an array of so many bytes be mapped from a file, and not take memory?"""
    room = _here()
    return size >= room.limit // SHARE and not _lies_in_memory(_folder(room))


def is_mapped(address: int) -> bool:
    """Does an array lie at this address that is mapped from a file?"""
    return address in _mappings


def empty(shape: Sequence[int], dtype: Any) -> np.ndarray:
    """A new array that holds anything: small ones in memory, large ones mapped, with their room on the disk reserved.
    Raises ResourceError where there is none, and where the folder lies in memory and the limit would be passed."""
    room, kind = _here(), np.dtype(dtype)
    size = math.prod(shape) * kind.itemsize
    if size < max(1, room.limit // SHARE):
        return np.empty(shape, kind)
    folder = _folder(room)
    if _lies_in_memory(folder):
        return _held(room, folder, np.empty(shape, kind))
    mapped = _mapping(folder, size)
    array = np.frombuffer(mapped, kind, math.prod(shape)).reshape(shape)
    _register(array, mapped)
    return array


def in_memory(values: np.ndarray | Tensor) -> int:
    """The bytes of memory that an array takes: none where it is mapped."""
    address = values.ctypes.data if isinstance(values, np.ndarray) else values.data_ptr()
    mapped = any(start <= address < start + size for start, (size, _) in _mappings.copy().items())
    return 0 if mapped else values.nbytes


def release(values: np.ndarray | Tensor) -> None:
    """Let go of what a mapped array, or a part of one, holds in memory: its values stay, on the disk. Nothing happens
    to an array that is in memory, nor where the system cannot do it."""
    if not hasattr(mmap, "MADV_DONTNEED") or not _mappings or 0 in values.shape:
        return
    if isinstance(values, np.ndarray):
        layout = values.ctypes.data, values.shape, values.strides, values.itemsize
    elif values.device.type == "cpu":
        size = values.element_size()
        layout = values.data_ptr(), tuple(values.shape), tuple(size * step for step in values.stride()), size
    else:
        return
    for start, end in _spans(*layout):
        _let_go(start, end)


def _here() -> _Room:
    return _room.get() or _Room(None, DEFAULT_LIMIT)


def _folder(room: _Room) -> Path:
    return files.real(Path(tempfile.gettempdir()) if room.folder is None else room.folder)


def _lies_in_memory(folder: Path) -> bool:
    """Is a folder of a file system that keeps its files in memory? Told by Linux only."""
    try:
        lines = MOUNTS.read_text("utf-8", "replace").splitlines()
    except OSError:
        return False
    kinds: dict[Path, str] = {}  # a later line covers an earlier one
    for words in (line.split() for line in lines):
        if len(words) > 2:
            kinds[Path(words[1].replace("\\040", " "))] = words[2]
    over = (parent for parent in (folder, *folder.parents) if parent in kinds)
    return kinds.get(next(over, Path()), "") in IN_MEMORY


def _held(room: _Room, folder: Path, array: np.ndarray) -> np.ndarray:
    """A large array that has to stay in memory; ResourceError where all of these together pass the limit."""
    living = [each for ref in room.held if (each := ref()) is not None]
    total = array.nbytes + sum(each.nbytes for each in living)
    if total > room.limit:
        needs = f"{_gigabytes(total)} of temporary arrays, above the limit of {_gigabytes(room.limit)}"
        raise ResourceError(f"{one_line(folder)}: lies in memory and cannot hold {needs}; write to a disk, or raise it")
    room.held[:] = [weakref.ref(each) for each in (*living, array)]
    return array


def _mapping(folder: Path, size: int) -> mmap.mmap:
    """So many bytes of a new file in a folder, which has no name, or goes with its last use."""
    name = files.hidden(folder / f"scratch{next(_numbers)}")
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_TEMPORARY", 0) | getattr(os, "O_BINARY", 0)
    try:
        descriptor = os.open(name, flags, 0o600)
        try:
            if os.name == "posix":
                name.unlink()
            _reserve(descriptor, size)
            return mmap.mmap(descriptor, size)
        finally:
            os.close(descriptor)
    except OSError as error:
        needs = f"no room for {_gigabytes(size)} of temporary arrays ({error.strerror or error})"
        raise ResourceError(f"{one_line(folder)}: {needs}; make room, or write to another disk") from None


def _reserve(descriptor: int, size: int) -> None:
    """Give a file its room on the disk at once, so that a full one is an error here and no bus error later; OSError."""
    if hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(descriptor, 0, size)
            return
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS):
                raise
    zeros = memoryview(bytes(BLOCK))
    while size > 0:
        size -= os.write(descriptor, zeros[: min(size, BLOCK)])


def _register(array: np.ndarray, mapped: mmap.mmap) -> None:
    """Note where an array is mapped to, as long as it is."""
    address = array.ctypes.data

    def forget(_: weakref.ref[mmap.mmap]) -> None:
        _mappings.pop(address, None)

    _mappings[address] = len(mapped), weakref.ref(mapped, forget)


def _spans(address: int, shape: Sequence[int], strides: Sequence[int], itemsize: int) -> Iterator[tuple[int, int]]:
    """The addresses from and to which the values of an array lie; strides in bytes."""
    reach = [(count - 1) * step for count, step in zip(shape, strides, strict=True)]
    inner = sum(map(abs, reach[1:])) + itemsize
    if len(shape) > 1 and abs(strides[0]) > inner and shape[0] <= PIECES:  # there are gaps
        for number in range(shape[0]):
            yield from _spans(address + number * strides[0], shape[1:], strides[1:], itemsize)
    else:
        yield address + sum(min(0, each) for each in reach), address + sum(max(0, each) for each in reach) + itemsize


def _let_go(start: int, end: int) -> None:
    """Let go of the pages between two addresses of one mapping, whose values its file keeps."""
    for address, (size, ref) in _mappings.copy().items():
        if address <= start < address + size and (mapped := ref()) is not None:
            first = (start - address) // mmap.PAGESIZE * mmap.PAGESIZE
            mapped.madvise(mmap.MADV_DONTNEED, first, min(end - address, size) - first)
            return


def _gigabytes(amount: int) -> str:
    return f"{amount / (1 << 30):.1f} GB" if amount >= 1 << 30 else f"{-(-amount >> 20)} MB"
