"""The page is served until Ctrl-C ends it."""

from __future__ import annotations

import asyncio
import errno
import socket
import subprocess
import sys
import traceback
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import Any

import uvicorn

from texsynth.errors import InputError, UsageError, one_line
from texsynth.image import files
from texsynth.requests.machine import check_device, memory
from texsynth.runs import stop
from texsynth.studio import solver
from texsynth.studio.app import Began, application
from texsynth.studio.desk import SolverDesk
from texsynth.studio.guard import HEADERS, Gate
from texsynth.studio.news import News
from texsynth.studio.store import SUFFIXES, Store

HOST = "127.0.0.1"
PORT = 8317  # so that the address of the page is mostly the same
NEXT = 16  # ports that are tried from there on, before any that is free
HTTP: dict[str, Any] = {  # as uvicorn takes it: plain HTTP/1.1, in silence
    "loop": "asyncio",
    "http": "h11",
    "ws": "none",
    "interface": "asgi3",
    "lifespan": "off",
    "log_config": None,
    "log_level": "critical",
    "access_log": False,
    "proxy_headers": False,
    "server_header": False,
    "date_header": False,
    "timeout_graceful_shutdown": 1,
    "h11_max_incomplete_event_size": 1 << 14,  # bytes of the head of a request
    "limit_concurrency": 128,  # connections
    "headers": HEADERS,
}


def serve(request: Any) -> int:
    """Answer the page until Ctrl-C; gives the exit code. Raises UsageError for a port that is taken, and InputError for
    a picture that is not there."""
    _check(request.exemplar)
    check_device(request.device)
    machine = {"device": request.device, "threads": request.threads, "max_memory": request.max_memory}
    store = Store(Path.cwd(), memory(request.max_memory))
    with bound(request.port) as listening:
        begin = partial(solver.begin, request.max_memory, request.threads)
        studio = Studio(listening, begin, store, Began(request.exemplar, machine), request.debug)
        with suppress(KeyboardInterrupt), stop.later(studio.end):
            print(f"{studio.address}{studio.gate.token}/", flush=True)
            print("texsynth: the studio is open until Ctrl-C", file=sys.stderr, flush=True)
            if not request.no_browser:
                _browse(studio.address + studio.gate.invite())
            asyncio.run(studio.live())
    files.sweep([store.folder])
    return 0


class Studio:
    """All that is at work while the page is served."""

    def __init__(self, listening: socket.socket, begin: Any, store: Store, began: Began, debug: bool) -> None:
        port = listening.getsockname()[1]
        self.address = f"http://{HOST}:{port}/"
        self._listening = listening
        self._debug = debug
        self._desk = SolverDesk(begin, News(store))
        self.gate = Gate(application(self._desk, store, began, self._unexpected), port)
        self._server = _Server(uvicorn.Config(self.gate, **HTTP), self._desk.close)

    async def live(self) -> None:
        """Answer until `end`."""
        self._desk.open()
        try:
            await self._server.serve([self._listening])
        finally:
            self._desk.close()

    def end(self) -> None:
        """For a signal: let `live` end."""
        self._server.should_exit = True

    def _unexpected(self, problem: Exception) -> None:
        if self._debug:
            traceback.print_exception(problem)
        what = f"{type(problem).__name__}: {one_line(problem)}"
        print(f"texsynth: error: {what} (unexpected)", file=sys.stderr, flush=True)


class _Server(uvicorn.Server):
    """A server whose signals are answered elsewhere (`runs.stop`), and for whose end no page is waited for."""

    def __init__(self, config: uvicorn.Config, close: Callable[[], None]) -> None:
        super().__init__(config)
        self._close = close

    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]
        return nullcontext()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._close()
        await super().shutdown(sockets)


def _check(exemplar: Path | None) -> None:
    """Raise InputError for a picture to begin with that is none."""
    if exemplar is None or exemplar.is_dir():
        return
    if not exemplar.exists():
        where = one_line(exemplar.parent)
        raise InputError(f"{one_line(exemplar.name)}: no such file in {where}; check the path")
    if exemplar.suffix.lower() not in SUFFIXES:
        raise InputError(f"{one_line(exemplar.name)}: is no picture by its name; allowed: {' '.join(sorted(SUFFIXES))}")


def bound(port: int | None) -> socket.socket:
    """A socket of this machine alone that listens at a port; raises UsageError for one that cannot be had."""
    tried = [*range(PORT, PORT + NEXT), 0] if port is None else [port]
    for number in tried:
        listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            if sys.platform != "win32":  # where it would let two programs have one port
                listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind((HOST, number))
            listening.listen()
        except OSError as problem:
            listening.close()
            if number == tried[-1]:
                why = "is taken" if problem.errno == errno.EADDRINUSE else f"cannot be had ({problem.strerror})"
                raise UsageError(f"--port {number}: {why}; leave --port out for one that is free") from None
            continue
        return listening
    raise AssertionError(tried)


def _browse(address: str) -> None:
    """Open the page, if there is a browser. What that says is not for the output of this command, nor may a browser of
    the terminal take that over."""
    quiet = subprocess.DEVNULL
    with suppress(OSError):
        subprocess.Popen(
            [sys.executable, "-m", "webbrowser", address],
            stdin=quiet,
            stdout=quiet,
            stderr=quiet,
            start_new_session=True,
        )
