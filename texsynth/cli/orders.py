"""How a process that the command was not started in does one item of it: a worker on this machine, or on another."""

from __future__ import annotations

import pickle
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any

from texsynth.batch.order import Entry, Hear, Line, Order, Report, Step
from texsynth.cli import actions, existing
from texsynth.cli.actions import Command
from texsynth.cli.existing import Guard
from texsynth.cli.messages import Talk, Tick
from texsynth.cli.plan import Plan
from texsynth.runs import machine, stop

_desk = threading.local()  # of the orders that this thread does


class RemoteError(Exception):
    """The traceback of an error in another process, as text."""


@dataclass
class Desk:
    """What a process keeps between the orders of one run of a command, so that each finds its preset and network ready.
    The next run reads them anew, as the worker of a cluster may live for months.

    lines and hear are those of the order at work; orders of one run have one request.
    """

    run: str
    request: Any
    lines: list[Line] = field(default_factory=list)
    hear: Hear = lambda _: None

    def __post_init__(self) -> None:
        machine.use_threads(self.request.threads or 1)
        machine.reuse_memory()
        self.talk = Talk(self._line("note"), self._line("say"), self._line("fail"), self._watch)
        self.reads = existing.read_by(self.request, ())
        self.swept: set[Any] = set()
        self.command: Command | None = None

    def entries(self, order: Order) -> Iterator[Entry]:
        """What comes of an order; raises whatever ends it."""
        inputs = self.reads | existing.named_by([order.item])
        guard = Guard(order.request, inputs, swept=self.swept, tried=order.absent if order.again else ())
        return actions.entries(self.prepared(order), order.item, self.talk, guard)

    def prepared(self, order: Order) -> Command:
        """The command that an order is of, made with the first of them."""
        if self.command is None:
            prepare = actions.maker(order.verb)
            self.command = prepare(order.verb, order.request, self.talk, Plan((order.item,), True, whole=order.whole))
        return self.command

    def _line(self, kind: str) -> Callable[[str], None]:
        return lambda text: self.lines.append((kind, text))

    def _watch(self, label: str) -> AbstractContextManager[Callable[[Tick], None]]:
        @contextmanager
        def watch() -> Iterator[Callable[[Tick], None]]:
            self.hear(Step(label))
            yield lambda tick: self.hear(Step(label, tick))
            self.hear(Step(label, ended=True))

        return watch()


def perform(order: Order, hear: Hear = lambda _: None) -> Report:
    """Do an order. What it says is in the report; `hear` gets the steps of its runs. Whatever fails is in the report
    too, and so is Ctrl-C."""
    entries: list[Entry] = []
    lines: list[Line] = []
    try:
        desk = _desk_of(order)
        desk.lines, desk.hear = lines, hear
        for entry in desk.entries(order):
            entries.append(entry)
            if stop.asked():  # meanwhile, so that the other outputs of the item are not begun
                break
    except KeyboardInterrupt:
        return Report(order.item, tuple(entries), tuple(lines), stopped=True)
    except Exception as error:
        return Report(order.item, tuple(entries), tuple(lines), portable(error))
    stopped = stop.asked() or any(entry.get("interrupted") for entry in entries)
    return Report(order.item, tuple(entries), tuple(lines), stopped=stopped)


def memory(order: Order) -> int:
    """The bytes that an order is said to need; 0 where that cannot be told, as who does the order tells why."""
    try:
        command = _desk_of(order).prepared(order)
        return int(next(iter(command.actions(order.item))).planned()["memory_bytes"])
    except Exception:
        return 0


def _desk_of(order: Order) -> Desk:
    """That of the order before, where it was of the same run."""
    desk: Desk | None = getattr(_desk, "last", None)
    if desk is None or desk.run != order.run:
        desk = _desk.last = Desk(order.run, order.request)
    return desk


def portable(error: Exception) -> Exception:
    """An error that can be pickled and says the same, with its traceback as its cause."""
    try:
        copy = pickle.loads(pickle.dumps(error))
        same = type(copy) is type(error) and str(copy) == str(error)
    except Exception:
        same = False
    carried = error if same else RuntimeError(f"{type(error).__name__}: {error}")
    carried.__cause__ = RemoteError("".join(traceback.format_exception(error)))
    return carried
