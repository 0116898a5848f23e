"""How a failure is told: one line on stderr and an exit code."""

from __future__ import annotations

import typer

from texsynth.errors import TexsynthError, one_line
from texsynth.runs import fault, stop

CliError = typer.BadParameter.__mro__[2]  # the base of the parser's errors, wherever this Typer keeps it
LONGEST_USAGE = 500  # characters of what the parser says, which repeats values as they are
NOTHING = "there was no picture yet to save"
AT_ONCE = "at once, at the second signal; what was being written is dropped"


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
    text, code = fault.explained(error)
    return f"error: {text}", code


def _usage(error: BaseException) -> str:
    """The parser's words, with the nearest option instead of a list of them."""
    near = getattr(error, "possibilities", None)
    hint = f"{error.message}; did you mean {near[0]}?" if near else None  # type: ignore[attr-defined]
    text = one_line(hint or error.format_message(), LONGEST_USAGE).rstrip(".")  # type: ignore[attr-defined]
    return f"error: {text[:1].lower()}{text[1:]}"
