"""What is already there: refused, kept, or redone."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from texsynth.batch.order import Item
from texsynth.errors import InputError, UsageError, one_line
from texsynth.image import files
from texsynth.image import picture as image
from texsynth.requests.option import reads
from texsynth.runs.checkpoint import SUFFIX
from texsynth.runs.record import MEASURED


def flag(request: Any, name: str) -> bool:
    """Is a switch on? Not every verb has every one of them."""
    return bool(getattr(request, name, False))


def read_by(request: Any, items: Iterable[Item]) -> set[str]:
    """Every file that a command may read, by `files.identity`; a folder stands for all of its files."""
    named = [*map(Path, map(str, reads(request)))]
    single = [getattr(request, name, None) for name in ("weights", "repeat", "preset")]  # a preset may be a name
    named += [Path(path) for path in single if path is not None and os.path.isfile(path)]  # noqa: PTH113 (any name)
    named += [Path(path) for path in [os.environ.get("TEXSYNTH_WEIGHTS")] if path]
    inside = [file for folder in named if os.path.isdir(folder) for file in folder.iterdir()]  # noqa: PTH112 (any name)
    return {files.identity(path) for path in (*_with_records(named), *inside)} | named_by(items)


def named_by(items: Iterable[Item]) -> set[str]:
    """The files that items name, and their records."""
    named = [path for item in items for paths in (item.sources, *item.maps.values()) for path in paths]
    return {files.identity(path) for path in _with_records(named)}


def _with_records(paths: Sequence[Path]) -> list[Path]:
    return [*paths, *(beside for path in paths for beside in image.sidecar(path))]


def refuse(
    paths: Iterable[Path],
    inputs: set[str],
    allowed: bool,
    remedy: str = "--force overwrites it",
    tried: Collection[Path] = (),
) -> None:
    """Refuse to overwrite an input, what is no file, and unless `allowed` whatever exists but what was `tried`;
    UsageError."""
    for path in paths:
        place = files.destination(path)
        if files.identity(place) in inputs:
            raise UsageError(f"{path} is an input of this command; write to another name or folder")
        if not allowed and path not in tried and place.exists():
            raise UsageError(f"{path} exists; {remedy}")


def check_distinct(paths: Iterable[Path], taken: Iterable[str] = ()) -> set[str]:
    """Refuse to write two files to one name; gives the names, also those that were taken. Raises UsageError."""
    names = set(taken)
    for path in paths:
        name = files.identity(path)
        if name in names:
            raise UsageError(
                f"{one_line(path)} is the name of two files to write; give one of them another name or folder"
            )
        names.add(name)
    return names


@dataclass(frozen=True)
class Guard:
    """What stands between the files of a command and those that exist.

    inputs: What the command reads. written: What its outputs so far have written. swept: The folders that are clear of
    what dead processes left. tried: Files that an earlier process may have left, which died with the same order; they
    count as absent.
    """

    request: Any
    inputs: set[str]
    written: set[str] = field(default_factory=set)
    swept: set[Path] = field(default_factory=set)
    tried: Collection[Path] = ()

    def stands(self, path: Path) -> bool:
        """Does a file exist that counts?"""
        return path not in self.tried and path.exists()

    def check(self, paths: Sequence[Path], left: frozenset[Path] | None = None) -> None:
        """Refuse what would be lost; UsageError. With --skip-existing and --update the picture is missing or stale, and
        so is what belongs to it; with --resume what is `left` of a run that was stopped may be replaced, None where
        that is not known yet."""
        request = self.request
        allowed = any(flag(request, name) for name in ("force", "skip_existing", "update"))
        allowed = allowed or (flag(request, "resume") and left is None)
        going_on = "--force starts anew, --resume goes on from the last checkpoint"
        remedy = "--force overwrites it"
        if hasattr(request, "skip_existing"):
            remedy += ", --skip-existing or --update may keep it"
        elif hasattr(request, "resume"):
            remedy = going_on
        for path in paths:
            words = going_on if path.name.endswith(SUFFIX) else remedy
            refuse([path], self.inputs, allowed, words, {*self.tried, *(left or ())})

    def claim(self, paths: Sequence[Path], left: frozenset[Path] | None = None) -> frozenset[Path] | None:
        """Check the files of one output just before it is made; gives those whose places it may take, None for all. A
        file that appears later is none of them. `left` as for `check`."""
        names = check_distinct(paths, self.written)
        self.check(paths, left)
        self.written.update(names)
        if not flag(self.request, "dry_run"):
            fresh = {path.parent for path in paths} - self.swept
            files.sweep(fresh)
            self.swept.update(fresh)
        return None if flag(self.request, "force") else frozenset(path for path in paths if path.exists())


def is_unfinished(out: Path, records: Sequence[Mapping[str, Any]] | None = None) -> bool:
    """Is `out` what a run that was stopped has left of its picture, a run of one of these records?"""
    with suppress(InputError):
        stored = image.read_metadata(out) if out.is_file() else None
        if stored is not None and stored.get("interrupted") is True:
            plain = {key: value for key, value in stored.items() if key not in (*MEASURED, "interrupted")}
            return records is None or plain in records
    return False


def check_page(flag_name: str, page: Path | None) -> None:
    """Refuse a page or table that could not be written; UsageError."""
    if page is None:
        return
    if page.is_dir():
        raise UsageError(f"{flag_name} {page}: is a folder; give the name of a file")
    if not page.parent.is_dir():
        raise UsageError(f"{flag_name} {page}: there is no folder {page.parent} to write to; create it first")


def check_pages(pages: Mapping[str, Path | None]) -> None:
    """Refuse pages and tables, by their flags, that could not be written or name one file; UsageError."""
    there = {name: path for name, path in pages.items() if path is not None}
    if len({files.identity(path) for path in there.values()}) < len(there):
        raise UsageError(f"{' and '.join(there)} name one file; give each its own")
    for name, path in there.items():
        check_page(name, path)


def make_folder(folder: Path, argument: str) -> None:
    """Make the folder that an option and its value name; raises UsageError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{argument}: this folder cannot be made ({error.strerror})") from None


def unchanged(paths: Sequence[Path], out: Path, records: Sequence[Mapping[str, Any]]) -> bool:
    """Is everything there, and does `out` carry one of these records? What was measured is not asked."""
    if not all(path.exists() for path in paths):
        return False
    with suppress(InputError):  # a damaged picture is one to redo
        stored = image.read_metadata(out) or {}
        return {key: value for key, value in stored.items() if key not in MEASURED} in records
    return False
