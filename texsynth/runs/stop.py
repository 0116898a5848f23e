"""How a run is stopped from outside: Ctrl-C, SIGTERM and SIGHUP all end it in the same way.

The command line answers these signals (`answered`); the Python API never does, and leaves them to its caller.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

ENDING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
_arrived: list[int] = []  # signals since `answered` began
_later: list[Callable[[], None]] = []  # what is done at the first signal where work is not worth breaking off


@contextmanager
def answered() -> Iterator[None]:
    """Let each of the signals raise KeyboardInterrupt, and remember it.

    What is ignored from the start stays so (nohup). Outside the main thread, which alone gets signals, do nothing.
    """
    before = {}
    _arrived.clear()
    if threading.current_thread() is threading.main_thread():
        handlers = {number: signal.getsignal(number) for number in ENDING}
        before = {n: handler for n, handler in handlers.items() if handler not in (signal.SIG_IGN, None)}
    for number in before:
        signal.signal(number, _answer)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        _arrived.clear()  # nor is a run stopped that a program makes later on


@contextmanager
def later(notice: Callable[[], None] = lambda: None) -> Iterator[None]:
    """For work that is better finished: the first signal only calls `notice`, and whoever does the work asks `asked`
    afterwards. The second one ends it at once."""
    _later.append(notice)
    try:
        yield
    finally:
        _later.pop()


@contextmanager
def held() -> Iterator[None]:
    """Hold back these signals, in this thread and in the threads and processes that it starts."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def asked() -> bool:
    """Has a signal asked for the end?"""
    return bool(_arrived)


def twice() -> bool:
    """Has it been asked for more than once, so that nothing more is saved?"""
    return len(_arrived) > 1


def exit_code() -> int:
    """128 and the number of the first signal; that of Ctrl-C where none has been seen."""
    return 128 + (_arrived[0] if _arrived else signal.SIGINT)


def _answer(number: int, _: FrameType | None) -> None:
    _arrived.append(number)
    if twice() or not _later:
        raise KeyboardInterrupt
    _later[-1]()
