"""Which inputs make which outputs: one picture, a remix, variations, or a folder of pictures."""

from __future__ import annotations

import glob
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from texsynth.batch.order import Item
from texsynth.cli import pipes
from texsynth.errors import InputError, UsageError, listed, one_line
from texsynth.foreign.piped import STANDARD, Piped, path_of
from texsynth.image import picture as image
from texsynth.requests.guides import AUTO
from texsynth.requests.option import Option, options, replaced
from texsynth.requests.shared import PictureOptions

Asked = TypeVar("Asked", bound=PictureOptions)
KEPT = (".png", ".tif", ".tiff")  # formats that a batch keeps; all others become .png


@dataclass(frozen=True)
class Plan:
    """The runs, whether they are a batch, what there is to say about their names, and the pictures of folders and globs
    that are left out. whole: the number of runs of the whole command, where this is a part of them."""

    items: tuple[Item, ...]
    batch: bool
    notices: tuple[str, ...] = ()
    left_out: tuple[Path, ...] = ()
    whole: int | None = None

    @property
    def count(self) -> int:
        """The number of runs of the whole command."""
        return len(self.items) if self.whole is None else self.whole


def plan(arguments: Sequence[str | Path], output: str | None, verb: str, form: str | None = None) -> Plan:
    """Arrange the arguments of a command; `form` is that of --format. Raises UsageError and InputError."""
    if not arguments:
        raise UsageError(f"`texsynth {verb}` needs an input picture, or --from OUT.png")
    batch = is_folder(output)
    if not batch and (folders := [a for a in arguments if path_of(a).is_dir()]):
        need = "-o must name a folder too: one that exists, or with / at its end"
        raise UsageError(f"{folders[0]} is a folder, so {need}")
    sources, left, notices = expand(arguments)
    if output is None:
        output = f"{sources[0].stem}_{verb}{image.format_named(form).suffixes[0]}"
    if not batch:
        if output != STANDARD:
            _check_file(Path(output), form)
        out = Path(pipes.OUT if output == STANDARD else output)
        return Plan((Item(tuple(sources), out),), batch, notices, left)
    items, renamed = _batch(sources, Path(output), form)
    return Plan(items, batch, (*notices, *renamed), left)


def is_folder(output: str | None) -> bool:
    """Does -o name a folder, one that exists or will be made?"""
    if output is None or output == STANDARD:
        return False
    return output.endswith(("/", "\\")) or Path(output).is_dir()


def targets(out: Path, variations: int, pick: str | None) -> tuple[Path, ...]:
    """The pictures one run writes."""
    if variations == 1 or pick is not None:
        return (out,)
    return tuple(out.with_name(f"{out.stem}-{number}{out.suffix}") for number in range(1, variations + 1))


def _check_file(out: Path, form: str | None) -> None:
    """Refuse a file that cannot be written, and a format that is none of its suffix; UsageError."""
    image.check_writable(out)
    if form is not None and (named := image.SUFFIXES_WRITE[out.suffix.lower()]) != image.format_named(form):
        raise UsageError(f"-o {out}: its suffix says {named}, and --format {form}; leave --format out, or change one")


def expand(arguments: Sequence[str | Path]) -> tuple[list[Path], tuple[Path, ...], tuple[str, ...]]:
    """The pictures that arguments stand for, those that are left out, and what there is to say about these; raises
    InputError where one stands for none."""
    expanded = [_expanded(argument) for argument in arguments]
    sources = [path for pictures, _ in expanded for path in pictures]
    left = tuple(path for _, others in expanded for path in others)
    return sources, left, tuple(image.left_out_notice(others) for _, others in expanded if others)


