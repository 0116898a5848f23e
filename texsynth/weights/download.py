"""Fetching one large file whose size and hash are known: resumed where it was cut, checked before it is kept."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from texsynth.errors import WeightsError
from texsynth.image.files import BLOCK, digest

TIMEOUT = 60  # seconds without a byte


@dataclass(frozen=True)
class RemoteFile:
    """A file on a server.

    what: the words for it in messages.
    url: its address.
    sha256: the first digits of its hash, or all.
    size: its size in bytes.
    again: how to try once more.
    elsewhere: what to do where fetching does not work.
    tolerance: by how many bytes the true size may differ.
    """

    what: str
    url: str
    sha256: str
    size: int
    again: str
    elsewhere: str
    tolerance: int = 0


def fetch(source: RemoteFile, target: Path, say: Callable[[str], None]) -> None:
    """Download to `target`, going on from TARGET.part where an earlier try left one.

    Says once what is fetched, from where and how large it is. Raises WeightsError when TEXSYNTH_OFFLINE is set, when
    the server cannot be reached or sends something else, when the file arrives cut or damaged, and without space.
    """
    if os.environ.get("TEXSYNTH_OFFLINE", "0") not in ("", "0"):
        raise WeightsError(f"{source.what} are not here, and TEXSYNTH_OFFLINE is set; {source.elsewhere}")
    part = target.with_name(f"{target.name}.part")
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        received = part.stat().st_size if part.exists() else 0
        if shutil.disk_usage(part.parent).free < source.size - received:
            raise WeightsError(f"{part.parent} has no room for {amount(source.size)}; {source.elsewhere}")
        going_on = f", going on after {amount(received)}" if received else ""
        say(f"fetching {source.what} ({amount(source.size)}) from {source.url}{going_on}")
        whole = _receive(source, part, received) if received < source.size + source.tolerance else source.size
        _check(source, part, whole)
        part.replace(target)
    except OSError as error:
        raise WeightsError(f"{part} cannot be written: {error.strerror or error}; {source.elsewhere}") from None


def _receive(source: RemoteFile, part: Path, received: int) -> int:
    """Bring `part`, which has that many bytes, as far as the connection lasts; gives the size of the whole file."""
    from http.client import HTTPException  # imported here: with ssl they would slow every start of the command line
    from urllib.error import HTTPError
    from urllib.request import Request, urlopen

    resumed = {"Range": f"bytes={received}-"} if received else {}
    request = Request(source.url, headers={"User-Agent": "texsynth", **resumed})
    try:
        answer = urlopen(request, timeout=TIMEOUT)
    except HTTPError as error:
        error.close()
        if error.code == 416:  # what is here is not the beginning of what is there
            part.unlink()
        raise WeightsError(f"{source.url}: the server says {error.code} {error.reason}; {source.elsewhere}") from None
    except (OSError, HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise WeightsError(f"{source.what}: no answer from {source.url} ({reason}); {source.elsewhere}") from None
    with answer:
        goes_on = answer.status == 206  # a server may ignore the range and begin again
        expected, stated = source.size - (received if goes_on else 0), answer.headers.get("Content-Length")
        length = expected if stated is None else int(stated)
        if abs(length - expected) > source.tolerance:  # a login page, perhaps; what is here stays
            raise WeightsError(f"{source.url}: the server sends {length} bytes, not {expected}; {source.elsewhere}")
        with part.open("ab" if goes_on else "wb") as file:
            for block in blocks(answer):
                file.write(block)
    return length + (received if goes_on else 0)


def blocks(answer: Any) -> Iterator[bytes]:
    """What arrives until the end or until the connection breaks; the file's size tells which it was."""
    from http.client import HTTPException

    with suppress(OSError, HTTPException):
        while block := answer.read1(BLOCK):
            yield block


def _check(source: RemoteFile, part: Path, whole: int) -> None:
    """Raise WeightsError unless the file is whole and has the right hash; one with another hash is removed."""
    size = part.stat().st_size
    if size < whole:
        reached = f"stopped at {amount(size)} of {amount(whole)}"
        raise WeightsError(f"fetching {source.what} {reached}; {source.again} goes on there, or {source.elsewhere}")
    actual = digest(part)
    if not actual.startswith(source.sha256):
        part.unlink()
        wrong = f"its SHA-256 begins {actual[:8]}, not {source.sha256[:8]}"
        raise WeightsError(f"{source.url} arrived damaged ({wrong}); {source.again} tries again, or {source.elsewhere}")


def amount(size: int) -> str:
    """Bytes as people read them."""
    return f"{size / 1e6:.0f} MB" if size >= 1e6 else f"{size / 1e3:.0f} kB"
