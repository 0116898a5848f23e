"""What a long run keeps beside its output, OUT.EXT.part.npz, so that it can go on after a stop and make the same bytes.

A run gets a `Keeper` and calls `keep` where it could go on from: with words that say where that is, which only the run
itself reads, and with all that it needs from there on, as plain arrays. Each call replaces the one before, whole or not
at all. `kept` gives what an earlier process kept; the run skips what lies before it. Everything in a run must follow
from its job, its seed and these arrays; a run that draws numbers keeps the state of its generator, too.

    if (kept := keeper.kept) is not None and kept.where[0] == "magnify":
        first = int(kept.where[1]) + 1
        index = kept.array("index", np.int32, (height, width), low=0, high=sheet.pixels - 1, empty=scratch.empty)
    for level in range(first, levels):
        index = magnified(index)
        keeper.keep(("magnify", str(level)), {"index": index})

`keep` does nothing for a short run; `keeper.is_due` says whether it is worthwhile within a level, by the time since the
last one. The file is a zip of .npy files, not compressed, with the record of the run in about.json. It may be
damaged or come from anywhere: nothing in it is believed before it is checked, and no code in it is run.
"""

from __future__ import annotations

import os
import time
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from torch import Tensor

from texsynth.errors import InputError, ResourceError, UsageError, one_line, shown
from texsynth.foreign import arrays, json_text, regular
from texsynth.foreign.arrays import Empty, Shape
from texsynth.image import files
from texsynth.task import Say
from texsynth.weights import header

SUFFIX = ".part.npz"
LONG_RUN = 600.0  # estimated seconds above which a run keeps a checkpoint
PAUSE = 180.0  # seconds from one checkpoint to the next within a level
ABOUT = "about.json"


def place(out: Path) -> Path | None:
    """Where the checkpoint of an output lies; None where its name would be too long for a file."""
    path = out.with_name(f"{out.name}{SUFFIX}")
    return path if len(os.fsencode(path.name)) <= files.LONGEST_NAME else None


@dataclass(frozen=True)
class Kept:
    """What a checkpoint holds.

    where: the words of `keep`. members: the names of all arrays. prefix: what the names that are asked for begin with.
    """

    path: Path
    where: tuple[str, ...]
    members: frozenset[str]
    prefix: str = ""

    @property
    def names(self) -> frozenset[str]:
        """The names of the arrays, without the prefix that they have."""
        return frozenset(name.removeprefix(self.prefix) for name in self.members if name.startswith(self.prefix))

    def array(
        self,
        name: str,
        dtype: Any,
        shape: Shape,
        low: float | None = None,
        high: float | None = None,
        empty: Empty = np.empty,
    ) -> np.ndarray[Any, Any]:
        """An array that was kept, in new memory of `empty`. Raises InputError where it is missing, of another type or
        shape, has values outside [low, high], or floats that are not finite."""
        try:
            with regular.opened(self.path) as file, zipfile.ZipFile(file) as archive:
                kinds = [np.dtype(dtype)]
                return arrays.read(archive, f"{self.prefix}{name}", kinds, shape, low, high, empty)
        except header.DAMAGE:
            raise self.damaged() from None

    def tensor(
        self, name: str, dtype: torch.dtype, shape: Shape, low: float | None = None, high: float | None = None
    ) -> Tensor:
        """The same as a tensor on the CPU."""
        return torch.from_numpy(self.array(name, torch.empty(0, dtype=dtype).numpy().dtype, shape, low, high))

    def damaged(self) -> InputError:
        """The error to raise for what does not fit."""
        return damaged(self.path)


