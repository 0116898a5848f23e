"""Threads of PyTorch that wait for work: they must not spin where the cores are shared, nor be lost in a forked worker.

Imported with the package itself, before PyTorch where that is possible, and without it.
"""

from __future__ import annotations

import os
import sys

SPINNING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")  # what a user may have said of threads that wait
_late = False  # was PyTorch loaded before it could be told how to wait?
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
    is the one that it began with, where PyTorch was loaded too early: its threads spin beside those of other workers,
    which nothing can change afterwards."""
    from multiprocessing import parent_process

    chosen = "OMP_NUM_THREADS" in os.environ or count != cores
    return forked() or (_late and not chosen and parent_process() is not None)


def forked() -> bool:
    """Was this process forked after PyTorch was loaded? It has none of the threads that PyTorch may have started before
    then, and would wait for them for ever, whatever their number shall be."""
    return _forked


def _remember() -> None:
    global _forked
    _forked = _forked or "torch" in sys.modules
