"""What is to be computed, in turn, by the one process that computes; and what becomes of it, for the pages.

The process gets one order at a time, so that what waits can be dropped here. One that does not stop when it is told to
is killed, and where it dies, of whatever, a fresh one goes on with what waits. Each page gets what is new of each of
its runs, the newest alone where it does not keep up.
"""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import count
from queue import SimpleQueue
from typing import Any, Protocol

from texsynth.errors import ResourceError, TexsynthError
from texsynth.studio import orders
from texsynth.studio.orders import Display, Order, Said
from texsynth.studio.sheet import Errand
from texsynth.studio.store import Store

MOST_WAITING = 32  # runs
MOST_TABS = 16
MOST_NEWS = 64  # runs of which a page that does not read is still told
MOST_RESULTS = 3  # finished runs that can be saved, as many as the process holds
PATIENCE = 10.0  # seconds that an order may take to stop
GRACE = 5.0  # seconds after which a page that went has not only been reloaded
STARTS = 3  # of a process that dies before it is ready, until it is asked for again
SEED = "seed"  # the kind of a draft that is made to be chosen from, beside others
KINDS = (orders.DRAFT, orders.FINAL, SEED)


class BusyError(TexsynthError):
    """So much waits that no more is taken."""


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
    """An order, and who waits for it: a run tells the pages of its client, anything else has an answer."""

    order: Order
    answer: asyncio.Future[Said] | None = None
    client: str = ""
    kind: str = ""
    asked: Errand | None = None
    dropped: bool = False
    state: dict[str, Any] = field(default_factory=dict)

    @property
    def number(self) -> int:
        return self.order.number


class Tab:
    """What a page has not been told yet: the last news of each thing."""

    def __init__(self, client: str) -> None:
        self.client = client
        self.ended = False
        self._news: OrderedDict[Any, tuple[str, Mapping[str, Any]]] = OrderedDict()
        self._some = asyncio.Event()

    def tell(self, thing: Any, event: str, data: Mapping[str, Any]) -> None:
        """Put in what is new of a thing, in the place of older news of it."""
        self._news.pop(thing, None)
        self._news[thing] = (event, data)
        _keep_last(self._news, MOST_NEWS)
        self._some.set()

    def end(self) -> None:
        """There will be no more news."""
        self.ended = True
        self._some.set()

    async def news(self, patience: float) -> list[tuple[str, Mapping[str, Any]]]:
        """What is new, waited for; nothing after that many seconds."""
        try:
            await asyncio.wait_for(self._some.wait(), patience)
        except asyncio.TimeoutError:
            return []
        self._some.clear()
        news = list(self._news.values())
        self._news.clear()
        return news


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
        while (order := self._orders.get()) is not None:
            self.process.send(order)

    def _listen(self) -> None:
        said: Said | None
        while (said := self.process.hear()) is not None:
            self._pass_on(said)
        self._pass_on(None)

    def _pass_on(self, said: Said | None) -> None:
        if not self._loop.is_closed():  # as it is when the studio has ended
            self._loop.call_soon_threadsafe(self._hear, self, said)


