"""What is already there: refused, kept, or redone."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from texsynth.cli.options import Common
from texsynth.cli.plan import Plan, targets
from texsynth.errors import InputError, UsageError
from texsynth.image import picture as image
from texsynth.job import Job
from texsynth.runs import save


def check_pictures(plan: Plan, inputs: set[Path], common: Common) -> None:
    """Refuse, before anything is read, to overwrite an input, or without leave a picture; UsageError."""
    for item in plan.items:
        for out in targets(item.out, common.variations, common.pick):
            _refuse([out], inputs, common)


def check_files(
    job: Job, out: Path, files: Sequence[Path], page: Path | None, drawings: Sequence[Path], inputs: set[Path],
    common: Common,
) -> None:  # fmt: skip
    """Refuse, before work starts, a format that cannot hold the result, or to overwrite; UsageError.

    files: all that belong to `out`, but the page of its report and drawings of its guides.
    """
    if out.parent.is_dir():  # a dry run leaves the folder of a batch unmade
        image.check_writable(out, job.task.size)
    if page is not None and not page.parent.is_dir():
        raise UsageError(f"--report {page}: there is no folder {page.parent} to write to; create it first")
    files = [*files, *([page] if page else [])]
    if twice := {path.resolve() for path in files} & {path.resolve() for path in drawings}:
        raise UsageError(f"{twice.pop().name} is the name of two files to write; give --save-guides another folder")
    _refuse([*files, *drawings], inputs, common)


def check_shown(out: Path, attention: Path | None, warp: bool, common: Common) -> None:
    """Refuse, before work starts, to overwrite what a method showed before; UsageError."""
    if common.force:
        return
    if attention is not None and attention.is_dir() and any(attention.iterdir()):
        raise UsageError(f"--save-attention {attention}: this folder is not empty; --force writes into it")
    path = out.with_name(f"{out.stem}_warp.png")
    if warp and path.exists():
        raise UsageError(f"{path} exists; --force overwrites it")


def make_folder(folder: Path, flag: str) -> None:
    """Make the folder that a flag names; raises UsageError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{flag} {folder}: this folder cannot be made ({error.strerror})") from None


def read_by(plan: Plan, common: Common, reads: Sequence[str]) -> set[Path]:
    """Every file that this command may read; reads: those that the verb's own options name."""
    named = [*reads, *(text.partition("=")[2] for text in common.maps or [])]
    named += [*(common.source_mask or []), *([common.init] if common.init else [])]
    given = [*(source for item in plan.items for source in item.sources), *map(Path, named)]
    inside = [file for folder in given if folder.is_dir() for file in folder.iterdir()]
    return {path.resolve() for path in (*given, *inside)}


def files_of(job: Job, out: Path, common: Common, preview: bool) -> list[Path]:
    """Every file that a run writes, but the report and drawings of guides."""
    maps = {name: layer.pictures[0] for name, layer in job.maps.items()}
    return list(save.paths(out, maps, common.save_field, preview).values())


def unchanged(files: Sequence[Path], out: Path, records: Sequence[dict[str, Any]]) -> bool:
    """Is everything there, and does `out` carry one of these records? How its losses went is not asked."""
    if not all(path.exists() for path in files):
        return False
    with suppress(InputError):  # a damaged picture is one to redo
        stored = image.read_metadata(out) or {}
        return {key: value for key, value in stored.items() if key != "losses"} in records
    return False


def _refuse(paths: Sequence[Path], inputs: set[Path], common: Common) -> None:
    """With --skip-existing and --update the picture is missing or stale, and so is what belongs to it."""
    for path in paths:
        if path.resolve() in inputs:
            raise UsageError(f"{path} is an input of this command; write to another name or folder")
        if path.exists() and not (common.force or common.skip_existing or common.update):
            raise UsageError(f"{path} exists; --force overwrites it, --skip-existing or --update may keep it")
