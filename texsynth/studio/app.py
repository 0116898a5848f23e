"""What the page can ask for: its own files, pictures, runs and their news, each an answer of this module."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from texsynth.errors import InputError, ResourceError, TexsynthError, UsageError, one_line
from texsynth.foreign import json_text
from texsynth.foreign.held import Held
from texsynth.image import files
from texsynth.requests.shared import AUTO
from texsynth.studio import naming, orders, sheet
from texsynth.studio.definitions import STRAIGHTEN
from texsynth.studio.desk import KINDS, SolverDesk
from texsynth.studio.guard import Json, body, document, error
from texsynth.studio.news import BusyError
from texsynth.studio.store import KeptPicture, MissingError, Store, maps_among, plain, word

HERE = Path(__file__).parent
TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
PAGE = {path.name: path for path in (*(HERE / "page").iterdir(), HERE.parent / "report" / "light.js")}
PING = 15.0  # seconds after which a page without news gets an empty line, which shows whether it is still there
CLIENT = re.compile(r"[\w-]{1,64}", re.ASCII)
LAYER = re.compile(r"[a-z_]{1,40}")
PNG = b"\x89PNG\r\n\x1a\n"
STATUS = {UsageError: 400, InputError: 422, ResourceError: 507, BusyError: 429, MissingError: 410}


@dataclass(frozen=True)
class Began:
    """What the studio was started with. opened: the picture or the folder of the command line."""

    opened: Path | None
    machine: Mapping[str, Any]


class Answers:
    """Answers requests, of which the guard has let through those of the page."""

    def __init__(self, desk: SolverDesk, store: Store, began: Began) -> None:
        self._desk, self._store, self._began = desk, store, began
        self._uploads = asyncio.Semaphore(2)  # each may be large, until it is held
        self._writing = asyncio.Lock()  # of names that are free

    def routes(self) -> list[Route]:
        return [
            Route("/", self.page),
            Route("/page/{name}", self.page),
            Route("/definitions", self.definitions),
            Route("/folder", self.folder),
            Route("/open", self.open, methods=["POST"]),
            Route("/files", self.upload, methods=["POST"]),
            Route("/straighten", self.straighten, methods=["POST"]),
            Route("/pictures/{key}", self.picture),
            Route("/runs", self.run, methods=["POST"]),
            Route("/runs", self.cancel_all, methods=["DELETE"]),
            Route("/runs/{run:int}", self.cancel, methods=["DELETE"]),
            Route("/runs/{run:int}/source", self.source),
            Route("/runs/{run:int}/save", self.save, methods=["POST"]),
            Route("/command", self.command, methods=["POST"]),
            Route("/events", self.events),
        ]

    async def page(self, request: Request) -> Response:
        path = PAGE.get(request.path_params.get("name", "index.html"))
        if path is None or path.suffix not in TYPES:
            raise HTTPException(404, "the page has no such file")
        return Response(path.read_bytes(), media_type=TYPES[path.suffix])

    async def definitions(self, _: Request) -> Response:
        said = await self._desk.definitions()
        return Json(said.document) if isinstance(said, orders.Defined) else _failed(said, 503)

    async def folder(self, _: Request) -> Response:
        listed = await asyncio.to_thread(self._store.pictures)
        maps = await asyncio.to_thread(maps_among, [name for name, _ in listed])
        pictures = [{"name": name, "bytes": size, "maps": maps.get(name, [])} for name, size in listed]
        about = {"folder": self._store.folder.name, "pictures": pictures, "opened": self._opened()}
        chosen = {name: value for name, value in self._began.machine.items() if value not in (None, AUTO)}
        return Json({**about, **self._began.machine, **self._desk.machine, **chosen, "largest": self._store.largest})

    def _opened(self) -> str | None:
        """What the page calls the picture of the command line: by its name, or by its path where that is elsewhere."""
        path = self._began.opened
        if path is None:
            return None
        return path.name if path.name and files.real(path.parent) == self._store.folder else path.as_posix()

    async def open(self, request: Request) -> Response:
        name = _text(await document(request), "name")
        path = self._began.opened if name == self._opened() else await asyncio.to_thread(self._store.file, name)
        if path is None:
            raise HTTPException(404, f"{one_line(name, 60)}: there is no such picture in the folder")
        return await self._looked(path, find_maps=True)

    async def upload(self, request: Request) -> Response:
        layer, name = request.query_params.get("layer", ""), plain(request.query_params.get("name", ""))
        async with self._uploads:
            content = await body(request, self._store.largest)
            if not layer:
                return await self._looked(Held.of(content, name))
        if not LAYER.fullmatch(layer) or not content.startswith(PNG):
            raise HTTPException(400, "a layer is a PNG")
        return Json({"id": self._store.keep(Held.of(content, name), layer).identity, "name": name})

    async def straighten(self, request: Request) -> Response:
        asked = await document(request)
        kept = self._store.find(_text(asked, "id"))
        name = f"{word(kept.path.stem, 'picture')}_straight.png"
        wanted = sheet.straightening(asked.get("values"), kept.path, name, self._began.machine)
        said = await self._desk.ask(lambda number: orders.Straighten(number, wanted))
        if not isinstance(said, orders.Looked):
            return _failed(said)
        straight = sheet.Straightened.of(said.content, name)
        straight.request = wanted
        return self._source(self._store.keep(straight), said, command=sheet.text(STRAIGHTEN, wanted))

    async def picture(self, request: Request) -> Response:
        png = self._store.shown(request.path_params["key"])
        if png is None:
            raise HTTPException(404, "this picture is no longer held")
        return Response(png, media_type="image/png")

    async def run(self, request: Request) -> Response:
        wanted = await document(request)
        client, kind = _client(wanted.get("client")), wanted.get("kind")
        if kind not in KINDS:
            raise HTTPException(400, f"kind is one of {', '.join(KINDS)}")
        run, place = self._desk.run(client, kind, self._asked(wanted))
        return Json({"run": run, "place": place}, 202)

    async def cancel_all(self, request: Request) -> Response:
        self._desk.cancel(_client(request.query_params.get("client")))
        return Response(status_code=204)

    async def cancel(self, request: Request) -> Response:
        self._desk.cancel(number=request.path_params["run"])
        return Response(status_code=204)

    async def source(self, request: Request) -> Response:
        run, x, y = request.path_params["run"], *(_whole(request, name) for name in "xy")
        if self._desk.result(run) is None:
            raise _no_result()
        said = await self._desk.ask(lambda number: orders.Where(number, run, x, y))
        if not isinstance(said, orders.Placed):
            return _failed(said, 404)
        return Json({"exemplar": said.exemplar, "x": said.x, "y": said.y, "copy": said.copy})

    async def save(self, request: Request) -> Response:
        run, name = request.path_params["run"], _text(await document(request), "name")
        asked = self._desk.result(run)
        if asked is None:
            raise _no_result()
        async with self._writing:
            placed, created = await asyncio.to_thread(self._write, asked, name)
            out = self._store.folder / placed.out
            said = await self._desk.ask(lambda number: orders.Save(number, run, out, placed.names))
            if not isinstance(said, orders.Saved):
                self._store.remove(created)
                gone = isinstance(said, orders.Failed) and said.code == InputError.exit_code
                return _failed(said, 404 if gone else 422)
        names = [path.name for path in (*created, *said.files)]
        return Json({"files": names, "command": placed.command, "notices": said.notices})

    async def command(self, request: Request) -> Response:
        wanted = await document(request)
        name, asked = _text(wanted, "name"), self._asked(wanted)
        async with self._writing:
            placed, created = await asyncio.to_thread(self._write, asked, name)
        return Json({"files": [path.name for path in created], "command": placed.command})

    async def events(self, request: Request) -> Response:
        return _News(self._desk, _client(request.query_params.get("client")))

    def _asked(self, wanted: Mapping[str, Any]) -> sheet.Errand:
        return sheet.asked(wanted.get("sheet"), lambda name: self._store.find(name).path, self._began.machine)

    def _write(self, asked: sheet.Errand, name: str) -> tuple[naming.Naming, list[Path]]:
        """Write the inputs of what is asked for that are no files yet; gives all names, and these files."""
        placed = naming.placed(asked, name, self._store.names(), self._store.digest)
        return placed, self._store.write(placed.inputs)

    async def _looked(self, path: Path, find_maps: bool = False) -> Response:
        """Have a picture looked at, hold it, and say what it is."""
        said = await self._desk.ask(lambda number: orders.Look(number, path, find_maps))
        if not isinstance(said, orders.Looked):
            return _failed(said)
        return self._source(self._store.keep(said.colour or path), said)

    def _source(self, kept: KeptPicture, said: orders.Looked, **more: Any) -> Response:
        maps = {}
        for name, (path, display) in said.maps.items():
            entry = self._store.keep(path)
            maps[name] = {"id": entry.identity, "name": entry.path.name, **self._desk.news.display(display)}
        about = {"id": kept.identity, "name": kept.path.name, **self._desk.news.display(said.shown), "maps": maps}
        about |= {"channels": said.channels, "depth": said.depth, "alpha": said.alpha, "notices": said.notices}
        return Json({**about, "stem": naming.usual_stem(kept.path), **more})


class _News(StreamingResponse):
    """The news of a page, as it takes them, until it goes."""

    def __init__(self, desk: SolverDesk, client: str) -> None:
        self._desk, self._tab = desk, desk.news.tab(client)
        super().__init__(self._told(), media_type="text/event-stream")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._desk.leave(self._tab)

    async def _told(self) -> AsyncIterator[str]:
        while not self._tab.ended:
            news = await self._tab.news(PING)
            yield "".join(f"event: {name}\ndata: {json_text.text(data)}\n\n" for name, data in news) or ":\n\n"


def _failed(said: orders.Said, status: int = 422) -> Response:
    """The answer to what has asked for an order that came to nothing."""
    return error(status, said.message if isinstance(said, orders.Failed) else "it was dropped")


def _no_result() -> HTTPException:
    return HTTPException(404, "the result of this run is no longer held; make it again")


def _client(name: Any) -> str:
    if not isinstance(name, str) or not CLIENT.fullmatch(name):
        raise HTTPException(400, "client is a word of letters and digits")
    return name


def _text(values: Mapping[str, Any], name: str) -> str:
    if not isinstance(values.get(name), str):
        raise HTTPException(400, f"{name} is a text")
    return str(values[name])


def _whole(request: Request, name: str) -> int:
    text = request.query_params.get(name, "")
    if not re.fullmatch(r"\d{1,9}", text, re.ASCII):
        raise HTTPException(400, f"{name} is a whole number")
    return int(text)


def application(desk: SolverDesk, store: Store, began: Began, unexpected: Callable[[Exception], None]) -> Starlette:
    """The application. unexpected: is told of errors that nobody thought of."""

    async def fail(_: Request, problem: Exception) -> Response:
        if isinstance(problem, HTTPException):
            return error(problem.status_code, problem.detail)
        if isinstance(problem, TexsynthError):
            status = next((code for kind, code in STATUS.items() if isinstance(problem, kind)), 422)
            more = {"missing": [problem.identity]} if isinstance(problem, MissingError) else {}
            return error(status, str(problem), **more)
        if not isinstance(problem, ClientDisconnect):
            unexpected(problem)
        return error(500, f"{type(problem).__name__}: {one_line(problem)} (unexpected)")

    kinds = (HTTPException, TexsynthError, ClientDisconnect, Exception)
    app = Starlette(routes=Answers(desk, store, began).routes(), exception_handlers=dict.fromkeys(kinds, fail))
    app.router.redirect_slashes = False
    return app
