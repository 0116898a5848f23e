"""How a failure is told: one line on stderr and an exit code."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ClassVar

import typer

from texsynth.errors import TexsynthError, one_line

CliError = typer.BadParameter.__mro__[2]  # the base of the parser's errors, wherever this Typer keeps it
NOTHING = "there was no picture yet to save"
SHORT_OF_MEMORY = ("can't allocate memory", "out of memory")


class InterruptError(TexsynthError):
    """Ctrl-C ended the run; what there was has been saved."""

    exit_code: ClassVar[int] = 130


@contextmanager
def handling(number: int, handler: Callable[..., None]) -> Iterator[None]:
    """Answer a signal with `handler` for a while; outside the main thread, which alone gets signals, do nothing."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(number, handler)
    try:
        yield
    finally:
        signal.signal(number, before)


def explain(error: Exception) -> tuple[str, int]:
    """One line for the user, and the exit code."""
    if isinstance(error, typer.Abort):  # how the parser passes Ctrl-C on
        error = InterruptError(NOTHING)
    if isinstance(error, CliError):
        return _usage(error), 2
    if isinstance(error, InterruptError):
        return f"interrupted: {one_line(error)}", error.exit_code
    if isinstance(error, TexsynthError):
        return f"error: {one_line(error)}", error.exit_code
    if _out_of_memory(error):
        return "error: out of memory; try a smaller --size, a --crop, or --device cpu", 4
    return f"error: {type(error).__name__}: {one_line(error)} (unexpected; --debug shows where)", 1


def _usage(error: Exception) -> str:
    """The parser's words, with the nearest option instead of a list of them."""
    near = getattr(error, "possibilities", None)
    hint = f"{error.message}; did you mean {near[0]}?" if near else None  # type: ignore[attr-defined]
    text = one_line(hint or error.format_message()).rstrip(".")  # type: ignore[attr-defined]
    return f"error: {text[:1].lower()}{text[1:]}"


def _out_of_memory(error: BaseException) -> bool:
    torch = sys.modules.get("torch")
    if isinstance(error, MemoryError) or (torch is not None and isinstance(error, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in SHORT_OF_MEMORY)
