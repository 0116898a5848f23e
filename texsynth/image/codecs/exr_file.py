"""The container of OpenEXR: headers and chunks, read, checked and put together here. What is in a chunk is the matter
of the library, which only ever sees plain files of some rows of one part, made of chunks that were looked at.

After the file layout in the documentation of OpenEXR (https://openexr.com/en/latest/OpenEXRFileLayout.html).
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import IO, BinaryIO

import numpy as np

from texsynth.image.codecs.base import MAX_PIXELS, CodecError, size_of

MAGIC = b"\x76\x2f\x31\x01"
VERSION, TILED, LONG_NAMES, DEEP, PARTS = 2, 0x200, 0x400, 0x800, 0x1000  # the number, and flags beside it
LONGEST_NAME, LONGEST_VALUE = 255, 1 << 16  # bytes of a name, and of a value that is read
MOST_ATTRIBUTES, MOST_PARTS, MOST_CHUNKS = 4096, 1024, 1 << 20
FARTHEST = 1 << 30  # pixels from the origin
TYPES = (np.dtype("uint32"), np.dtype("float16"), np.dtype("float32"))  # of samples, by their number
# The rows of a chunk, by the number of its compression: none, RLE, ZIPS, ZIP, PIZ, PXR24, B44, B44A, DWAA, DWAB, ZSTD.
ROWS = {0: 1, 1: 1, 2: 1, 3: 16, 4: 32, 5: 16, 6: 32, 7: 32, 8: 32, 9: 256, 13: 1}
ZIP = 3
WAVELETS = (10, 11, 12)  # of JPEG 2000: their decoder ends the process on damaged data
READ = {  # the attributes that are read, and their types
    b"channels": b"chlist",
    b"chromaticities": b"chromaticities",
    b"chunkCount": b"int",
    b"compression": b"compression",
    b"dataWindow": b"box2i",
    b"displayWindow": b"box2i",
    b"lineOrder": b"lineOrder",
    b"name": b"string",
    b"pixelAspectRatio": b"float",
    b"tiles": b"tiledesc",
    b"type": b"string",
    b"xDensity": b"float",
}
REST = {b"screenWindowCenter": (b"v2f", bytes(8)), b"screenWindowWidth": (b"float", struct.pack("<f", 1))}
CARRIED = (b"chromaticities", b"pixelAspectRatio", b"xDensity")  # attributes that are no matter of the pixels
FLAT = (b"scanlineimage", b"tiledimage")
Window = tuple[int, int, int, int]  # x and y of the first pixel and of the last


@dataclass(frozen=True)
class Channel:
    """A channel: its name and the number of its type in TYPES; whether it is perceptually linear, which a compression
    asks for; how many pixels to a sample."""

    name: str
    kind: int
    is_linear: int = 0
    sampling: tuple[int, int] = (1, 1)


@dataclass(frozen=True)
class ExrPart:
    """A part of a file: a picture of its own.

    tile: (width, height) of its tiles; None where it is stored by rows.
    values: Those of CARRIED that it has, as they are stored.
    number: Which part it is; None in a file of one.
    table: Where the list of its chunks begins.
    """

    channels: tuple[Channel, ...]
    window: Window
    display: Window
    compression: int
    order: int = 0
    tile: tuple[int, int] | None = None
    is_deep: bool = False
    name: str = ""
    values: Mapping[bytes, bytes] = field(default_factory=dict)
    number: int | None = None
    table: int = 0

    @property
    def size(self) -> tuple[int, int]:
        """(height, width)."""
        return self.window[3] - self.window[1] + 1, self.window[2] - self.window[0] + 1

    @property
    def rows(self) -> int:
        """The rows of a chunk."""
        return ROWS[self.compression] if self.tile is None else self.tile[1]

    @property
    def down(self) -> int:
        """The number of chunks from its top to its bottom."""
        return -(-self.size[0] // self.rows)

    @property
    def across(self) -> int:
        """The number of chunks beside each other."""
        return 1 if self.tile is None else -(-self.size[1] // self.tile[0])

    @property
    def pixel(self) -> int:
        """The bytes of a pixel, of all channels."""
        return sum(TYPES[channel.kind].itemsize for channel in self.channels)

    @property
    def chunk(self) -> int:
        """The bytes of a chunk before it is compressed."""
        return self.rows * (self.size[1] if self.tile is None else self.tile[0]) * self.pixel


def parts(handle: BinaryIO) -> list[ExrPart]:
    """The parts of a file; CodecError for what is damaged."""
    handle.seek(0)
    magic, version = struct.unpack("<4sI", _exactly(handle, 8))
    if magic != MAGIC or version & 0xFF != VERSION or version & ~(0xFF | TILED | LONG_NAMES | DEEP | PARTS):
        raise _damaged("its version is unknown")
    several = bool(version & PARTS)
    headers: list[dict[bytes, bytes]] = []
    while (not headers or several) and (values := _attributes(handle)):
        headers.append(values)
        if len(headers) > MOST_PARTS:
            raise CodecError(f"EXR of more than {MOST_PARTS} parts; export the one you want")
    if not headers:
        raise _damaged("it has no header")
    place, out = handle.tell(), []
    for number, values in enumerate(headers):
        part = _part(values, version)
        count = struct.unpack("<i", _value(values, b"chunkCount", 4))[0] if several else 0
        out.append(replace(part, number=number if several else None, table=place))
        place += 8 * count
    return out


def _exactly(handle: BinaryIO, count: int) -> bytes:
    content = handle.read(count)
    if len(content) < count:
        raise _damaged("it ends too early")
    return content


def _damaged(why: str) -> CodecError:
    return CodecError(f"damaged or truncated EXR, export or copy the file again ({why})")


def _word(handle: BinaryIO) -> bytes:
    """A name, up to the zero that ends it."""
    start = handle.tell()
    text, end, _ = handle.read(LONGEST_NAME + 1).partition(b"\0")
    if not end:
        raise _damaged("its header is none")
    handle.seek(start + len(text) + 1)
    return text


def _attributes(handle: BinaryIO) -> dict[bytes, bytes]:
    """The values of a header, as far as they are READ; none where there is no further header."""
    values: dict[bytes, bytes] = {}
    size = size_of(handle)
    for _ in range(MOST_ATTRIBUTES):
        if not (name := _word(handle)):
            return values
        kind, (length,) = _word(handle), struct.unpack("<I", _exactly(handle, 4))
        if name in READ and (kind != READ[name] or length > LONGEST_VALUE):
            raise _damaged(f"its {name.decode()} is none")
        if handle.tell() + length > size:
            raise _damaged("it ends too early")
        if name in READ:
            values[name] = _exactly(handle, length)
        else:
            handle.seek(length, 1)
    raise _damaged("its header has no end")


def _value(values: Mapping[bytes, bytes], name: bytes, length: int, default: bytes | None = None) -> bytes:
    """An attribute of so many bytes."""
    value = values.get(name, default)
    if value is None or len(value) != length:
        raise _damaged(f"its {name.decode()} is missing")
    return value


def _part(values: Mapping[bytes, bytes], version: int) -> ExrPart:
    """The part that a header describes."""
    window, display = (_window(values, name) for name in (b"dataWindow", b"displayWindow"))
    kind = values.get(b"type", b"")
    tiled = kind == b"tiledimage" if version & PARTS else bool(version & TILED)
    compression, order = (_value(values, name, 1)[0] for name in (b"compression", b"lineOrder"))
    if compression not in ROWS or order > 2:
        name = "of JPEG 2000" if compression in WAVELETS else f"number {compression}"
        raise CodecError(f"EXR with the compression {name}, which is not read; write it with ZIP, PIZ or another")
    tile = None
    if tiled:
        width, height, _ = struct.unpack("<IIB", _value(values, b"tiles", 9))
        if not 0 < width * height <= MAX_PIXELS:
            raise CodecError(f"EXR with tiles of {width}x{height}; at most {MAX_PIXELS} pixels are allowed")
        tile = width, height
    deep = bool(version & DEEP) if not version & PARTS else kind not in FLAT
    name = values.get(b"name", b"").decode("utf-8", "replace")
    carried = {attribute: values[attribute] for attribute in CARRIED if attribute in values}
    channels = _channels(values.get(b"channels", b""))
    return ExrPart(channels, window, display, compression, order, tile, deep, name, carried)


def _window(values: Mapping[bytes, bytes], name: bytes) -> Window:
    left, top, right, bottom = struct.unpack("<4i", _value(values, name, 16))
    if max(map(abs, (left, top, right, bottom))) > FARTHEST or right < left or bottom < top:
        raise _damaged(f"its {name.decode()} is empty or too large")
    return left, top, right, bottom


def _channels(value: bytes) -> tuple[Channel, ...]:
    """The list of channels, which are in the order of their names."""
    out: list[Channel] = []
    while value not in (b"", b"\0"):
        name, _, rest = value.partition(b"\0")
        if len(rest) < 16:
            raise _damaged("its channels are none")
        kind, linear, across, down = struct.unpack_from("<IB3xii", rest)
        if not name or len(name) > LONGEST_NAME or kind >= len(TYPES) or min(across, down) < 1:
            raise _damaged("its channels are none")
        try:
            out.append(Channel(name.decode(), kind, linear & 1, (across, down)))
        except UnicodeDecodeError:
            raise _damaged("the name of a channel is none") from None
        value = rest[16:]
    names = [channel.name.encode() for channel in out]
    if value != b"\0" or not names or names != sorted(set(names)):
        raise _damaged("its channels are none, or in no order")
    return tuple(out)


def offsets(handle: BinaryIO, part: ExrPart) -> np.ndarray:
    """Where the chunks of a part begin, (down, across), without those of its reduced copies; CodecError where some are
    missing."""
    count = part.down * part.across
    if count > MOST_CHUNKS:
        raise CodecError(f"EXR of {count} rows or tiles; at most {MOST_CHUNKS} are allowed; use larger tiles")
    handle.seek(part.table)
    table = np.frombuffer(_exactly(handle, 8 * count), "<u8")
    if table.min() < part.table or table.max() >= size_of(handle):
        raise CodecError("truncated EXR, export or copy the file again (pixels are missing)")
    return table.reshape(part.down, part.across)


def some(handle: BinaryIO, part: ExrPart, places: np.ndarray, first: int) -> bytes:
    """A file of some of the rows of chunks of a part, those at `places` (N, across), of which the first is that of the
    number `first`. Raises CodecError for chunks that are not what they should be."""
    left, top, right, bottom = part.window
    start = top + first * part.rows
    window = left, start, right, min(bottom, start + len(places) * part.rows - 1)
    begin, count = struct.Struct("<iiii" if part.tile is not None else "<i"), len(places) * part.across
    chunks = []
    for number, place in enumerate(places.flatten().tolist()):
        handle.seek(place)
        if part.number is not None and struct.unpack("<i", _exactly(handle, 4))[0] != part.number:
            raise _damaged("a chunk is one of another part")
        down, across = divmod(number, part.across)
        wanted = (start + down * part.rows,) if part.tile is None else (across, first + down, 0, 0)
        if begin.unpack(_exactly(handle, begin.size)) != wanted:
            raise _damaged("a chunk is not where it should be")
        (length,) = struct.unpack("<I", _exactly(handle, 4))
        if length > part.chunk:
            raise _damaged("a chunk is too long")
        renumbered = wanted if part.tile is None else (across, down, 0, 0)
        chunks.append(begin.pack(*renumbered) + struct.pack("<I", length) + _exactly(handle, length))
    plain = replace(part, window=window, display=window, order=0, values={}, number=None)
    return b"".join([header(plain), *_table(len(header(plain)) + 8 * count, map(len, chunks)), *chunks])


def _table(place: int, lengths: Iterable[int]) -> list[bytes]:
    """The list of chunks of these lengths, one behind the other from a place on."""
    out = []
    for length in lengths:
        out.append(struct.pack("<Q", place))
        place += length
    return out


def header(part: ExrPart) -> bytes:
    """The beginning of a file of one part, up to the list of its chunks."""
    channels = b"".join(
        c.name.encode() + b"\0" + struct.pack("<IB3xii", c.kind, c.is_linear, *c.sampling) for c in part.channels
    )
    values = {
        b"channels": channels + b"\0",
        b"compression": bytes([part.compression]),
        b"dataWindow": struct.pack("<4i", *part.window),
        b"displayWindow": struct.pack("<4i", *part.display),
        b"lineOrder": bytes([part.order]),
        b"pixelAspectRatio": struct.pack("<f", 1),
        **part.values,
    }
    if part.tile is not None:
        values[b"tiles"] = struct.pack("<IIB", *part.tile, 0)
    typed = {name: (READ[name], value) for name, value in values.items()} | REST
    attributes = (
        name + b"\0" + kind + b"\0" + struct.pack("<I", len(value)) + value for name, (kind, value) in typed.items()
    )
    flags = VERSION | LONG_NAMES | (TILED if part.tile is not None else 0)
    return struct.pack("<4sI", MAGIC, flags) + b"".join(attributes) + b"\0"


def write(file: IO[bytes], part: ExrPart, strips: Iterable[bytes]) -> None:
    """Write a file of a part to a file that is open and empty, by files of some of its rows, from its top."""
    file.write(header(part))
    table = file.tell()
    file.write(bytes(8 * part.down))
    places = []
    for strip in strips:
        handle = io.BytesIO(strip)
        (piece,) = parts(handle)
        starts = offsets(handle, piece)[:, 0].tolist()
        body = file.tell() - starts[0]
        places += [start + body for start in starts]
        file.write(strip[starts[0] :])
    file.seek(table)
    file.write(np.array(places, "<u8").tobytes())
    file.seek(0, 2)
