"""Spoil a file: flip bits, cut it, lie about sizes; or change what stands in it, where its format is known."""

from __future__ import annotations

import io
import json
import math
import re
import struct
import zlib
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch
import yaml

DEEP = "@deep@"  # stands for lists in lists, which are written as text: the fuzzer must not fail on them itself
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 3, 2**31, -(2**63), 10**30, 10**400, 0.5, -0.0, 1e-300, 1e308, math.nan, math.inf),
    *("", " ", "auto", "none", "x" * 300, "1", "-1", "nan", "a.png", "../a.png", "/etc/passwd", "\0", "é", "=1+1"),
    *("\x1b[31mred", "two\nlines", "<script>", "\u202e", "x" * 100_000, DEEP, [], {}, [1, 2], [[]], {"a": 1}),
)
YAMLS = (
    "\n".join(f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]" for a, b in pairwise("abcdefghij")).replace("*a", "x"),
    "method: !!python/object/apply:os.system ['touch canary']\n",
    "method: !!binary aGVsbG8=\n",
    "method: field\nmethod: gram\n",
    "<<: {method: field}\n",
    "? [method]\n: field\n",
    "method: 2001-01-01\n",
    "method: field\npasses: 0b1_0\n",
    "method: field\n---\nmethod: field\n",
    "a: &a [*a]\nmethod: field\n",
    "- field\n",
    "field",
    "method: {field: 1}\nstages: [{method: field}]\n",
    "%YAML 9.9\n---\nmethod: field\n",
    "method:\tfield\n",
)


