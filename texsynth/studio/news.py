"""What the pages are told: of the process that computes, and of the runs of each; the newest alone where a page does
not keep up."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from texsynth.errors import TexsynthError
from texsynth.studio import orders
from texsynth.studio.orders import Display, Said
from texsynth.studio.store import FINISHED, OPENED, PASSING, Store

MOST_TABS = 5  # since browsers open six connections to a server, of which one must be left
MOST_NEWS = 64  # runs of which a page that does not read is still told
MOST_MISSED = 8  # runs of which a page is told that connects again


class BusyError(TexsynthError):
    """There is so much already that no more is taken."""


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
        keep_last(self._news, MOST_NEWS)
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


class News:
    """All pages, and what they have been told last."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._tabs: set[Tab] = set()
        self._runs: OrderedDict[int, Mapping[str, Any]] = OrderedDict()  # the last ones, finished or not
        self._solver: Mapping[str, Any] = {"state": "starting", "message": ""}

    def tab(self, client: str) -> Tab:
        """A page that wants news, which begin with what it may have missed. Raises BusyError."""
        if len(self._tabs) >= MOST_TABS:
            raise BusyError(f"{MOST_TABS} pages are open; close one")
        tab = Tab(client)
        self._tabs.add(tab)
        tab.tell("solver", "solver", self._solver)
        missed = [run for run in self._runs.values() if run["client"] == client]
        for run in missed[-MOST_MISSED:]:
            tab.tell(run["run"], "run", run)
        return tab

    def leave(self, tab: Tab) -> None:
        """A page has gone."""
        self._tabs.discard(tab)

    def has(self, client: str) -> bool:
        """Is a page of this client open?"""
        return any(tab.client == client for tab in self._tabs)

    def end(self) -> None:
        """There will be no more news for anybody."""
        for tab in self._tabs:
            tab.end()

    def report(self, state: str, message: str = "") -> None:
        """Tell all pages of the process."""
        self._solver = {"state": state, "message": message}
        for tab in self._tabs:
            tab.tell("solver", "solver", self._solver)

    def tell(self, run: Mapping[str, Any]) -> None:
        """Tell the pages of a run of all that there is to say of it by now."""
        self._runs[run["run"]] = run
        keep_last(self._runs, MOST_NEWS)
        for tab in self._tabs:
            if tab.client == run["client"]:
                tab.tell(run["run"], "run", run)

    def of(self, said: Said) -> dict[str, Any]:
        """What is new of a run by what the process says of it."""
        if isinstance(said, orders.Started):
            return {"state": "started", "place": 0}
        if isinstance(said, orders.Drafted):
            picture = {} if said.shown is None else self._picture(said.shown, PASSING)
            return {"state": "draft", **picture, "level": said.level, "done": said.done, "left": said.left}
        if isinstance(said, orders.Done):
            kind = FINISHED if said.final else PASSING
            news = {"state": "done", **self._picture(said.shown, kind), "level": 0, "done": 1.0, "left": 0.0}
            news["maps"] = {name: self.display(display, kind) for name, display in said.maps.items()}
            news |= {"seconds": said.seconds, "notices": said.notices, "final": said.final}
            return {**news, "has_field": said.has_field, "relief": said.relief}
        if isinstance(said, orders.Failed):
            return {"state": "failed", "error": said.message}
        return {}

    def display(self, display: Display, kind: str = OPENED) -> dict[str, Any]:
        """A picture as a page is told of it. kind: as the store holds it."""
        height, width = display.size
        shown = self._store.show(display.png, kind)
        return {"shown": shown, "width": width, "height": height, "role": display.role, "down": display.down}

    def _picture(self, display: Display, kind: str) -> dict[str, Any]:
        about = self.display(display, kind)
        return {key: about[key] for key in ("shown", "width", "height")}


def keep_last(things: OrderedDict[Any, Any], most: int) -> None:
    """Forget the first of these where there are too many."""
    while len(things) > most:
        things.popitem(last=False)
