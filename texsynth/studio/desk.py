"""What is to be computed, in turn, by the one process that computes; and what becomes of it.

The process gets one order at a time, so that what waits can be dropped here. A run makes way for what a page waits for,
and is begun again after that. An order that does not stop when it is told to is ended with the process; where that
dies, of whatever, a fresh one goes on with what waits.
"""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from queue import SimpleQueue
from typing import Any, Protocol

from texsynth.errors import ResourceError
from texsynth.studio import orders
from texsynth.studio.news import BusyError, News, Tab, keep_last
from texsynth.studio.orders import Order, Said
from texsynth.studio.sheet import Errand

MOST_WAITING = 32  # runs
MOST_RESULTS = 3  # finished runs that can be saved, as many as the process holds
PATIENCE = 10.0  # seconds that an order may take to stop
GRACE = 5.0  # seconds after which a page that went has not only been reloaded
STARTS = 3  # of a process that dies before it is ready, until it is asked for again
ENDED = "the studio has ended"
STUCK = "what was cancelled did not stop, so that the process that computes was ended, and a fresh one takes its place"
SOON = 1.0  # seconds that a run has left which does not make way any more
SEED = "seed"  # the kind of a draft that is made to be chosen from, beside others
KINDS = (orders.DRAFT, orders.FINAL, SEED)


class Computes(Protocol):
    """The process that computes, see `solver`."""

    def send(self, order: Any) -> None:
        """Hand over an order, or a Cancel; silent where the process has ended."""

    def hear(self) -> Said | None:
        """What it says, as soon as it says something; None once it has ended."""

    def kill(self) -> None:
        """End it at once."""

    def died(self) -> str:
        """How it ended, in words."""


@dataclass(eq=False)
class Turn:
    """An order, and who waits for it: a run tells the pages of its client, anything else has an answer. dropped: nobody
    wants it any more. aside: it makes way, and comes back."""

    order: Order
    answer: asyncio.Future[Said] | None = None
    client: str = ""
    kind: str = ""
    asked: Errand | None = None
    dropped: bool = False
    aside: bool = False
    state: dict[str, Any] = field(default_factory=dict)

    @property
    def number(self) -> int:
        return self.order.number


class _Line:
    """The way to a process: threads that speak and listen, as either may wait."""

    def __init__(self, process: Computes, hear: Callable[[_Line, Said | None], None]) -> None:
        self.process = process
        self._loop = asyncio.get_running_loop()
        self._hear = hear
        self._orders: SimpleQueue[Any] = SimpleQueue()
        for work in (self._speak, self._listen):
            threading.Thread(target=work, daemon=True).start()

    def say(self, order: Any) -> None:
        self._orders.put(order)

    def end(self) -> None:
        self._orders.put(None)
        self.process.kill()

    def _speak(self) -> None:
        try:
            while (order := self._orders.get()) is not None:
                self.process.send(order)
        except Exception:  # for want of memory, for example: nobody would answer that order
            self.process.kill()
            raise

    def _listen(self) -> None:
        said: Said | None
        try:
            while (said := self.process.hear()) is not None:
                self._pass_on(said)
        finally:
            self._pass_on(None)

    def _pass_on(self, said: Said | None) -> None:
        with suppress(RuntimeError):  # of a loop that is closed, as it is when the studio has ended
            self._loop.call_soon_threadsafe(self._hear, self, said)


