"""The command as a process: its signals and streams, and the one place where a failure becomes a line and a code."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from typing import NoReturn

from texsynth.cli import lifetime, streams
from texsynth.runs import stop


def program() -> NoReturn:
    """`texsynth`, and `python -m texsynth`: run the command line of this process, and end the process."""
    lifetime.begin()
    try:
        code = main()
    except SystemExit as completed:  # shell completion, which ends with a number or with none
        code = int(completed.code or 0)
    lifetime.end(code)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line (without the program's name) and give its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    with stop.answered(), streams.guarded():
        try:
            code = _run(words)
        except (Exception, KeyboardInterrupt) as error:
            return _told(error, debug="--debug" in words)
        # The parser has an exit code of its own for Ctrl-C, and says nothing.
        return _told(KeyboardInterrupt()) if code == 130 and stop.asked() else code


def _run(words: Sequence[str]) -> int:
    from texsynth.cli import app  # a signal may come while the parser and all options load

    try:
        code = app.run(words)
    except SystemExit:  # shell completion
        sys.stdout.flush()
        raise
    sys.stdout.flush()
    return code


def _told(error: BaseException, debug: bool = False) -> int:
    """Say what went wrong, and give the exit code."""
    from texsynth.cli import failure

    with suppress(streams.OutputError):  # what went wrong first is what is told
        sys.stdout.flush()
    if isinstance(error, streams.ClosedError):
        return error.exit_code
    if debug:
        traceback.print_exception(error)
    text, code = failure.explain(error)
    print(f"texsynth: {text}", file=sys.stderr, flush=True)
    return code
