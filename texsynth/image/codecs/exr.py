"""OpenEXR, half and float: chunks of pixels by the official library, which is the extra `exr`.

Colours are linear and stay the numbers that they are. They are multiplied by alpha in a file, and by nothing in memory:
those of opaque pixels are the same in both, and all of halfs come back bit for bit, since they are divided as floats.
"""

from __future__ import annotations

import contextlib
import io
import os
import struct
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import IO, BinaryIO

import numpy as np

from texsynth.errors import listed, one_line
from texsynth.image.codecs import exr_file
from texsynth.image.codecs.base import CodecError, Decoded, Format, Header, Opened, Rows, gathered, starts_with
from texsynth.image.codecs.exr_file import TYPES, Channel, ExrPart
from texsynth.image.codecs.tags import INCH, LINEAR_GAMMA, Tags, density

BLOCK = 1 << 24  # bytes of rows that are read at a time, and written
TRIPLES = (("r", "g", "b"), ("red", "green", "blue"), ("x", "y", "z"))  # what three channels of colours are called
LONGEST_NAMES = 12  # of channels that a message names
STDERR = 2
PRIMARIES = struct.Struct("<8f")  # red, green, blue and white, x and y of each
PLAIN = (("R", "G", "B"), ("R", "G", "B", "A"), ("Y",), ("Y", "A"))  # channels, which need no words