class SolverDesk:
    """Takes work, and hands it to the process that `begin` starts."""

    def __init__(self, begin: Callable[[], Computes], store: Store) -> None:
        self._begin, self._store = begin, store
        self._numbers = count(1)
        self.machine: Mapping[str, Any] = {}  # what the process says of it, once it has started
        self._line: _Line | None = None
        self._starts = 0
        self._waiting: list[Turn] = []
        self._at_work: Turn | None = None
        self._beside: dict[int, Turn] = {}  # what is answered at once
        self._tabs: set[Tab] = set()
        self._states: OrderedDict[int, Mapping[str, Any]] = OrderedDict()  # of the last runs, finished or not
        self._results: OrderedDict[int, Errand] = OrderedDict()
        self._solver: Mapping[str, Any] = {"state": "starting", "message": ""}
        self._defined: orders.Defined | None = None

    def open(self) -> None:
        """Start a process."""
        self._starts += 1
        self._line = _Line(self._begin(), self._heard)
        self._next()

    def close(self) -> None:
        """End the process, and all that waits for it."""
        line, self._line = self._line, None
        if line is not None:
            line.end()
        self._fail([*self._waiting, *self._at_it()], "the studio has ended")
        self._waiting.clear()
        for tab in self._tabs:
            tab.end()

    async def definitions(self) -> Said:
        """What can be asked for, as soon as that is known."""
        said = self._defined or await self.ask(orders.Define)
        if isinstance(said, orders.Defined):
            self._defined = said
        return said

    async def ask(self, make: Callable[[int], Order]) -> Said:
        """Have an order done that is no run; gives the last thing that is said of it."""
        answer: asyncio.Future[Said] = asyncio.get_running_loop().create_future()
        work = Turn(make(next(self._numbers)), answer)
        if isinstance(work.order, orders.Where) and self._line is not None:
            self._beside[work.number] = work
            self._line.say(work.order)
        else:
            self._put(work)
        try:
            return await answer
        finally:
            if answer.cancelled():  # who asked has gone
                self._drop(work)

    def run(self, client: str, kind: str, asked: Errand) -> tuple[int, int]:
        """Have a run made, in place of older ones of the same page; gives its number, and how many orders come before
        it. Raises BusyError."""
        if kind != SEED:
            self.cancel(client)
        if sum(bool(work.client) for work in self._waiting) >= MOST_WAITING:
            raise BusyError(f"{MOST_WAITING} runs wait already; wait for one of them")
        depth = orders.FINAL if kind == orders.FINAL else orders.DRAFT
        order = orders.Run(next(self._numbers), asked.verb, asked.request, depth)
        work = Turn(order, client=client, kind=kind, asked=asked)
        self._tell(work, "queued", place=0)
        self._put(work)
        return work.number, work.state["place"]

    def cancel(self, client: str = "", number: int = 0) -> None:
        """Drop the runs of a page, or the run of a number."""
        for work in [*self._waiting, *self._at_it()]:
            if work.client and (work.client == client or work.number == number):
                self._drop(work)

    def result(self, number: int) -> Errand | None:
        """What a finished run was asked for, as long as its result may still be there."""
        return self._results.get(number)

    def tab(self, client: str) -> Tab:
        """A page that wants news, which begin with what it may have missed. Raises BusyError."""
        if len(self._tabs) >= MOST_TABS:
            raise BusyError(f"{MOST_TABS} pages are open; close one")
        tab = Tab(client)
        self._tabs.add(tab)
        tab.tell("solver", "solver", self._solver)
        for number, state in self._states.items():
            if state["client"] == client:
                tab.tell(number, "run", state)
        return tab

    def leave(self, tab: Tab) -> None:
        """A page has gone; what it asked for is not made any more, unless it comes back soon."""
        self._tabs.discard(tab)

        def check() -> None:
            if tab.client not in {each.client for each in self._tabs}:
                self.cancel(tab.client)

        asyncio.get_running_loop().call_later(GRACE, check)

    # Turn, in turn

    def _at_it(self) -> list[Turn]:
        """What the process has been given."""
        return [*([] if self._at_work is None else [self._at_work]), *self._beside.values()]

    def _put(self, work: Turn) -> None:
        """Let work wait for its turn: runs come after all else, for which a page waits."""
        place = len(self._waiting) if work.client else sum(not each.client for each in self._waiting)
        self._waiting.insert(place, work)
        if self._line is None:
            self._starts = 0
            self.open()
        self._next()

    def _next(self) -> None:
        if self._at_work is None and self._waiting and self._line is not None:
            self._at_work = self._waiting.pop(0)
            self._line.say(self._at_work.order)
        for place, work in enumerate(self._waiting, start=1):
            if work.client and work.state["place"] != place:
                self._tell(work, "queued", place=place)

    def _drop(self, work: Turn) -> None:
        if work.dropped:
            return
        work.dropped = True
        if work.client:
            self._tell(work, "cancelled")
        if work in self._waiting:
            self._waiting.remove(work)
            self._next()
        elif work is self._at_work and self._line is not None:
            self._line.say(orders.Cancel(work.number))
            asyncio.get_running_loop().call_later(PATIENCE, self._press, work)

    def _press(self, work: Turn) -> None:
        """Kill a process that has not stopped."""
        if work is self._at_work and self._line is not None:
            self._line.process.kill()

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
            self._report("ready")
            return
        work = next((each for each in self._at_it() if each.number == said.number), None)
        if work is None:
            return
        if work.client and not work.dropped:
            self._follow(work, said)
        if isinstance(said, orders.LAST):
            self._finish(work, said)

    def _finish(self, work: Turn, said: Said) -> None:
        self._beside.pop(work.number, None)
        if work is self._at_work:
            self._at_work = None
        if work.answer is not None and not work.answer.done():
            work.answer.set_result(said)
        self._next()

    def _fail(self, works: list[Turn], why: str) -> None:
        """Nobody does these any more."""
        for work in works:
            failed = orders.Failed(work.number, why, ResourceError.exit_code)
            if work.client and not work.dropped:
                self._follow(work, failed)
            if work.answer is not None and not work.answer.done():
                work.answer.set_result(failed)

    def _lost(self, line: _Line) -> None:
        """Go on without a process that has ended: what it was at has failed, and its results are gone."""
        why = line.process.died()
        line.end()
        lost = self._at_it()
        wanted = not any(work.dropped for work in lost)
        self._line, self._at_work = None, None
        self._beside.clear()
        self._results.clear()
        self._report("restarted", why if wanted else "")
        if self._starts >= STARTS:  # it does not even start
            lost, self._waiting = [*lost, *self._waiting], []
        else:
            self.open()
        self._fail(lost, why)

    # What the pages are told

    def _follow(self, work: Turn, said: Said) -> None:
        """Tell the pages of a run what is said of it."""
        if isinstance(said, orders.Started):
            self._tell(work, "started", place=0)
        elif isinstance(said, orders.Drafted):
            picture = {} if said.shown is None else self._shown(said.shown)
            self._tell(work, "draft", **picture, level=said.level, done=said.done, left=said.left)
        elif isinstance(said, orders.Done):
            maps = {name: self.display(display, True) for name, display in said.maps.items()}
            news = {"seconds": said.seconds, "maps": maps, "notices": said.notices, "final": said.final}
            news |= {"has_field": said.has_field, "relief": said.relief}
            self._tell(work, "done", **self._shown(said.shown), **news, level=0, done=1.0, left=0.0)
            if said.final and work.asked is not None:
                self._results[work.number] = work.asked
                _keep_last(self._results, MOST_RESULTS)
        elif isinstance(said, orders.Failed):
            self._tell(work, "failed", error=said.message)

    def display(self, display: Display, passing: bool = False) -> dict[str, Any]:
        """A picture as a page is told of it."""
        height, width = display.size
        shown = self._store.show(display.png, passing)
        return {"shown": shown, "width": width, "height": height, "role": display.role, "down": display.down}

    def _shown(self, display: Display) -> dict[str, Any]:
        return {key: value for key, value in self.display(display, True).items() if key not in ("role", "down")}

    def _tell(self, work: Turn, state: str, **news: Any) -> None:
        about = {"run": work.number, "client": work.client, "kind": work.kind, "state": state}
        work.state = {**work.state, **about, **news}
        self._states[work.number] = work.state
        _keep_last(self._states, MOST_NEWS)
        for tab in self._tabs:
            if tab.client == work.client:
                tab.tell(work.number, "run", work.state)

    def _report(self, state: str, message: str = "") -> None:
        self._solver = {"state": state, "message": message}
        for tab in self._tabs:
            tab.tell("solver", "solver", self._solver)


def _keep_last(things: OrderedDict[Any, Any], most: int) -> None:
    while len(things) > most:
        things.popitem(last=False)
