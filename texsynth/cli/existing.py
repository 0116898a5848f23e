"""What is already there: refused, kept, or redone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from texsynth.cli.plan import Plan
from texsynth.errors import InputError, UsageError
from texsynth.image import picture as image
from texsynth.requests.option import reads


def flag(request: Any, name: str) -> bool:
    """Is a switch on? Not every verb has every one of them."""
    return bool(getattr(request, name, False))


def read_by(request: Any, plan: Plan) -> set[Path]:
    """Every file that a command may read, resolved; a folder stands for all of its files."""
    named = [*(source for item in plan.items for source in item.sources), *map(Path, map(str, reads(request)))]
    named += [path for path in (getattr(request, "weights", None),) if path is not None]
    inside = [file for folder in named if folder.is_dir() for file in folder.iterdir()]
    return {path.resolve() for path in (*named, *inside)}


def refuse(paths: Iterable[Path], inputs: set[Path], request: Any) -> None:
    """Refuse to overwrite an input, or without leave what exists; UsageError. With --skip-existing and --update the
    picture is missing or stale, and so is what belongs to it."""
    allowed = any(flag(request, name) for name in ("force", "skip_existing", "update"))
    keep = ", --skip-existing or --update may keep it" if hasattr(request, "skip_existing") else ""
    for path in paths:
        if path.resolve() in inputs:
            raise UsageError(f"{path} is an input of this command; write to another name or folder")
        if path.exists() and not allowed:
            raise UsageError(f"{path} exists; --force overwrites it{keep}")


def check_page(flag_name: str, page: Path | None) -> None:
    """Refuse a page or table that could not be written; UsageError."""
    if page is None:
        return
    if page.is_dir():
        raise UsageError(f"{flag_name} {page}: is a folder; give the name of a file")
    if not page.parent.is_dir():
        raise UsageError(f"{flag_name} {page}: there is no folder {page.parent} to write to; create it first")


def check_distinct(pages: Mapping[str, Path | None]) -> None:
    """Refuse pages and tables, by their flags, that could not be written or name one file; UsageError."""
    given = {name: path for name, path in pages.items() if path is not None}
    if len({path.resolve() for path in given.values()}) < len(given):
        raise UsageError(f"{' and '.join(given)} name one file; give each its own")
    for name, path in given.items():
        check_page(name, path)


def make_folder(folder: Path, argument: str) -> None:
    """Make the folder that an option and its value name; raises UsageError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{argument}: this folder cannot be made ({error.strerror})") from None


def unchanged(files: Sequence[Path], out: Path, records: Sequence[Mapping[str, Any]]) -> bool:
    """Is everything there, and does `out` carry one of these records? How its losses went is not asked."""
    if not all(path.exists() for path in files):
        return False
    with suppress(InputError):  # a damaged picture is one to redo
        stored = image.read_metadata(out) or {}
        return {key: value for key, value in stored.items() if key != "losses"} in records
    return False
