"""Processes that this one begins to work for it, and that end with it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from texsynth.runs import stop


def begin(life: Callable[..., None], *arguments: Any) -> tuple[BaseProcess, Connection]:
    """Begin a process, whose life gets its end of a connection, and then these arguments; and the other end of that."""
    here, there = multiprocessing.Pipe()
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=life, args=(there, *arguments), daemon=True)
    with stop.held():  # before the process answers them
        process.start()
    there.close()
    return process, here


def ended(process: BaseProcess) -> str:
    """How a process has ended, in words."""
    code = process.exitcode or 0
    return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"


def apart() -> None:
    """Live apart from the terminal, whose Ctrl-C is for the process that began this one, and end with that one."""
    threading.Thread(target=_follow, daemon=True).start()
    with suppress(AttributeError, OSError):
        os.setpgid(0, 0)


def answer() -> None:
    """Let signals come, which `begin` has held back, once there is an answer to them."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, stop.ENDING)


def _follow() -> None:
    """End with the process that began this one, however it ended."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
