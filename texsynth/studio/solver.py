"""The one process that computes: warm, and one order after the other, each of which can be dropped at any moment.

In it the main thread does the orders, and a second one listens. What drops an order at work is a signal of the process
to itself, whose answer, in the main thread, raises `Dropped` there. It does so only while that order may be left, which
is never the case while something is being said; so what is dropped is that order alone, and nothing said is cut off.
"""

from __future__ import annotations

import _thread
import gc
import os
import signal
import threading
import traceback
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import TYPE_CHECKING, Any

from texsynth.batch import child
from texsynth.errors import TexsynthError
from texsynth.runs import fault
from texsynth.studio.orders import Cancel, Cancelled, Failed, Order, Said, Started, Where

if TYPE_CHECKING:
    from texsynth.studio.work import Bench

PATIENCE = 5.0  # seconds that a process may take to end whose connection has ended
EARLY = "there is no result yet"


@dataclass(frozen=True)
class Solver:
    """The process as the server has it."""

    process: BaseProcess
    connection: Connection

    def send(self, order: Order | Cancel) -> None:
        """Give an order, or drop one; an end of the process is not told here, but by `hear`."""
        with suppress(OSError, ValueError):
            self.connection.send(order)

    def hear(self) -> Said | None:
        """What the process says next, for which this waits; None where it has ended."""
        with suppress(EOFError, OSError):
            said: Said = self.connection.recv()
            return said
        return None

    def kill(self) -> None:
        """End the process at once."""
        self.process.kill()
        self.process.join()

    def died(self) -> str:
        """How the process has ended, and what may help."""
        self.process.join(PATIENCE)
        remedy = "if the system ran out of memory, choose a smaller size"
        return f"the process that computes {child.ended(self.process)}, and a fresh one takes its place ({remedy})"


def begin(max_memory: str | int = "6G", threads: int | None = None) -> Solver:
    """Begin the process, which says `Ready` when it has loaded all that it needs; orders may come before."""
    return Solver(*child.begin(_live, max_memory, threads))


class Dropped(BaseException):
    """The order at work is dropped. It is no KeyboardInterrupt, which would give the picture so far."""


class _Exchange:
    """What the two threads of the process share: the orders that wait, and the one at work."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.work: Bench | None = None
        self._waiting: deque[Order] = deque()
        self._change = threading.Condition()  # of what waits, what is at work, and what is dropped
        self._saying = threading.Lock()
        self._number: int | None = None  # of the order at work
        self._dropped: int | None = None  # the same, once it is to be dropped
        self._may_leave = False  # written by the main thread alone

    # In the listening thread:

    def listen(self) -> None:
        """Take what comes until the server is gone, and with it the process; it also ends where an order cannot be
        taken, for want of memory for example, since nobody would hear the next one."""
        code = 1
        try:
            while True:
                self._take(self.connection.recv())
        except (EOFError, OSError):
            code = 0
        finally:
            os._exit(code)

    def _take(self, order: Order | Cancel) -> None:
        if isinstance(order, Cancel):
            self._drop(order.number)
        elif isinstance(order, Where):
            self.say(self._where(order))
        else:
            with self._change:
                self._waiting.append(order)
                self._change.notify()

    def _drop(self, number: int) -> None:
        with self._change:
            rest = deque(order for order in self._waiting if order.number != number)
            waited, self._waiting = len(rest) < len(self._waiting), rest
            if number == self._number:
                self._dropped = number
                _thread.interrupt_main()
        if waited:
            self.say(Cancelled(number))

    def _where(self, order: Where) -> Said:
        try:
            return Failed(order.number, EARLY, 2) if self.work is None else self.work.where(order)
        except Exception as error:
            return _failed(order, error)

    # In the main thread:

    def answer(self, *_: Any) -> None:
        """The answer to the signal: leave the order at work, where it is dropped and may be left."""
        if self._may_leave and self._dropped is not None:
            self._may_leave = False
            raise Dropped

    def serve(self, work: Bench) -> None:
        """Do the orders that come."""
        self.work = work
        while True:
            with self._change:
                self._change.wait_for(lambda: self._waiting)
                order = self._waiting.popleft()
                self._number = order.number
            self.say(Started(order.number))
            said = self._done(order, work)
            with self._change:
                self._number = self._dropped = None
            self.say(said)
            work.rest()

    def _done(self, order: Order, work: Bench) -> Said:
        try:
            try:
                self._may_leave = True
                self.answer()
                return work.do(order, self._tell, self._kept_together)
            except Exception as error:
                return _failed(order, error)
            finally:
                self._may_leave = False
        except Dropped:
            return Cancelled(order.number)

    def _tell(self, said: Said) -> None:
        """Say something of the order at work."""
        with self._kept_together():
            self.say(said)

    @contextmanager
    def _kept_together(self) -> Iterator[None]:
        """The order at work is not left inside, but afterwards."""
        self._may_leave = False
        try:
            yield
        finally:
            self._may_leave = True
        self.answer()

    def say(self, said: Said) -> None:
        """From any thread; nothing is said to a server that is gone."""
        with self._saying, suppress(OSError):
            self.connection.send(said)


def _failed(order: Order, error: Exception) -> Failed:
    message, code = fault.explained(error, "see the terminal")
    if code == TexsynthError.exit_code:
        traceback.print_exception(error)
    return Failed(order.number, message, code)


def _live(connection: Connection, max_memory: str | int, threads: int | None) -> None:
    """The life of the process."""
    child.apart()
    exchange = _Exchange(connection)
    signal.signal(signal.SIGINT, exchange.answer)
    child.answer()
    threading.Thread(target=exchange.listen, daemon=True).start()
    gc.disable()  # what is imported stays, so that to look for garbage in it is of no use
    from texsynth.runs import machine
    from texsynth.studio.work import Bench

    machine.reuse_memory()
    work = Bench(max_memory, threads)
    gc.freeze()
    gc.enable()
    exchange.say(work.ready)
    exchange.serve(work)
