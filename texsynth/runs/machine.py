"""The process on its machine: CPU threads and memory."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from texsynth.errors import UsageError
from texsynth.runs import threads

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3  # glibc's malloc.h


def use_threads(count: int | None) -> None:
    """Let torch use that many CPU threads, or one where several would hang. Raises UsageError below 1.

    None leaves it as it is, but for worker processes in which several would hang or spin.
    """
    if count is not None and count < 1:
        raise UsageError(f"--threads {count}: at least 1 is needed")
    if count is not None:
        torch.set_num_threads(1 if threads.forked() else count)
    elif threads.alone(torch.get_num_threads(), cores()):
        torch.set_num_threads(1)
    threads.calm(torch.get_num_threads(), cores())


@contextmanager
def one_thread() -> Iterator[None]:
    """Inside, torch uses one CPU thread: for small work whose last bits would be others with several."""
    count = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(count)


def cores() -> int:
    """The processor cores that this process may use, which is how many threads torch begins with."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def resident() -> int:
    """The bytes of memory that the process holds now; at its peak so far where the system tells no more."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def reuse_memory() -> None:
    """Let malloc keep freed buffers, which saves a third of a run's time. By default glibc gives every large buffer
    back to the system and pays for the next one again, page by page. Only a process that does nothing else may change
    this; without glibc it has no effect."""
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for option, size in ((_MMAP_THRESHOLD, 1 << 28), (_TRIM_THRESHOLD, 1 << 29), (_TOP_PAD, 1 << 24)):
            mallopt(option, size)


def give_memory_back() -> None:
    """Give freed buffers that malloc keeps back to the system, before work of another kind begins; glibc only."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform.startswith("linux") else None
    if trim is not None:
        trim(0)