class SolverDesk:
    """Takes work, and hands it to the process that `begin` starts."""

    def __init__(self, begin: Callable[[], Computes], news: News) -> None:
        self._begin = begin
        self.news = news
        self._numbers = count(1)
        self.machine: Mapping[str, Any] = {}  # what the process says of it, once it has started
        self._line: _Line | None = None
        self._starts = 0  # without one that became ready
        self._closed = False
        self._waiting: list[Turn] = []
        self._at_work: Turn | None = None
        self._beside: dict[int, Turn] = {}  # what is answered at once
        self._results: OrderedDict[int, Errand] = OrderedDict()
        self._defined: orders.Defined | None = None

    def open(self) -> None:
        """Start a process; where none can be had, what waits has failed."""
        self._starts += 1
        try:
            self._line = _Line(self._begin(), self._heard)
        except OSError as problem:
            self._give_up(f"no process can be started that computes ({problem.strerror})")
        self._next()

    def close(self) -> None:
        """End the process, and all that waits for it, for good."""
        line, self._line, self._closed = self._line, None, True
        if line is not None:
            line.end()
        self._fail(self._at_it(), ENDED)
        self._give_up(ENDED)
        self.news.end()

    async def definitions(self) -> Said:
        """What can be asked for, as soon as that is known."""
        said = self._defined or await self.ask(orders.Define)
        if isinstance(said, orders.Defined):
            self._defined = said
        return said

    async def ask(self, make: Callable[[int], Order]) -> Said:
        """Have an order done that is no run; gives the last thing that is said of it."""
        answer: asyncio.Future[Said] = asyncio.get_running_loop().create_future()
        turn = Turn(make(next(self._numbers)), answer)
        if isinstance(turn.order, orders.Where) and self._line is not None:
            self._beside[turn.number] = turn
            self._line.say(turn.order)
        else:
            self._put(turn)
        return await answer

    def run(self, client: str, kind: str, asked: Errand) -> tuple[int, int]:
        """Have a run made, in place of older ones of the same page; gives its number, and how many orders come before
        it. Raises BusyError."""
        if kind != SEED:
            self.cancel(client)
        if sum(bool(turn.client) for turn in self._waiting) >= MOST_WAITING:
            raise BusyError(f"{MOST_WAITING} runs wait already; wait for one of them")
        depth = orders.FINAL if kind == orders.FINAL else orders.DRAFT
        order = orders.Run(next(self._numbers), asked.verb, asked.request, depth)
        turn = Turn(order, client=client, kind=kind, asked=asked)
        self._tell(turn, "queued", place=0)
        self._put(turn)
        return turn.number, turn.state["place"]

    def cancel(self, client: str = "", number: int = 0) -> None:
        """Drop the runs of a page, or the run of a number."""
        for turn in [*self._waiting, *self._at_it()]:
            if turn.client and (turn.client == client or turn.number == number):
                self._drop(turn)

    def result(self, number: int) -> Errand | None:
        """What a finished run was asked for, as long as its result may still be there."""
        return self._results.get(number)

    def leave(self, tab: Tab) -> None:
        """A page has gone; what it asked for is not made any more, unless it comes back soon."""
        self.news.leave(tab)

        def check() -> None:
            if not self.news.has(tab.client):
                self.cancel(tab.client)

        asyncio.get_running_loop().call_later(GRACE, check)

    # Work, in turn

    def _at_it(self) -> list[Turn]:
        """What the process has been given."""
        return [*([] if self._at_work is None else [self._at_work]), *self._beside.values()]

    def _put(self, turn: Turn) -> None:
        """Let an order wait for its turn: runs come after all else, and make way for that."""
        if turn.client:
            self._waiting.append(turn)
        else:
            self._insert(turn)
            self._make_way()
        if self._closed:
            self._give_up(ENDED)
        elif self._line is None:
            self._starts = 0
            self.open()
        self._next()

    def _insert(self, turn: Turn) -> None:
        """Put an order before the runs that wait."""
        self._waiting.insert(sum(not each.client for each in self._waiting), turn)

    def _make_way(self) -> None:
        run = self._at_work
        if run is None or not run.client or run.dropped or run.aside or run.state.get("left", SOON) < SOON:
            return
        run.aside = True
        self._stop(run)

    def _next(self) -> None:
        if self._at_work is None and self._waiting and self._line is not None:
            self._at_work = self._waiting.pop(0)
            self._line.say(self._at_work.order)
        for place, turn in enumerate(self._waiting, start=1):
            if turn.client and turn.state["place"] != place:
                self._tell(turn, "queued", place=place)

    def _drop(self, turn: Turn) -> None:
        if turn.dropped:
            return
        turn.dropped = True
        if turn.client:
            self._tell(turn, "cancelled")
        if turn in self._waiting:
            self._waiting.remove(turn)
            self._next()
        elif turn is self._at_work and not turn.aside:
            self._stop(turn)

    def _stop(self, turn: Turn) -> None:
        """Have the order at work stopped."""
        if self._line is not None:
            self._line.say(orders.Cancel(turn.number))
            asyncio.get_running_loop().call_later(PATIENCE, self._press, turn, self._line)

    def _press(self, turn: Turn, line: _Line) -> None:
        """Kill a process that has not stopped."""
        if turn is self._at_work and line is self._line and (turn.dropped or turn.aside):
            line.process.kill()

    # What the process says

    def _heard(self, line: _Line, said: Said | None) -> None:
        if line is not self._line:
            return
        if said is None:
            self._lost(line)
            return
        if isinstance(said, orders.Ready):
            self._starts = 0
            self.machine = {"device": said.device, "threads": said.threads}
            self.news.report("ready")
            return
        turn = next((each for each in self._at_it() if each.number == said.number), None)
        if turn is None:
            return
        if turn.client and not turn.dropped:
            self._follow(turn, said)
        if isinstance(said, orders.LAST):
            self._finish(turn, said)

    def _finish(self, turn: Turn, said: Said) -> None:
        self._beside.pop(turn.number, None)
        if turn is self._at_work:
            self._at_work = None
        if isinstance(said, orders.Cancelled) and turn.aside and not turn.dropped:
            self._insert(turn)
        turn.aside = False
        if turn.answer is not None and not turn.answer.done():
            turn.answer.set_result(said)
        self._next()

    def _fail(self, works: list[Turn], why: str) -> None:
        """Nobody does these any more."""
        for turn in works:
            failed = orders.Failed(turn.number, why, ResourceError.exit_code)
            if turn.client and not turn.dropped:
                self._follow(turn, failed)
            if turn.answer is not None and not turn.answer.done():
                turn.answer.set_result(failed)

    def _give_up(self, why: str) -> None:
        """Let all that waits fail."""
        waiting, self._waiting = self._waiting, []
        self._fail(waiting, why)

    def _lost(self, line: _Line) -> None:
        """Go on without a process that has ended: what it was at has failed, and its results are gone."""
        lost = self._at_it()
        why = STUCK if any(turn.dropped or turn.aside for turn in lost) else line.process.died()
        line.end()
        self._line, self._at_work = None, None
        self._beside.clear()
        self._results.clear()
        self.news.report("restarted", f"{why}; results that were not saved are gone")
        self._fail(lost, why)
        if self._starts < STARTS:
            self.open()
        else:  # it does not even start
            self._give_up(why)

    def _follow(self, turn: Turn, said: Said) -> None:
        """Tell the pages of a run what is said of it."""
        if news := self.news.of(said):
            self._tell(turn, **news)
        if isinstance(said, orders.Done) and said.final and turn.asked is not None:
            self._results[turn.number] = turn.asked
            keep_last(self._results, MOST_RESULTS)

    def _tell(self, turn: Turn, state: str, **news: Any) -> None:
        about = {"run": turn.number, "client": turn.client, "kind": turn.kind, "state": state}
        turn.state = {**turn.state, **about, **news}
        self.news.tell(turn.state)
