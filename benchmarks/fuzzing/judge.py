"""What is wrong with what a command did, in words by which findings are counted."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import OpenEXR
import tifffile
import torch
from PIL import Image
from safetensors import safe_open

from fuzzing.child import Outcome
from fuzzing.tries import MEMORY, Try, is_limited

LINE = re.compile(r"texsynth: (error|interrupted): .+")
STRANGE = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]")  # what a terminal would obey


def snapshot(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, by its name."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def findings(trial: Try, did: Outcome, before: Mapping[str, bytes], folder: Path) -> list[str]:
    """Everything that is wrong; nothing where the command did what is documented."""
    after = snapshot(folder)
    kept = {name: content for name, content in before.items() if name not in trial.outputs}
    out = [f"touches what it may not: {line.split(' ')[0]}" for line in did.events.splitlines()]
    out += [*_of_code(trial, did), *_of_streams(trial, did)]
    out += [f"an input is changed or gone: {name}" for name in kept if after.get(name) != kept[name]]
    for name in after.keys() - before.keys():
        out += [f"is left behind: {name}"] if name.endswith((".part", ".tmp")) else unreadable(folder / name)
    if is_limited(trial.words) and did.memory > MEMORY:
        out.append("more memory than --max-memory")
    return list(dict.fromkeys(out))


def _of_code(trial: Try, did: Outcome) -> Iterator[str]:
    if did.code < 0:
        yield {-24: "hangs", -14: "hangs"}.get(did.code, f"dies of signal {-did.code}")
    elif did.code == 99 or "(unexpected" in did.err:
        last = did.err.strip().rpartition("\n")[2].removeprefix("texsynth: error: ")
        yield f"unexpected: {last.partition(':')[0]}"
    elif did.code not in (*trial.allowed, *((1,) if "diverged" in did.err else ())):
        yield f"exit code {did.code}"


def _of_streams(trial: Try, did: Outcome) -> Iterator[str]:
    lines = did.err.splitlines()
    piped = "-" in [words for option, words in pairwise(trial.words) if option in ("-o", "--output")][-1:]
    if piped and did.code == 0 and did.out:
        yield from unreadable(io.BytesIO(did.out.encode("utf-8", "surrogateescape")))
    if STRANGE.search(did.err) or (not piped and STRANGE.search(did.out) and not STRANGE.search(" ".join(trial.words))):
        yield "control characters"
    if "Traceback" in did.err:
        yield "traceback"
    if "--progress" not in trial.words and any(not line.startswith("texsynth: ") for line in lines):
        yield "a line on stderr that is not its own"
    told = [line for line in lines if LINE.match(line)]
    if did.code in (0, 1) or did.code < 0:
        if did.code == 0 and told:
            yield "an error and exit code 0"
        if did.code == 0 and not piped and _wants_json(trial.words) and not _is_json(did.out):
            yield "--json without JSON"
        return
    if (len(told) != 1 or lines[-1] != told[0]) and did.code != 6:
        yield f"{len(told)} lines of error"
    if did.out and did.code != 6:
        yield "an error, and something on stdout"


def _wants_json(words: Sequence[str]) -> bool:
    """Is --json among the words, and not the value of another flag?"""
    return any(word == "--json" and not before.startswith("-") for before, word in pairwise(words))


def _is_json(text: str) -> bool:
    try:
        json.loads(text, parse_constant=strict)
    except ValueError:
        return False
    return True


def strict(word: str) -> None:
    """NaN and Infinity are no JSON for other programs."""
    raise ValueError(word)


def unreadable(path: Path | io.BytesIO) -> list[str]:
    """What is wrong with a file that a command wrote; other programs read it, not texsynth."""
    try:
        _read(path)
    except Exception as error:
        kind, begin = (path.suffix, path.read_bytes()[:40]) if isinstance(path, Path) else ("-", path.getvalue()[:40])
        return [f"wrote a file that cannot be read: {kind} ({type(error).__name__}), which begins with {begin!r}"]
    return []


def _read(path: Path | io.BytesIO) -> Any:
    if isinstance(path, io.BytesIO):
        with Image.open(path) as picture:
            return picture.load()
    suffix = path.suffix.lower()
    if suffix in (".tif", ".tiff"):
        return tifffile.imread(path)
    if suffix in (".mtlx", ".tsx"):
        return ElementTree.parse(path)
    if suffix == ".exr":
        return OpenEXR.File(str(path)).channels()
    if suffix in (".npy", ".npz"):
        values = np.load(path, allow_pickle=False)
        return dict(values) if suffix == ".npz" else values
    if suffix == ".safetensors":
        with safe_open(path, "pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no dict)
    if suffix == ".pt":
        return torch.load(path, weights_only=True)
    if suffix == ".json":
        return json.loads(path.read_text("utf-8"), parse_constant=strict)
    if suffix in Image.registered_extensions():
        with Image.open(path) as picture:
            return picture.load()
    text = path.read_text("utf-8")  # a table or a page, under any name
    if text.startswith("<") and not text.rstrip().endswith("</html>"):
        raise ValueError("it has no end")
    return text
