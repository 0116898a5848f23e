"""Fetching the file of a network: resumed where it was cut, checked before it is kept."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from texsynth.errors import NoRoomError, WeightsError
from texsynth.image.files import BLOCK, NO_SPACE, digest
from texsynth.weights.catalogue import Network

TIMEOUT = 60  # seconds without a byte


def fetch(network: Network, target: Path, say: Callable[[str], None]) -> None:
    """Download to `target`, going on from TARGET.part where an earlier try left one.

    Says once what is fetched, from where and how large it is. Raises WeightsError when TEXSYNTH_OFFLINE is set, when
    the server cannot be reached or sends something else, and when the file arrives cut or damaged; NoRoomError when
    the disk is full.
    """
    if os.environ.get("TEXSYNTH_OFFLINE", "0") not in ("", "0"):
        raise WeightsError(f"{network.name} weights are not here, and TEXSYNTH_OFFLINE is set; {network.elsewhere}")
    part = target.with_name(f"{target.name}.part")
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        received = part.stat().st_size if part.exists() else 0
        if shutil.disk_usage(part.parent).free < network.size - received:
            raise NoRoomError(f"{part.parent} has no room for {amount(network.size)}; {network.elsewhere}")
        going_on = f", going on after {amount(received)}" if received else ""
        say(f"fetching {network.name} weights ({amount(network.size)}) from {network.url}{going_on}")
        whole = _receive(network, part, received) if received < network.size + network.tolerance else network.size
        _check(network, part, whole)
        part.replace(target)
    except OSError as error:
        kind = NoRoomError if error.errno in NO_SPACE else WeightsError
        raise kind(f"{part} cannot be written: {error.strerror or error}; {network.elsewhere}") from None


def _receive(network: Network, part: Path, received: int) -> int:
    """Bring `part`, which has that many bytes, as far as the connection lasts; returns the size of the whole file."""
    from http.client import HTTPException  # imported here: with ssl they would slow every start of the command line
    from urllib.error import HTTPError
    from urllib.request import Request, urlopen

    resumed = {"Range": f"bytes={received}-"} if received else {}
    request = Request(network.url, headers={"User-Agent": "texsynth", **resumed})
    try:
        answer = urlopen(request, timeout=TIMEOUT)
    except HTTPError as error:
        error.close()
        if error.code == 416:  # what is here is not the beginning of what is there
            part.unlink()
        raise WeightsError(f"{network.url}: the server says {error.code} {error.reason}; {network.elsewhere}") from None
    except (OSError, HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise WeightsError(
            f"{network.name} weights: no answer from {network.url} ({reason}); {network.elsewhere}"
        ) from None
    with answer:
        goes_on = answer.status == 206  # a server may ignore the range and begin again
        expected, stated = network.size - (received if goes_on else 0), answer.headers.get("Content-Length")
        length = expected if stated is None else int(stated)
        if abs(length - expected) > network.tolerance:  # a login page, perhaps; what is here stays
            raise WeightsError(f"{network.url}: the server sends {length} bytes, not {expected}; {network.elsewhere}")
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


def _check(network: Network, part: Path, whole: int) -> None:
    """Raise WeightsError for a file that is cut, or has another hash; the latter is removed."""
    size, again = part.stat().st_size, f"`texsynth weights fetch {network.name}`"
    if size < whole:
        reached = f"stopped at {amount(size)} of {amount(whole)}"
        raise WeightsError(f"fetching {network.name} weights {reached}; {again} goes on there, or {network.elsewhere}")
    actual = digest(part)
    if not actual.startswith(network.sha256):
        part.unlink()
        wrong = f"its SHA-256 begins {actual[:8]}, not {network.sha256[:8]}"
        raise WeightsError(f"{network.url} arrived damaged ({wrong}); {again} tries again, or {network.elsewhere}")


def amount(size: int) -> str:
    """Bytes as people read them."""
    return f"{size / 1e6:.0f} MB" if size >= 1e6 else f"{size / 1e3:.0f} kB"
