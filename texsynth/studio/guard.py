"""Who may ask, and how much: every request to the studio, and every answer, passes here.

The address of the page holds a token that nobody else knows. A page of another site can reach a server on this machine
too, by its number or by a name that it lets point here, but not with the token; and it is refused for what the browser
says of it, Host, Origin and Sec-Fetch-Site, before that is looked at.
"""

from __future__ import annotations

import asyncio
import secrets
from typing import Any

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from texsynth.foreign import json_text

HTTP = 80  # the port that browsers leave out
LONGEST_PATH = 200  # characters, more than any address of the page has
LARGEST_DOCUMENT = 1 << 20  # bytes
SILENCE = 30.0  # seconds without a byte after which the rest of a body is not waited for
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = [  # of every answer
    ("content-security-policy", POLICY),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cache-control", "no-store"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
]


class Json(Response):
    """Plain values as JSON, in which NaN, that JSON lacks, is null."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return json_text.text(content).encode()


def error(status: int, message: str, **more: Any) -> Json:
    """What all errors look like: one line in a document."""
    return Json({"error": message, **more}, status)


class Gate:
    """Lets requests through to `app`, with paths that begin after the token."""

    def __init__(self, app: ASGIApp, port: int) -> None:
        self.token = secrets.token_urlsafe(24)
        self._app = app
        self._hosts = {name if port == HTTP else f"{name}:{port}" for name in ("127.0.0.1", "localhost")}
        self._invitation = ""

    def invite(self) -> str:
        """The token of another address that leads to the page, once. Other users of a machine may see which address a
        browser is started with."""
        self._invitation = secrets.token_urlsafe(24)
        return self._invitation

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app, path = self._admitted(scope)
        await app({**scope, "path": path, "raw_path": path.encode("utf-8", "replace")}, receive, send)

    def _admitted(self, scope: Scope) -> tuple[ASGIApp, str]:
        """What answers a request, and the path that it asks for."""
        headers = Headers(scope=scope)
        host = headers.getlist("host")
        if len(host) != 1 or host[0].lower() not in self._hosts:
            return error(403, f"this page is at {' and '.join(sorted(self._hosts))} alone"), ""
        if not _is_at_home(headers, host[0]):
            return error(403, "another site asks"), ""
        _, token, *rest = (*scope["path"].split("/", 2), "")[:3]
        if _same(token, self._invitation):
            self._invitation = ""
            return RedirectResponse(f"/{self.token}/", 303), ""
        if not _same(token, self.token) or len(scope["path"]) > LONGEST_PATH:
            return error(404, "there is nothing here"), ""
        if scope["path"].count("/") == 1:  # the page names what belongs to it from the slash on
            return RedirectResponse(f"/{self.token}/", 307), ""
        return self._app, f"/{rest[0]}"


def _is_at_home(headers: Headers, host: str) -> bool:
    """Does a request come from the page itself, or from the user, as far as the browser says?"""
    origins, sites = headers.getlist("origin"), headers.getlist("sec-fetch-site")
    return {*origins} <= {f"http://{host}"} and {*sites} <= {"same-origin", "none"}


def _same(token: str, right: str) -> bool:
    """Is it that token? Takes as long however much of it is right."""
    return bool(right) and secrets.compare_digest(token.encode("utf-8", "replace"), right.encode())


async def body(request: Request, most: int) -> bytes:
    """The body of a request; raises HTTPException for more than `most` bytes, as soon as that is known."""
    declared = request.headers.get("content-length", "0")
    if len(declared) > 15 or int(declared) > most:
        raise _too_large(most)
    parts, size, stream = [], 0, request.stream().__aiter__()
    try:
        while part := await asyncio.wait_for(stream.__anext__(), SILENCE):
            size += len(part)
            if size > most:
                raise _too_large(most)
            parts.append(part)
    except StopAsyncIteration:
        pass
    except asyncio.TimeoutError:
        raise HTTPException(408, "the rest of it did not come") from None
    return b"".join(parts)


async def document(request: Request) -> dict[str, Any]:
    """The JSON object that a request brings; raises HTTPException."""
    content = await body(request, LARGEST_DOCUMENT)
    try:
        value = json_text.load(content.decode())
    except ValueError as problem:
        raise HTTPException(400, f"this is not JSON: {problem}") from None
    if not isinstance(value, dict):
        raise HTTPException(400, "a JSON object is needed")
    return value


def _too_large(most: int) -> HTTPException:
    return HTTPException(413, f"it is larger than the {_amount(most)} that this takes")


def _amount(size: int) -> str:
    return f"{size >> 20} MB" if size >> 20 else f"{size} bytes"
