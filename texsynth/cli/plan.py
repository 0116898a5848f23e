"""Which inputs make which outputs: one picture, a remix, variations, or a folder of pictures."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from texsynth.errors import InputError, UsageError
from texsynth.image import picture as image

KEPT = (".png", ".tif", ".tiff")  # formats that a batch keeps; all others become .png


@dataclass(frozen=True)
class Item:
    """One run: its exemplars, and the picture it writes."""

    sources: tuple[Path, ...]
    out: Path


@dataclass(frozen=True)
class Plan:
    """The runs, whether they are a batch, and what there is to say about their names."""

    items: tuple[Item, ...]
    batch: bool
    notices: tuple[str, ...] = ()


def plan(arguments: Sequence[str], output: str | None, verb: str) -> Plan:
    """Arrange the arguments of a command; raises UsageError and InputError."""
    if not arguments:
        raise UsageError(f"`texsynth {verb}` needs an input picture, or --from OUT.png")
    batch = is_folder(output)
    if not batch and (folders := [a for a in arguments if Path(a).is_dir()]):
        raise UsageError(
            f"{folders[0]} is a folder, so -o must name a folder too: one that exists, or with / at its end"
        )
    sources = [path for argument in arguments for path in expand(argument)]
    if output is None:
        output = f"{sources[0].stem}_{verb}.png"
    if not batch:
        image.check_writable(output)
        return Plan((Item(tuple(sources), Path(output)),), batch)
    return _batch(sources, Path(output))


def is_folder(output: str | None) -> bool:
    """Does -o name a folder, one that exists or will be made?"""
    return output is not None and (output.endswith(("/", "\\")) or Path(output).is_dir())


def make_folder(plan: Plan) -> None:
    """Make the folder of a batch; raises UsageError."""
    folder = plan.items[0].out.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"-o {folder}/: this folder cannot be made ({error.strerror})") from None


def targets(out: Path, variations: int, pick: str | None) -> tuple[Path, ...]:
    """The pictures one run writes."""
    if variations == 1 or pick is not None:
        return (out,)
    return tuple(out.with_name(f"{out.stem}-{number}{out.suffix}") for number in range(1, variations + 1))


def expand(argument: str) -> list[Path]:
    """A file, the pictures of a folder, or the files of a glob; raises InputError when a glob finds none."""
    path = Path(argument)
    if path.is_dir():
        return image.list_pictures(path)
    if path.exists() or not glob.has_magic(argument):
        return [path]
    found = sorted(Path(name) for name in glob.glob(argument, recursive=True))  # noqa: PTH207 (may be absolute)
    if not found:
        raise InputError(f"{argument} matches no file")
    return found


def paired(sources: Sequence[str], exemplars: Sequence[Path], flag: str) -> list[Path]:
    """The maps or masks of one run; a folder stands for its picture of the exemplar's stem, or InputError."""
    out = []
    for number, source in enumerate(sources):
        path = Path(source)
        if path.is_dir():
            stem = exemplars[min(number, len(exemplars) - 1)].stem
            same = [p for p in image.list_pictures(path) if p.stem == stem]
            if not same:
                raise InputError(f"{flag} {source}: this folder holds no picture named {stem}")
            path = same[0]
        out.append(path)
    return out


def _batch(sources: Sequence[Path], folder: Path) -> Plan:
    items: list[Item] = []
    notices = []
    taken: set[Path] = set()
    for source in sources:
        suffix = source.suffix.lower() if source.suffix.lower() in KEPT else ".png"
        wanted = folder / f"{source.stem}{suffix}"
        out, number = wanted, 1
        while out in taken:
            number += 1
            kind = source.suffix.lower().lstrip(".")
            out = folder / (f"{source.stem}_{kind}{suffix}" if number == 2 else f"{source.stem}_{kind}{number}{suffix}")
        if out != wanted:
            notices.append(f"{source.name} is written as {out.name}, because {wanted.name} is taken")
        taken.add(out)
        items.append(Item((source,), out))
    return Plan(tuple(items), True, tuple(notices))
