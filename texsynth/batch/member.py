"""A worker of a Dask cluster: it does one order at a time, and says whether an order was begun before."""

from __future__ import annotations

import importlib
import os
import pickle
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from texsynth import __version__
from texsynth.batch.order import Order, Perform, Report
from texsynth.errors import ResourceError, one_line
from texsynth.runs import stop

_alone = threading.Lock()  # one order at a time: threads, the working folder and caches are those of the process


def ended(run: str) -> str:
    """The name of the event that a run has ended: nothing of it is begun any more."""
    return f"{run}-ended"


def begun(run: str, number: int) -> str:
    """The name of the event that an item of a run was begun. The scheduler keeps it, whatever becomes of workers."""
    return f"{run}-begun-{number}"


def work(run: str, version: str, folder: str, perform: str, content: bytes) -> bytes | str | None:
    """Do an order as a task of Dask, in a working folder; gives the report.

    content: the order, pickled, as is the report. version: of texsynth where the order was made; if this one is
    another, it is given as a str, and nothing is done. None: the run has ended.
    """
    if version != __version__:
        return str(__version__)
    from distributed import Event

    with _alone:
        if Event(ended(run)).is_set():
            return None
        order: Order = pickle.loads(content)
        mark = Event(begun(run, order.item.number))
        again = bool(mark.is_set())
        mark.set()
        return pickle.dumps(_report(replace(order, again=again), folder, perform))


def dask_setup(_: Any) -> None:
    """Called by Dask when a worker of `local:N` begins: Ctrl-C at a terminal is not for it, but for the process that
    began it, and the signals that were held back meanwhile may come."""
    with suppress(AttributeError, OSError):
        os.setpgid(0, 0)
    with suppress(AttributeError):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, stop.ENDING)


def _report(order: Order, folder: str, name: str) -> Report:
    module, _, function = name.partition(":")
    perform: Perform = getattr(importlib.import_module(module), function)
    try:
        with _inside(folder):
            return perform(order, lambda _: None)
    except OSError as error:
        reason = f"{one_line(folder)} on {socket.gethostname()} is no folder to work in ({error.strerror or error})"
        return Report(order.item, error=ResourceError(f"{reason}; all machines need the same files by the same paths"))


@contextmanager
def _inside(folder: str) -> Iterator[None]:
    """Work in a folder for a while; raises OSError where there is none."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
