"""Processes of this machine that do orders side by side, each with its own memory, and one after the other."""

from __future__ import annotations

import gc
import importlib
import os
import signal
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from texsynth.batch import child
from texsynth.batch.order import Hear, Order, Perform, Report, Step
from texsynth.errors import ResourceError, one_line
from texsynth.runs import stop

TRIES = 3  # of an order, each in a fresh process, where the processes die
PATIENCE = 10.0  # seconds that a process gets to end by itself


def run(orders: Sequence[Order], perform: Perform, count: int, goes_on: bool, hear: Hear) -> Iterator[Report]:
    """Have `count` processes do the orders; yields a report on each as it is finished.

    perform: a function that its module names, which is imported in each process. hear: gets steps of their runs.
    goes_on: are orders begun after one that failed? After Ctrl-C none are, and those at work get it too. An order whose
    process dies is done again in another, and failed after TRIES of them. With this process all others end.
    """
    crew = _Crew(f"{perform.__module__}:{perform.__qualname__}", deque(orders), goes_on)
    try:
        with stop.later(crew.stop):
            crew.hire(count)
            report: Report | None
            while crew.workers:
                for worker in crew.ready():
                    said = worker.hear()
                    if isinstance(said, Step):
                        hear(said)
                        continue
                    report = crew.take(worker, said) if said is not None else crew.lose(worker)
                    if report is not None:
                        yield report
    finally:
        crew.end()


@dataclass(eq=False)
class _Worker:
    """A process, the way to it, and the order that it does; tries counts the processes that began this order."""

    process: BaseProcess
    connection: Connection
    order: Order | None = None
    tries: int = 1

    def hear(self) -> Any:
        """What the process says; None where it says no more."""
        with suppress(EOFError, OSError):
            return self.connection.recv()
        return None

    def signal(self, *numbers: int) -> None:
        """Send signals to the process while it lives."""
        for number in numbers:
            if self.process.pid is not None and self.process.is_alive():
                os.kill(self.process.pid, number)


class _Crew:
    def __init__(self, perform: str, todo: deque[Order], goes_on: bool) -> None:
        self.perform = perform
        self.goes_on = goes_on
        self.todo = todo
        self.workers: dict[Connection, _Worker] = {}

    def ready(self) -> list[_Worker]:
        """Those who have something to say, or died; waits for one."""
        return [self.workers[connection] for connection in wait(list(self.workers)) if connection in self.workers]

    def hire(self, count: int) -> None:
        for _ in range(min(count, len(self.todo))):
            self.hand_out(self._begun())

    def hand_out(self, worker: _Worker) -> None:
        """Give the next order, or none, which ends the process."""
        worker.order, worker.tries = (self.todo.popleft() if self.todo else None), 1
        self._send(worker)

    def take(self, worker: _Worker, report: Report) -> Report | None:
        """What a process says of its order, which gets the next one; None where it was stopped alone, by something that
        ends processes for their memory: then it does not count."""
        if report.stopped and not stop.asked():
            worker.process.kill()
            return self.lose(worker)
        self._note(report)
        self.hand_out(worker)
        return report

    def lose(self, worker: _Worker) -> Report | None:
        """Go on without a process that has ended. An order that it had goes to a fresh one, or has failed."""
        del self.workers[worker.connection]
        worker.connection.close()
        worker.process.join(PATIENCE)
        if worker.order is None:
            return None
        if stop.asked():
            return Report(worker.order.item, stopped=True)
        if worker.tries == TRIES:
            return self._note(Report(worker.order.item, error=ResourceError(_died(worker))))
        fresh = self._begun()
        fresh.order, fresh.tries = replace(worker.order, again=True), worker.tries + 1
        self._send(fresh)
        return None

    def stop(self) -> None:
        """Begin nothing more, and let what is at work end as Ctrl-C ends it."""
        self.todo.clear()
        for worker in self.workers.values():
            worker.signal(signal.SIGINT)

    def end(self) -> None:
        """End all processes: those at work drop it, as at a second signal; who does not end in time is killed."""
        for worker in self.workers.values():
            if worker.order is not None:
                worker.signal(signal.SIGINT, signal.SIGTERM)
            worker.connection.close()
        for worker in self.workers.values():
            worker.process.join(PATIENCE)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()

    def _note(self, report: Report) -> Report:
        """Begin nothing more where a report says so."""
        if report.stopped or (report.error is not None and not self.goes_on):
            self.todo.clear()
        return report

    def _begun(self) -> _Worker:
        process, connection = child.begin(_serve, self.perform)
        worker = self.workers[connection] = _Worker(process, connection)
        return worker

    def _send(self, worker: _Worker) -> None:
        with suppress(OSError):  # of a process that died meanwhile, which its connection tells
            worker.connection.send(worker.order)


def _died(worker: _Worker) -> str:
    assert worker.order is not None
    remedy = "if the system ran out of memory, take fewer --jobs or a smaller --size"
    how = f"{child.ended(worker.process)}, {worker.tries} times over"
    return f"{one_line(worker.order.item.sources[0])}: its process {how}; {remedy}"


def _serve(connection: Connection, name: str) -> None:
    """The life of a process: do the orders that come, until none comes. Ctrl-C at a terminal is not for it, but for the
    process that began it, which passes it on."""
    child.apart()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # also where a shell's `&` has it ignored: it is passed on
    with suppress(KeyboardInterrupt, EOFError, OSError), stop.answered():
        child.answer()
        gc.disable()  # what is imported stays, so that to look for garbage in it is of no use
        module, _, function = name.partition(":")
        perform: Perform = getattr(importlib.import_module(module), function)
        gc.freeze()
        gc.enable()
        while (order := connection.recv()) is not None:
            connection.send(perform(order, connection.send))
    os._exit(0)
