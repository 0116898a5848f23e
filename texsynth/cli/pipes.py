"""`-`: a picture from standard input, and the one that a command makes on standard output."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from texsynth.cli import streams
from texsynth.errors import InputError, ResourceError, UsageError
from texsynth.foreign.piped import NAME, STANDARD, Piped
from texsynth.image import picture as image
from texsynth.image.files import unwritable
from texsynth.image.picture import Picture
from texsynth.image.strips import Strips
from texsynth.requests.option import ARGUMENT, options
from texsynth.requests.option import replaced as with_values
from texsynth.requests.shared import PathOptions
from texsynth.verbs import parse

BLOCK = 1 << 20  # bytes that are read at a time
OUT = "stdout"  # how messages call the picture on standard output
# What would be written beside the picture, or be said in its place.
BESIDE = ("maps", "mtlx", "report", "preview", "save_field", "save_guides", "save_attention", "save_warp", "save_layer")
INSTEAD = ("json", "dry_run", "skip_existing", "update")


def to_stdout(request: Any) -> bool:
    """Does the picture of a command go to standard output?"""
    return getattr(request, "output", None) == STANDARD


def check_alone(request: Any) -> None:
    """Refuse what does not go together with a picture on standard output, and a terminal there; UsageError."""
    if not to_stdout(request):
        return
    flags = {o.name: o.flag for o in options(type(request))}
    for name in (*BESIDE, *INSTEAD):
        if getattr(request, name, None):
            raise UsageError(f"-o -: standard output holds the picture alone; leave {flags[name]} out, or name a file")
    if getattr(request, "variations", 1) > 1 and request.pick is None:
        raise UsageError("-o -: standard output holds one picture; --pick best chooses it, or name a file")
    check_no_terminal()


def check_no_terminal() -> None:
    """Refuse to print a picture on a terminal; UsageError."""
    if sys.stdout.isatty():
        raise UsageError("-o -: standard output is a terminal; send it to a file or a program, as in > OUT.png")


def filled(verb: str, request: Any) -> Any:
    """The request with what standard input holds where a picture is `-`; raises UsageError where that is not possible,
    InputError and ResourceError."""
    check_alone(request)
    read = {o: o.of(request) for o in options(type(request)) if o.role or ARGUMENT in o.flags}
    count = sum(word == STANDARD for value in read.values() for word in _words(value))
    if not count:
        return request
    if not isinstance(request, PathOptions):
        raise UsageError(f"- is standard input, which `texsynth {verb}` does not read; give a file")
    if count > 1:
        raise UsageError(f"- is named {count} times, but standard input holds one picture; give files for the others")
    piped = standard_input(parse.left(parse.memory(request.max_memory)))  # type: ignore[attr-defined]
    return with_values(request, {o: _with(value, piped) for o, value in read.items() if STANDARD in _words(value)})


def standard_input(memory: int) -> Piped:
    """What standard input holds, of at most `memory` bytes; raises UsageError, InputError and ResourceError."""
    if sys.stdin is None:
        raise InputError(f"{NAME}: standard input is closed; give a file")
    if sys.stdin.isatty():
        raise UsageError("- is standard input, which is a terminal; send a picture to it, as in < a.png")
    blocks: list[bytes] = []
    size = 0
    try:
        while block := sys.stdin.buffer.read(BLOCK):
            blocks.append(block)
            size += len(block)
            if 2 * size > memory:  # it is there twice while its blocks become one
                limit = f"half of the {memory >> 20} MB that --max-memory leaves"
                raise ResourceError(f"{NAME}: holds more than {limit}; give a smaller picture, or raise it")
        return Piped.of(b"".join(blocks))
    except OSError as error:
        raise InputError(f"{NAME}: cannot be read ({error.strerror or error}); give a file") from None


def check_place(request: Any, size: tuple[int, int], *places: Path) -> None:
    """Refuse what could not be written of pictures of `size` (height, width): a format that cannot hold them, and files
    that cannot be there; UsageError. A dry run leaves the folder of a batch unmade, so one that is missing is none."""
    if to_stdout(request):
        image.check_side("-o -", image.format_named(request.file_format), size)
        return
    for path in places:
        if path.parent.is_dir():
            image.check_writable(path, size)


def write(picture: Picture | Strips, request: Any, record: Mapping[str, Any]) -> list[str]:
    """Write a picture to standard output, a PNG with its record; gives a line for each loss."""
    form = image.format_named(request.file_format)
    content, notices = image.encoded(picture, form, OUT, None if request.no_metadata else dict(record))
    _send(content)
    if not request.no_metadata and form != image.format_named(None):
        notices.append(f"{OUT}: {form} holds no record of the run; a file has it beside, and a PNG inside")
    return notices


def write_map(picture: Picture) -> None:
    """Write a map to standard output, as PNG."""
    content, _ = image.encoded(picture, image.format_named(None), OUT)
    _send(content)


def _send(content: bytes | Callable[[IO[bytes]], None]) -> None:
    """A file's content to standard output, where it goes as a whole or not at all, too."""
    if isinstance(content, bytes):
        streams.write_bytes(content)
        return
    try:
        with tempfile.TemporaryFile() as file:
            content(file)
            file.seek(0)
            while block := file.read(BLOCK):
                streams.write_bytes(block)
    except OSError as error:
        raise unwritable(OUT, error) from None


def _words(value: Any) -> Iterator[str]:
    """All words in the value of an option."""
    if isinstance(value, Mapping):
        value = list(value.values())
    for item in value if isinstance(value, (list, tuple)) else [value]:
        if isinstance(item, (list, tuple)):
            yield from _words(item)
        elif isinstance(item, str):
            yield item


def _with(value: Any, piped: Piped) -> Any:
    """The value of an option with standard input where it says so."""
    if isinstance(value, Mapping):
        return {name: _with(item, piped) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_with(item, piped) for item in value)
    return piped if value == STANDARD else value
