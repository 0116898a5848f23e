"""Threads of PyTorch that wait for work: they must not spin where the cores are shared, nor be lost in a forked worker.

Imported with the package itself, before PyTorch where that is possible, and without it.
"""

from __future__ import annotations

import os
import sys
import threading

SPINNING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")  # what a user may have said of threads that wait
_late = False  # was PyTorch loaded before it could be told how to wait?
_calm = False  # do its threads sleep all the same?
_forked = False  # was this process forked after PyTorch was loaded?


def guard() -> None:
    """Let waiting threads sleep: those that spin stall each other when the cores are shared (two runs side by side took
    over twenty times as long), and lose nothing by sleeping when they are not.

    The threads read the environment when PyTorch is loaded; what the user has set there stays.
    """
    global _late
    if not any(name in os.environ for name in SPINNING):
        os.environ["GOMP_SPINCOUNT"] = "1000"
        _late = "torch" in sys.modules
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_remember)


def alone(count: int, cores: int) -> bool:
    """Is one thread best in place of `count`? So it is in a forked process, and in a worker whose number of threads
    is the one that it began with, where PyTorch was loaded too early: workers are as many as there are cores."""
    from multiprocessing import parent_process

    chosen = "OMP_NUM_THREADS" in os.environ or count != cores
    return forked() or (_late and not chosen and parent_process() is not None)


def calm(count: int, cores: int) -> None:
    """Where PyTorch was loaded too early to be told how to wait, let its `count` threads sleep all the same.

    They do so as soon as their library, libgomp, counts more threads in the process than cores (its manual says so of
    GOMP_SPINCOUNT). So further threads are started here, which never work.
    """
    global _calm
    if not _late or _calm or count == 1 or sys.platform != "linux":
        return
    _calm = True
    for _ in range((cores - count) // (count - 1) + 1):
        started = threading.Event()
        threading.Thread(target=_idle, args=(count, started), daemon=True).start()
        started.wait()


def _idle(count: int, started: threading.Event) -> None:
    """Have `count` threads of PyTorch at hand, this one among them, and do nothing any more."""
    import torch

    try:
        torch.ones(count << 15).exp_()  # PyTorch gives each thread 2^15 values
    finally:
        started.set()
    threading.Event().wait()


def forked() -> bool:
    """Was this process forked after PyTorch was loaded? It has none of the threads that PyTorch may have started before
    then, and would wait for them for ever, whatever their number shall be."""
    return _forked


def _remember() -> None:
    global _forked
    _forked = _forked or "torch" in sys.modules
