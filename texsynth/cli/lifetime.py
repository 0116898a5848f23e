"""How the process of a command begins and ends: half of the time of a small run would go to Python's own care for
objects that live as long as the process. Nothing here is for programs that call `main`, which go on afterwards."""

from __future__ import annotations

import atexit
import gc
import os
import sys
import threading
from contextlib import suppress
from typing import NoReturn

_loading = False  # are there no collections of garbage for now?


def begin() -> None:
    """Collect no garbage until `loaded`: PyTorch makes half a million objects when it is loaded, all of them to stay,
    among which every collection would look for garbage. Commands that end soon need not call that."""
    global _loading
    gc.disable()
    _loading = True


def loaded() -> None:
    """Collect garbage as ever, which a batch of hours needs, but not among what there is by now."""
    global _loading
    if _loading:
        gc.freeze()
        gc.enable()
        _loading = False


def end(code: int) -> NoReturn:
    """End the process with all that an ordinary end does for what is outside it: handlers for the end are called, and
    streams flushed. What is left out is to take every module and PyTorch apart, object by object.

    The end is an ordinary one where threads are to be waited for, and where someone looks on who has more to do."""
    waited_for = [each for each in threading.enumerate() if not each.daemon and each is not threading.current_thread()]
    if waited_for or _watched():
        sys.exit(code)
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, OSError, ValueError):  # none, broken, closed: what there is to say has been said
            stream.flush()
    os._exit(code)


def _watched() -> bool:
    """Does a debugger, a profiler or a measurement of coverage follow this process?"""
    monitoring = getattr(sys, "monitoring", None)  # since Python 3.12
    tools = () if monitoring is None else filter(monitoring.get_tool, range(6))
    return sys.gettrace() is not None or sys.getprofile() is not None or any(True for _ in tools)