class Code:
    """Its pickle would run a command."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return __import__("os").system, ("touch canary",)


def spoiled(name: str, content: bytes, rng: Random) -> bytes:
    """Other content for the file `name`: by its format, byte by byte, or both."""
    by_format = BY_SUFFIX.get(Path(name).suffix, numbers)
    if rng.random() < 0.7:
        content = by_format(content, rng)
    if rng.random() < 0.35:
        for _ in range(rng.choice((1, 1, 2, 5))):
            content = rng.choice(BYTES)(content, rng)
    return content


def flipped(content: bytes, rng: Random) -> bytes:
    """Some bits are others."""
    out = bytearray(content)
    for _ in range(rng.choice((1, 3, 30)) if out else 0):
        out[rng.randrange(len(out))] ^= 1 << rng.randrange(8)
    return bytes(out)


def truncated(content: bytes, rng: Random) -> bytes:
    """The end is missing."""
    return content[: rng.choice((0, 1, 8, rng.randrange(len(content) + 1)))]


def moved(content: bytes, rng: Random) -> bytes:
    """A piece is missing, or stands somewhere else, or twice."""
    start, end, to = sorted(rng.randrange(len(content) + 1) for _ in range(3))
    return content[: rng.choice((start, end))] + rng.choice((b"", content[start:end])) + content[end:to] + content[to:]


def numbers(content: bytes, rng: Random) -> bytes:
    """Numbers near the beginning, where headers stand, lie."""
    out = bytearray(content)
    for _ in range(rng.choice((1, 2, 4))):
        number = rng.choice((0, 1, 2, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 60000, 2**31 - 1, 2**32 - 1, rng.randrange(2**32)))
        packed = number.to_bytes(4, rng.choice(("big", "little")))[: rng.choice((1, 2, 4))]
        place = rng.randrange(min(len(out), rng.choice((32, 128, 100_000))) + 1)
        out[place : place + len(packed)] = packed
    return bytes(out)


def grown(content: bytes, rng: Random) -> bytes:
    """Something follows, or comes first."""
    more = rng.choice((b"\0" * 9, b"x" * 70_000, content, rng.randbytes(50)))
    return rng.choice((content + more, more + content))


def numerals(content: bytes, rng: Random) -> bytes:
    """A number that is written in words of a header lies."""
    places = [match.span() for match in re.finditer(rb"[-\d.]+", content[:200])]
    if not places:
        return numbers(content, rng)
    start, end = rng.choice(places)
    number = rng.choice((b"0", b"-1", b"1", b"99999", b"4294967296", b"9" * 400, b"1e400", b"nan", b"", b"0.5"))
    return content[:start] + number + content[end:]


BYTES: tuple[Callable[[bytes, Random], bytes], ...] = (flipped, flipped, truncated, moved, numbers, grown)


def png(content: bytes, rng: Random) -> bytes:
    """Chunks with right sums but other contents: a header that lies, another record, chunks gone, twice or foreign."""
    parts, place = [], 8
    while place + 12 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, place)
        parts.append((kind, content[place + 8 : place + 8 + length]))
        place += 12 + length
    at = rng.randrange(len(parts))
    records = [n for n, (kind, body) in enumerate(parts) if kind == b"tEXt" and body.startswith(b"texsynth\0")]
    if records and rng.random() < 0.85:
        at = records[0]
        text = written_json(json.loads(parts[at][1][9:]), rng)
        parts[at] = (b"tEXt", b"texsynth\0" + text.encode("latin-1", "replace"))
    elif rng.random() < 0.35:
        header = list(struct.unpack(">IIBBBBB", parts[0][1]))
        header[rng.randrange(7)] = rng.choice((0, 1, 2, 3, 4, 6, 8, 16, 16384, 60_000))
        parts[0] = (b"IHDR", struct.pack(">II5B", header[0], header[1], *(v & 0xFF for v in header[2:])))
    elif rng.random() < 0.2:  # few bytes that are many pixels
        side = rng.choice((5_000, 16_384))
        rows = zlib.compress(bytes((side // 8 + 1) * side), 9)
        parts = [(b"IHDR", struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)), (b"IDAT", rows), (b"IEND", b"")]
    else:
        kind = rng.choice((b"iCCP", b"gAMA", b"cHRM", b"cICP", b"sRGB", b"pHYs", b"tRNS", b"eXIf", b"acTL", b"zTXt"))
        body = rng.choice((b"", bytes(9), b"\xff" * 32, rng.randbytes(12), b"a\0\0" + zlib.compress(bytes(10**7))))
        parts[at : at + rng.randrange(2)] = rng.choice(([], [parts[at]] * 2, [(kind, body)], [(kind, body), parts[at]]))
    packed = (struct.pack(">I", len(b)) + k + b + struct.pack(">I", zlib.crc32(k + b)) for k, b in parts)
    return content[:8] + b"".join(packed)


def changed(tree: Any, rng: Random) -> Any:
    """A tree of dicts and lists in which one node, anywhere, is another, gone, named otherwise, or deeper."""
    if isinstance(tree, (dict, list)) and tree and rng.random() < 0.85:
        out: Any = dict(tree) if isinstance(tree, dict) else list(tree)
        at = rng.choice(list(out)) if isinstance(out, dict) else rng.randrange(len(out))
        how = rng.random()
        if how < 0.1:
            del out[at]
        elif how < 0.2 and isinstance(out, dict):
            out[rng.choice(("", "x", "name", "x" * 300, "\x1b[31m", f"{at} "))] = out.pop(at)
        elif how < 0.25:
            out = [*out, *out] if isinstance(out, list) else {**out, "more": out[at]}
        else:
            out[at] = changed(out[at], rng)
        return out
    if isinstance(tree, torch.Tensor):
        return _tensor(tree, rng)
    if isinstance(tree, (int, float)) and rng.random() < 0.3:
        return tree * rng.choice((-1, 0, 2, 1000, 10**12))
    return rng.choice((*VALUES, [tree], {"x": tree}, str(tree)))


def _tensor(tensor: torch.Tensor, rng: Random) -> Any:
    return rng.choice(
        (
            *(tensor.double(), tensor.bool(), tensor.to(torch.complex64), tensor[None], tensor.flatten()[:1], 1.0),
            *(torch.full_like(tensor, rng.choice((0, 100))), tensor.float() * math.nan, tensor.to_sparse(), None),
            torch.zeros(1).expand(10**5, 10**5),  # four bytes that are forty gigabytes
        )
    )


def written_json(tree: Any, rng: Random) -> str:
    """The text of a changed tree."""
    deep = rng.choice(("[" * 50_000 + "]" * 50_000, '{"a":' * 50_000 + "1" + "}" * 50_000))
    return json.dumps(changed(tree, rng)).replace(f'"{DEEP}"', deep)


def json_file(content: bytes, rng: Random) -> bytes:
    """A record beside a picture."""
    return written_json(json.loads(content), rng).encode()


def yaml_file(content: bytes, rng: Random) -> bytes:
    """A preset with other values, or one of those that break parsers."""
    if rng.random() < 0.15:
        return rng.choice(YAMLS).encode(rng.choice(("utf-8", "utf-8", "utf-16", "latin-1")))
    text = yaml.safe_dump(changed(yaml.safe_load(content), rng), allow_unicode=rng.random() < 0.5)
    return text.replace(DEEP, "[" * 3000 + "]" * 3000).encode("utf-8", "surrogateescape")


def safetensors(content: bytes, rng: Random) -> bytes:
    """A header, or the description of the model inside it, that lies."""
    (length,) = struct.unpack_from("<Q", content)
    header, rest = json.loads(content[8 : 8 + length]), content[8 + length :]
    about = header.get("__metadata__", {}).get("texsynth")
    if about is not None and rng.random() < 0.7:
        header["__metadata__"]["texsynth"] = written_json(json.loads(about), rng)
        text = json.dumps(header)
    else:
        text = written_json(header, rng)
    packed = text.encode()
    length = len(packed) if rng.random() < 0.9 else rng.choice((0, 2**40, 2**63 + 5, len(packed) + 100))
    return struct.pack("<Q", length) + packed + rest


def torch_file(content: bytes, rng: Random) -> bytes:
    """A checkpoint or weights with other values, one of which may be code."""
    tree = torch.load(io.BytesIO(content), weights_only=True)
    tree = {**tree, "more": Code()} if rng.random() < 0.15 else changed(tree, rng)
    out = io.BytesIO()
    torch.save(tree, out, _use_new_zipfile_serialization=rng.random() < 0.8)
    return out.getvalue()


def array(values: np.ndarray, rng: Random) -> np.ndarray:
    """Other numbers, another shape, another type."""
    special = np.full_like(values, rng.choice((0, 1)) if values.dtype.kind != "f" else math.nan)
    kinds = ("float64", "complex64", "uint8", "S3", "bool", "float16", ">f4")
    return rng.choice(
        (
            *(special, values[..., :0], values[None], values.T, np.zeros((2, 1, 1), np.float32)),
            *(np.array(3.5), np.asfortranarray(values), values[:1], np.array([None, Code()], object)),
            *((values.astype(rng.choice(kinds)),) if values.dtype.kind != "U" else ()),
        )
    )


def npy(content: bytes, rng: Random) -> bytes:
    """Another array, or a header that lies about it."""
    if rng.random() < 0.5:
        shape = rng.choice(("(2, 99999, 99999)", "(2,)", "(-1, 20)", "()", "(2, 20, 20,", "(2.5, 20)"))
        kind = rng.choice(("<f4", "|O", "<f16", "[('a', '<f4')]", "<M8[s]", "zz"))
        text = content.decode("latin-1").replace("(2, 20, 20)", shape if rng.random() < 0.6 else "(2, 20, 20)")
        return text.replace("<f4", kind if rng.random() < 0.6 else "<f4").encode("latin-1")
    out = io.BytesIO()
    np.save(out, array(np.load(io.BytesIO(content)), rng), allow_pickle=True)
    return out.getvalue()


def npz(content: bytes, rng: Random) -> bytes:
    """Another array under one of the names, or the name gone."""
    arrays = dict(np.load(io.BytesIO(content)))
    name = rng.choice(list(arrays))
    other = array(arrays.pop(name), rng)
    kept: dict[str, Any] = arrays if rng.random() < 0.15 else {**arrays, name: other}
    out = io.BytesIO()
    np.savez_compressed(out, **kept)
    return out.getvalue()


BY_SUFFIX = {
    ".png": png,
    ".json": json_file,
    ".yaml": yaml_file,
    ".safetensors": safetensors,
    ".pt": torch_file,
    ".pth": torch_file,
    ".npy": npy,
    ".npz": npz,
    **dict.fromkeys((".hdr", ".ppm", ".pgm", ".pfm"), numerals),
}