def _expanded(argument: str | Path) -> tuple[list[Path], list[Path]]:
    """A file, or the pictures of a folder or of a glob, and those that are left out; raises InputError for none."""
    if isinstance(argument, Piped):
        return [argument], []
    if argument == STANDARD:
        raise UsageError("- is standard input, which is not read here; give a file")
    path, argument = Path(argument), str(argument)
    if path.is_dir():
        return image.list_pictures(path), image.left_out(path)
    if path.exists() or not glob.has_magic(argument):
        return [path], []
    matches = sorted(Path(name) for name in glob.glob(argument, recursive=True))  # noqa: PTH207 (may be absolute)
    pictures, left = ([p for p in matches if test(p)] for test in (image.is_readable, image.is_left_out))
    if not pictures:
        what = "no picture that is read" if matches else "no file"
        raise InputError(f"{argument} matches {what}{f'; left out: {listed(left)}' if left else ''}")
    return pictures, left


def aligned(request: Asked, exemplars: Sequence[Path]) -> Asked:
    """The request for a run with these exemplars; folders stand for their files of the exemplars' stems. Raises
    InputError where a folder has no such file."""
    values: dict[Option, Any] = {}
    for o in options(type(request)):
        value = o.of(request)
        if o.per and value is not None:
            values[o] = _aligned(o, value, [Path(str(source)) for source in request.partners(o.name, exemplars)])
    return replaced(request, values).of(list(exemplars))


def _aligned(o: Option, value: Any, exemplars: Sequence[Path]) -> Any:
    if isinstance(value, Mapping):
        return {name: paired(files, exemplars, f"{o.flag} {name}") for name, files in value.items()}
    if isinstance(value, tuple):  # the maps of exemplars, and that of the output
        sources, target = value
        return paired(sources, exemplars, o.flag), paired([target], exemplars[:1], o.flag)[0]
    if isinstance(value, list):
        return paired(value, exemplars, o.flag)
    return paired([value], exemplars[:1], o.flag)[0]


def paired(sources: Sequence[Any], exemplars: Sequence[Path], flag: str) -> list[Any]:
    """The maps or masks of one run. A folder stands for its file of the exemplar's stem, or InputError; one folder, and
    the word for an estimate, stand for those of all exemplars."""
    if len(sources) == 1 and (sources[0] == AUTO or Path(sources[0]).is_dir()):
        sources = list(sources) * len(exemplars)
    return [_partner(source, exemplars[min(n, len(exemplars) - 1)], flag) for n, source in enumerate(sources)]


def _partner(source: Any, exemplar: Path, flag: str) -> Any:
    if isinstance(source, Piped) or not Path(source).is_dir():
        return source
    array = Path(source) / f"{exemplar.stem}.npy"
    if "orientation" in flag and array.is_file():
        return array
    same = [p for p in image.list_pictures(source) if p.stem == exemplar.stem]
    if not same:
        left = [one_line(p.name) for p in image.left_out(source) if p.stem == exemplar.stem]
        reason = f"; {left[0]} is none that is read" if left else ""
        raise InputError(f"{flag} {source}: this folder holds no picture named {exemplar.stem}{reason}")
    return same[0]


def _batch(sources: Sequence[Path], folder: Path, form: str | None) -> tuple[tuple[Item, ...], list[str]]:
    """A run for each source, and what there is to say about names."""
    items: dict[Path, Item] = {}  # by where it goes
    notices = []
    for source in sources:
        suffix = source.suffix.lower() if source.suffix.lower() in KEPT else ".png"
        suffix = suffix if form is None else image.format_named(form).suffixes[0]
        wanted = folder / f"{source.stem}{suffix}"
        out, number = wanted, 1
        while out in items:
            number += 1
            kind = source.suffix.lower().lstrip(".")
            out = folder / (f"{source.stem}_{kind}{suffix}" if number == 2 else f"{source.stem}_{kind}{number}{suffix}")
        if out != wanted:
            notices.append(f"{source.name} is written as {out.name}, because {wanted.name} is taken")
        items[out] = Item((source,), out, len(items))
    return tuple(items.values()), notices
