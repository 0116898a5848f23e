"""How a failure is told: one line on stderr and an exit code."""

from __future__ import annotations

import errno
import sys

import typer

from texsynth.cli import limits
from texsynth.errors import TexsynthError, one_line
from texsynth.runs import stop

CliError = typer.BadParameter.__mro__[2]  # the base of the parser's errors, wherever this Typer keeps it
LONGEST_USAGE = 500  # characters of what the parser says, which repeats values as they are
NOTHING = "there was no picture yet to save"
AT_ONCE = "at once, at the second signal; what was being written is dropped"
MISNAMED = (errno.ENAMETOOLONG, errno.ELOOP)  # what looking at a name of any kind may end with
SHORT_OF_MEMORY = (
    *("can't allocate memory", "out of memory", "bad_alloc", "can't start new thread"),
    *("cannot allocate memory", "failed to map segment"),  # of a library that is loaded
)


class InterruptError(TexsynthError):
    """Ctrl-C, or a signal like it, ended the run; what there was has been saved."""


def explain(error: BaseException) -> tuple[str, int]:
    """One line for the user, and the exit code."""
    # How the parser passes Ctrl-C on, and what comes of one in the middle of an import.
    passed_on = stop.asked() and not isinstance(error, (TexsynthError, CliError))
    if passed_on or isinstance(error, (typer.Abort, KeyboardInterrupt)):
        error = InterruptError(AT_ONCE if stop.twice() else NOTHING)
    if isinstance(error, CliError):
        return _usage(error), 2
    if isinstance(error, InterruptError):
        return f"interrupted: {one_line(error)}", stop.exit_code()
    if isinstance(error, TexsynthError):
        return f"error: {one_line(error)}", error.exit_code
    if isinstance(error, OSError) and error.errno in MISNAMED:
        name = one_line(error.filename)
        return f"error: {name[:40]}{'...' * (len(name) > 40)}: {error.strerror}; give another name", 2
    if _out_of_memory(error):
        limit = limits.named()
        under = f" under {limit}; raise it, or" if limit else ";"
        return f"error: out of memory{under} try a smaller --size, a --crop, or --device cpu", 4
    return f"error: {type(error).__name__}: {one_line(error)} (unexpected; --debug shows where)", 1


def _usage(error: BaseException) -> str:
    """The parser's words, with the nearest option instead of a list of them."""
    near = getattr(error, "possibilities", None)
    hint = f"{error.message}; did you mean {near[0]}?" if near else None  # type: ignore[attr-defined]
    text = one_line(hint or error.format_message(), LONGEST_USAGE).rstrip(".")  # type: ignore[attr-defined]
    return f"error: {text[:1].lower()}{text[1:]}"


def _out_of_memory(error: BaseException) -> bool:
    torch = sys.modules.get("torch")
    if isinstance(error, MemoryError) or (torch is not None and isinstance(error, torch.OutOfMemoryError)):
        return True
    if isinstance(error, OSError) and error.errno == errno.ENOMEM:
        return True
    return isinstance(error, (RuntimeError, ImportError)) and any(words in str(error) for words in SHORT_OF_MEMORY)