def _opened(handle: BinaryIO) -> Opened:
    parts = exr_file.parts(handle)
    flat = [part for part in parts if not part.is_deep]
    if not flat:
        raise CodecError("EXR of deep data; flat pictures are allowed, flatten it")
    part = next((part for part in flat if {"R", "G", "B"} <= {channel.name for channel in part.channels}), flat[0])
    if any(channel.sampling != (1, 1) for channel in part.channels):
        names = listed(c.name for c in part.channels if c.sampling != (1, 1))
        raise CodecError(f"EXR whose channels {names} have fewer pixels than others; convert it to RGB")
    colours, alpha = _taken(part)
    taken = colours if alpha is None else (*colours, alpha)
    depth = "float32" if alpha is not None or any(c.kind == 2 for c in taken) else "float16"
    stored = "float32" if any(c.kind == 2 for c in taken) else "float16"
    height, width = part.size
    rows = max(1, BLOCK // (part.chunk * part.across))  # of chunks, that are read at once
    strip = rows * part.chunk * part.across
    header = Header(width, height, len(taken), depth, *[6 * strip + 16 * part.down * part.across] * 2)

    def strips() -> Iterator[np.ndarray]:
        places = exr_file.offsets(handle, part)
        for first in range(0, part.down, rows):
            content = exr_file.some(handle, part, places[first : first + rows], first)
            samples = _samples(content, taken, depth)
            yield _unmultiplied(samples) if alpha is not None else samples

    def decode() -> Decoded:
        samples = gathered((height, width, len(taken)), depth, strips())
        return Decoded(samples, tags=_tags(part, taken), depth=stored, remark=_remark(parts, part, taken))

    return Opened(header, decode)


def _taken(part: ExrPart) -> tuple[tuple[Channel, ...], Channel | None]:
    """The channels of a part that are its colours, or its grey, and its alpha: those without a layer, or else of the
    first layer that has three of them. CodecError where there is neither, nor a single channel."""
    layers: dict[str, dict[str, Channel]] = {"": {}}
    for channel in part.channels:
        layer, _, name = channel.name.rpartition(".")
        layers.setdefault(layer, {})[name.lower()] = channel
    for triple in TRIPLES:
        for channels in layers.values():
            if all(name in channels for name in triple):
                alpha = channels.get("a", channels.get("alpha")) if triple != TRIPLES[-1] else None
                return _checked(*(channels[name] for name in triple)), alpha
    plain = layers[""]
    if "y" in plain:
        return _checked(plain["y"]), plain.get("a")
    others = [c for c in part.channels if c.name.rpartition(".")[2].lower() not in ("a", "alpha")] or part.channels
    if len(others) == 1:
        layer = others[0].name.rpartition(".")[0]
        alpha = layers[layer].get("a")
        return _checked(others[0]), alpha if alpha is not others[0] else None
    names = listed(one_line(c.name) for c in part.channels[:LONGEST_NAMES])
    raise CodecError(f"EXR of the channels {names}; R, G and B, Y, or a single one are needed; export those")


def _checked(*channels: Channel) -> tuple[Channel, ...]:
    """Channels of half or float; CodecError for whole numbers."""
    if whole := [channel.name for channel in channels if TYPES[channel.kind].kind == "u"]:
        raise CodecError(f"EXR whose channel {one_line(whole[0])} holds whole numbers of 32 bits; use half or float")
    return channels


def _samples(content: bytes, taken: tuple[Channel, ...], depth: str) -> np.ndarray:
    """(H, W, C) of the channels that are taken, of a file of some rows."""
    import OpenEXR

    with _silent():
        file = OpenEXR.File(io.BytesIO(content), separate_channels=True, num_threads=0)
    if not file.parts:
        raise CodecError("damaged EXR, export or copy the file again (its pixels cannot be decompressed)")
    stored = file.channels()
    return np.stack([stored[channel.name].pixels for channel in taken], axis=-1).astype(depth, copy=False)


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """The library writes what it finds wrong with a file to both standard streams, to one of them past Python."""
    with contextlib.redirect_stdout(io.StringIO()), Path(os.devnull).open("wb") as nothing:
        try:
            kept = os.dup(STDERR)
        except OSError:  # it is closed
            yield
            return
        os.dup2(nothing.fileno(), STDERR)
        try:
            yield
        finally:
            os.dup2(kept, STDERR)
            os.close(kept)


def _unmultiplied(samples: np.ndarray) -> np.ndarray:
    """Colours divided by their alpha, in place; 0 where that is 0. An alpha beyond 1 is 1."""
    colours, alpha = samples[..., :-1], np.clip(samples[..., -1:], 0, 1)
    np.divide(colours, alpha, out=colours, where=alpha > 0)
    colours[(alpha <= 0)[..., 0]] = 0
    return samples


def _tags(part: ExrPart, taken: tuple[Channel, ...]) -> Tags:
    """What a part says of its colours, of its resolution, and what its channels are called."""
    names = tuple(channel.name for channel in taken)
    shape = part.values.get(b"pixelAspectRatio", b"")
    inches = part.values.get(b"xDensity", b"")
    ratio = _float(shape) if len(shape) == 4 else Fraction(1)
    resolution = None
    if ratio is not None:
        across = _float(inches) if len(inches) == 4 else None
        resolution = density(across, across * ratio, INCH) if across is not None else density(1, ratio, None)
    coloured = tuple(name.rpartition(".")[2].lower() for name in names[:3]) in TRIPLES[:2]
    primaries = part.values.get(b"chromaticities")
    primaries = primaries if coloured and primaries is not None and len(primaries) == PRIMARIES.size else None
    return Tags(
        gamma=LINEAR_GAMMA if coloured else None,
        primaries=None if primaries is None else _to_png(primaries),
        density=resolution,
        chromaticities=primaries,
        channels=() if names in PLAIN else names,
    )


def _float(value: bytes) -> Fraction | None:
    """A float as the shortest decimal number that means it; None for what is none, or not positive."""
    number = np.frombuffer(value, "<f4")[0]
    return Fraction(str(number)) if np.isfinite(number) and number > 0 else None


def _to_png(primaries: bytes) -> bytes | None:
    """The chunk cHRM of a PNG by the chromaticities of an EXR; None where it cannot hold them."""
    values = PRIMARIES.unpack(primaries)
    if not all(0 <= value < 20000 for value in values):
        return None
    return struct.pack(">8I", *(round(100_000 * value) for value in (*values[6:], *values[:6])))


def _from_png(primaries: bytes) -> bytes:
    """The chromaticities of an EXR by the chunk cHRM of a PNG."""
    values = [value / 100_000 for value in struct.unpack(">8I", primaries)]
    return PRIMARIES.pack(*values[2:], *values[:2])


def _remark(parts: list[ExrPart], part: ExrPart, taken: tuple[Channel, ...]) -> str:
    """What was chosen of a file, where there was a choice."""
    names, out = [channel.name for channel in taken], []
    left = [channel.name for channel in part.channels if channel not in taken]
    if len(parts) > 1:
        out.append(f"of {len(parts)} parts {one_line(part.name)!r} is taken")
    if tuple(names) not in PLAIN or left:
        what = "grey" if len(names) < 3 else "RGB"
        alpha = " and alpha" if len(names) in (2, 4) else ""
        rest = f", and not {listed(map(one_line, left[:LONGEST_NAMES]))}" if left else ""
        several = "channels" if len(names) > 1 else "channel"
        are = "are" if len(names) > 1 else "is"
        out.append(f"the {several} {listed(map(one_line, names))} {are} taken as {what}{alpha}{rest}")
    if part.window != part.display:
        (height, width), (left_, top, right, bottom) = part.size, part.display
        out.append(
            f"all of its data window, {width}x{height}, is taken, not its display window, "
            f"{right - left_ + 1}x{bottom - top + 1}"
        )
    return "; ".join(out)


def _encoded(samples: np.ndarray, icc: bytes | None, tags: Tags, text: dict[str, str]) -> bytes:
    samples = samples.reshape(*samples.shape[:2], -1)
    out = io.BytesIO()
    _streamed(out, Rows(samples.shape, samples.dtype.name, lambda top, bottom: samples[top:bottom]), icc, tags, text, 1)
    return out.getvalue()


def _streamed(file: IO[bytes], rows: Rows, _: bytes | None, tags: Tags, __: dict[str, str], ___: int) -> None:
    height, width, count = rows.shape
    named = tags.channels if len(tags.channels) == count else PLAIN[{3: 0, 4: 1, 1: 2, 2: 3}[count]]
    kind = TYPES.index(np.dtype(rows.depth))
    window = 0, 0, width - 1, height - 1
    channels = tuple(sorted((Channel(name, kind) for name in named), key=lambda channel: channel.name.encode()))
    part = ExrPart(channels, window, window, exr_file.ZIP, values=_values(tags))
    step = part.rows * max(1, BLOCK // part.chunk)

    def strips() -> Iterator[bytes]:
        for top in range(0, height, step):
            yield _strip(rows.draw(top, min(top + step, height)), named, top)

    exr_file.write(file, part, strips())


def _strip(samples: np.ndarray, named: tuple[str, ...], top: int) -> bytes:
    """A file of some rows of a picture, from the row `top` on."""
    import OpenEXR

    height, width = samples.shape[:2]
    corners = (0, top), (width - 1, top + height - 1)
    settings = {"compression": OpenEXR.ZIP_COMPRESSION, "dataWindow": corners, "displayWindow": corners}
    channels = {name: np.ascontiguousarray(samples[..., number]) for number, name in enumerate(named)}
    out = io.BytesIO()
    OpenEXR.File(settings, channels, num_threads=0).write(out)
    return out.getvalue()


def _values(tags: Tags) -> dict[bytes, bytes]:
    """The attributes that hold the tags."""
    values: dict[bytes, bytes] = {}
    if tags.chromaticities is not None:
        values[b"chromaticities"] = tags.chromaticities
    elif tags.primaries is not None:
        values[b"chromaticities"] = _from_png(tags.primaries)
    if (wanted := tags.density) is not None:
        values[b"pixelAspectRatio"] = struct.pack("<f", wanted.y / wanted.x)
        if wanted.absolute:
            values[b"xDensity"] = struct.pack("<f", wanted.x * INCH)
    return values


EXR = Format(
    "EXR",
    (".exr",),
    starts_with(exr_file.MAGIC),
    _opened,
    _encoded,
    _streamed,
    held=("float16", "float32"),
    deepened={"uint8": "float16", "uint16": "float32"},
    has_profile=False,
    is_premultiplied=True,
    is_linear=True,
    needs=("OpenEXR", "exr"),
)
