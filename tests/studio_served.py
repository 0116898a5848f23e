"""The studio as tests reach it: served in a thread, over HTTP, with a stand-in for the process that computes."""

from __future__ import annotations

import asyncio
import http.client
import io
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from PIL import Image

from texsynth.studio import orders, serving
from texsynth.studio.app import Began
from texsynth.studio.store import Store

HELD, FATAL, SLOW = 7001, 7002, 7003  # seeds of runs that last until they are dropped, end the process, do not stop
DEFINED = {"verbs": {}, "default": "field"}
SIGHT = 60.0  # seconds after which an answer that does not come has failed


def png(shade: int = 90) -> bytes:
    file = io.BytesIO()
    Image.new("L", (16, 12), shade).save(file, "PNG")
    return file.getvalue()


@dataclass
class Answer:
    """An answer to a request."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> str:
        """Its one line, which every error has."""
        assert next(iter(self.document)) == "error" and "\n" not in self.document["error"], self
        return str(self.document["error"])


class Standin:
    """Does as the process that computes, at once and in this one; and remembers its orders."""

    def __init__(self) -> None:
        self.orders: list[Any] = []
        self._at: orders.Run | None = None
        self._says: SimpleQueue[orders.Said | None] = SimpleQueue()
        self._says.put(orders.Ready("cpu", 1))

    def hear(self) -> orders.Said | None:
        return self._says.get()

    def kill(self) -> None:
        self._says.put(None)

    def died(self) -> str:
        return "the process that computes was ended by SIGKILL"

    def send(self, order: Any) -> None:
        self.orders.append(order)
        for said in getattr(self, f"_{type(order).__name__.lower()}")(order):
            self._says.put(said)

    def _define(self, order: orders.Define) -> list[Any]:
        return [orders.Defined(order.number, DEFINED)]

    def _look(self, order: orders.Look) -> list[Any]:
        try:
            content = getattr(order.path, "content", None) or order.path.read_bytes()
            size = Image.open(io.BytesIO(content)).size[::-1]
        except OSError:
            return [orders.Failed(order.number, f"{order.path.name}: is damaged", 3)]
        return [orders.Looked(order.number, orders.Display(png(1), size), 1, "uint8", False)]

    def _straighten(self, order: orders.Straighten) -> list[Any]:
        return [orders.Looked(order.number, orders.Display(png(2), (12, 16)), 1, "uint8", False, content=png(2))]

    def _run(self, order: orders.Run) -> list[Any]:
        first = orders.Started(order.number)
        if order.request.seed == FATAL:
            return [first, None]
        if order.request.seed in (HELD, SLOW):
            self._at = order
            return [first]
        shown = orders.Display(png(order.number), (64, 48))
        return [
            first,
            orders.Drafted(order.number, shown, 1.0, 0.5, 0.1),
            orders.Done(order.number, shown, 0.2, final=order.kind == orders.FINAL),
        ]

    def _cancel(self, order: orders.Cancel) -> list[Any]:
        assert self._at is not None and self._at.number == order.number
        return [] if self._at.request.seed == SLOW else [orders.Cancelled(order.number)]

    def _where(self, order: orders.Where) -> list[Any]:
        return [orders.Placed(order.number, 0, order.x + 1, order.y + 2, "none")]

    def _save(self, order: orders.Save) -> list[Any]:
        if "dies" in order.out.name:
            return [None]
        if "refused" in order.out.name:
            return [orders.Failed(order.number, "the disk is full", 4)]
        order.out.write_bytes(png())
        return [orders.Saved(order.number, (order.out,))]


@dataclass
class Served:
    """A studio that is served. solvers: the processes that it has begun, one after the other."""

    port: int
    token: str
    folder: Path
    solvers: list[Standin] = field(default_factory=list)
    invite: Callable[[], str] = str

    @contextmanager
    def connection(self) -> Iterator[http.client.HTTPConnection]:
        way = http.client.HTTPConnection("127.0.0.1", self.port, timeout=SIGHT)
        try:
            yield way
        finally:
            way.close()

    def raw(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Answer:
        """The answer to a request at any path."""
        with self.connection() as way:
            way.request(method, path, body, dict(headers or {}))
            response = way.getresponse()
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())

    def ask(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Answer:
        """The answer to a request of the page; a body that is no bytes is sent as JSON."""
        content = body if body is None or isinstance(body, bytes) else json.dumps(body)
        return self.raw(method, f"/{self.token}/{path}", content, headers)

    def upload(self, name: str = "brick.png", content: bytes | None = None, layer: str = "") -> str:
        answer = self.ask("POST", f"files?name={name}&layer={layer}", png() if content is None else content)
        assert answer.status == 200, answer
        return str(answer.document["id"])

    def run(self, client: str = "me", kind: str = "draft", **more: Any) -> Answer:
        """Ask for a run of a picture that is sent."""
        values = {"size": "64", **more.pop("values", {})}
        sheet = {"verb": "synthesize", "exemplars": [more.pop("exemplar", "") or self.upload()], "values": values}
        return self.ask("POST", "runs", {"client": client, "kind": kind, "sheet": {**sheet, **more}})

    @contextmanager
    def events(self, client: str = "me") -> Iterator[Iterator[tuple[str, Any]]]:
        """The news of a page, one by one."""
        with self.connection() as way:
            way.request("GET", f"/{self.token}/events?client={client}")
            response = way.getresponse()
            assert response.status == 200, response.read()
            yield _news(response)


def _news(response: http.client.HTTPResponse) -> Iterator[tuple[str, Any]]:
    name = ""
    while line := response.readline().decode().rstrip("\n"):
        name = line.removeprefix("event: ")
        data = response.readline().decode().removeprefix("data: ")
        response.readline()
        yield name, json.loads(data)


def until(news: Iterator[tuple[str, Any]], **wanted: Any) -> dict[str, Any]:
    """The first of the news that has these values."""
    return next(data for _, data in news if wanted.items() <= data.items())


@contextmanager
def serving_of(folder: Path, memory: int = 1 << 30, opened: Path | None = None) -> Iterator[Served]:
    """The studio in a folder, for as long as this lasts."""
    solvers: list[Standin] = []

    def begin() -> Standin:
        solvers.append(Standin())
        return solvers[-1]

    listening = serving.bound(None)
    machine = {"device": "auto", "threads": None, "max_memory": memory}
    studio = serving.Studio(listening, begin, Store(folder, memory), Began(opened, machine), debug=True)
    thread = threading.Thread(target=lambda: asyncio.run(studio.live()))
    thread.start()
    try:
        yield Served(listening.getsockname()[1], studio.gate.token, folder, solvers, studio.gate.invite)
    finally:
        studio.end()
        thread.join(SIGHT)
        listening.close()
        assert not thread.is_alive()