@dataclass
class Keeper:
    """Keeps the state of one run in a file.

    path: the file; None for a run without one.
    record: what the run makes, as plain JSON values (record.describe); what a checkpoint holds is of use to this only.
    note: takes lines for the user.
    is_long: does the run take so long that it keeps anything?
    kept: what an earlier process kept, where the run shall go on from that.
    """

    path: Path | None = None
    record: Mapping[str, Any] = field(default_factory=dict)
    note: Say = lambda _: None
    is_long: bool = False
    kept: Kept | None = None
    last: float = field(default_factory=time.monotonic)

    @property
    def is_due(self) -> bool:
        """Has the last checkpoint been made so long ago that another one is worthwhile within a level?"""
        return self.is_long and self.path is not None and time.monotonic() - self.last >= PAUSE

    def keep(self, where: tuple[str, ...], arrays: Mapping[str, np.ndarray[Any, Any] | Tensor]) -> None:
        """Write where the run is, and what it needs to go on from there. If that fails, the run goes on without."""
        if self.path is None or not self.is_long:
            return
        try:
            _write(self.path, {"where": list(where), "record": dict(self.record)}, arrays)
        except (ResourceError, UsageError) as error:
            self.note(f"no checkpoint is kept: {error}")
            self.path = None
        self.last = time.monotonic()


def load(path: Path, record: Mapping[str, Any]) -> Kept | None:
    """What is kept of the run of this record; None where there is no such file. Raises UsageError where it is of
    another run, and InputError where it is damaged."""
    if not os.path.lexists(path):
        return None
    about: Any = None
    names: list[str] = []
    with suppress(*header.DAMAGE), regular.opened(path) as file:
        header.check_zip(file)
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
            about = json_text.load(archive.read(ABOUT).decode("utf-8")) if _is_short(archive) else None
    where: Any = about.get("where") if isinstance(about, dict) else None
    before: Any = about.get("record") if isinstance(about, dict) else None
    sound = isinstance(where, list) and bool(where) and all(isinstance(word, str) for word in where)
    if not sound or not isinstance(before, dict) or len(set(names)) < len(names):
        raise damaged(path)
    if (difference := _difference(before, json_text.load(json_text.text(dict(record))))) is not None:
        what = f"of another run ({difference})"
        raise UsageError(f"--resume: {path} is {what}; give what it was begun with, or start anew with --force alone")
    return Kept(path, tuple(where), frozenset(n.removesuffix(".npy") for n in names if n != ABOUT))


def damaged(path: Path) -> InputError:
    """The error to raise for a checkpoint that cannot be used."""
    return InputError(f"--resume: {path} is damaged; start anew with --force alone")


def remove(path: Path | None) -> None:
    """Take the checkpoint of a finished run away, where there is one."""
    if path is not None:
        with suppress(OSError):
            path.unlink()


def _write(path: Path, about: Mapping[str, Any], arrays: Mapping[str, np.ndarray[Any, Any] | Tensor]) -> None:
    """Write a checkpoint, whole or not at all; raises ResourceError and UsageError."""

    def content(file: IO[bytes]) -> None:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            archive.writestr(zipfile.ZipInfo(ABOUT), json_text.text(about))
            for name, values in arrays.items():
                array = values.detach().cpu().numpy() if isinstance(values, Tensor) else values
                with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, np.asarray(array, order="C"), allow_pickle=False)

    files.write(path, content)


def _is_short(archive: zipfile.ZipFile) -> bool:
    """Is the description of a length that is worth reading?"""
    return archive.getinfo(ABOUT).file_size <= json_text.LONGEST


def _difference(before: Any, now: Any, name: str = "") -> str | None:
    """The first difference of two plain values in words; None where they are equal."""
    if isinstance(before, dict) and isinstance(now, dict):
        for key in (*now, *(key for key in before if key not in now)):
            inner = f"{name}.{key}" if name else str(key)
            if (words := _difference(before.get(key), now.get(key), inner)) is not None:
                return words
        return None
    if isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        for number, (one, other) in enumerate(zip(before, now, strict=True)):
            named = other.get("role", number) if isinstance(other, dict) else number
            if (words := _difference(one, other, f"{name}.{named}")) is not None:
                return words
        return None
    if before == now and type(before) is type(now):
        return None
    if name.endswith(".sha256"):
        return one_line(f"{name.removesuffix('.sha256')} has other contents", 300)
    return one_line(f"{name} is {shown(before)} there and {shown(now)} here", 300)
