"""Which inputs make which outputs: one picture, a remix, variations, or a folder of pictures."""

from __future__ import annotations

import glob
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from texsynth.batch.order import Item
from texsynth.cli import pipes
from texsynth.errors import InputError, UsageError, listed, one_line
from texsynth.foreign.piped import STANDARD, Piped, path_of
from texsynth.image import picture as image
from texsynth.material import names, schemes
from texsynth.material.names import Set
from texsynth.requests.guides import AUTO
from texsynth.requests.option import Option, options, replaced
from texsynth.requests.shared import AUTO as FIND_AUTO
from texsynth.requests.shared import NONE
from texsynth.verbs import sets
from texsynth.verbs.sets import Asked, Pictures

KEPT = (".png", ".tif", ".tiff", ".exr", ".hdr")  # formats that a batch keeps; all others become .png


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


@dataclass(frozen=True)
class Sought:
    """What is sought and named by the names of files: see the options --maps, --normals and --names; and the pictures
    that every run copies from beside its exemplars."""

    find: str | None = NONE
    normals: str | None = None
    names: str | None = None
    others: Sequence[Any] = ()


def plan(
    arguments: Sequence[str | Path],
    output: str | None,
    verb: str,
    form: str | None = None,
    sought: Sought = Sought(),
) -> Plan:
    """Arrange the arguments of a command; `form` is that of --format. Raises UsageError and InputError."""
    if not arguments:
        raise UsageError(f"`texsynth {verb}` needs an input picture, or --from OUT.png")
    batch = is_folder(output)
    folders = [] if batch else [argument for argument in arguments if path_of(argument).is_dir()]
    need = "-o must name a folder too: one that exists, or with / at its end"
    if folders and (len(arguments) > 1 or sought.find == NONE):
        raise UsageError(f"{folders[0]} is a folder, so {need}")
    scheme = None if sought.names is None else schemes.scheme(sought.names)
    expanded = [_expanded(argument) for argument in arguments]
    left, notices = _left_out(expanded)
    done = sets.arranged([pictures for pictures, _ in expanded], sought.find, sought.normals)
    notices = (*notices, *done.notices)
    if folders and not (len(done.items) == 1 and isinstance(done.items[0], Set)):
        raise UsageError(f"{folders[0]} is a folder, and no single set, so {need}")
    if output is None:
        output = f"{_result_stem(done.items[0], verb)}{image.format_named(form).suffixes[0]}"
    if not batch:
        if output != STANDARD:
            check_file(Path(output), form)
        out = Path(pipes.OUT) if output == STANDARD else _named(Path(output), scheme)
        item, said = _item(done.items, out, 0, sought)
        return Plan((item,), batch, (*notices, *said), left)
    items, renamed = _batch(done.items, Path(output), form, scheme, sought)
    return Plan(items, batch, (*notices, *renamed), left)


def joined(arguments: Sequence[str | Path], output: str | None, kind: str, sought: Sought) -> Plan:
    """One run of all arguments, each a file, the folder of one set, or a glob, whose results go to a folder: to that of
    -o, or to STEM_tiles here. Raises UsageError and InputError."""
    expanded = [_expanded(argument) for argument in arguments]
    left, notices = _left_out(expanded)
    inputs = [pictures for pictures, _ in expanded]
    for number, argument in enumerate(arguments):
        if path_of(argument).is_dir():
            inside = sets.arranged([inputs[number]], None, sought.normals).items
            if len(inside) > 1:
                raise UsageError(f"{argument} holds {len(inside)} pictures, and no single set; name one of them")
            inputs[number] = Pictures(sets.colours(inside)) if sought.find == NONE else inputs[number]
    done = sets.arranged(inputs, sought.find, sought.normals)
    if not done.items:
        raise InputError(f"{listed(arguments)}: these are maps alone, and no base colour is among them")
    scheme = None if sought.names is None else schemes.scheme(sought.names)
    folder = Path(f"{done.items[0].stem}_tiles" if output is None else output)
    out = _named(folder / f"{_result_stem(done.items[0], kind)}.png", scheme)
    item, said = _item(done.items, out, 0, sought)
    return Plan((item,), False, (*notices, *done.notices, *said), left)


def _result_stem(item: Set | Path, verb: str) -> str:
    """What the result of a run is called by default; of a set the word for its base colour stays at the end."""
    name = names.split(item.colour.stem) if isinstance(item, Set) else None
    if name is None or not name.before:
        return f"{_stem(item)}_{verb}"
    return replace(name, before=f"{name.before}_{verb}").called(name.word)


def _stem(item: Set | Path) -> str:
    """The stem of the base colour's file; with that of the set where it is a word alone."""
    if isinstance(item, Path):
        return item.stem
    name = names.split(item.colour.stem)
    return item.colour.stem if name is None or name.base else f"{item.stem}_{item.colour.stem}"


def _named(out: Path, scheme: schemes.Scheme | None) -> Path:
    """Where the base colour goes that was to be written to `out`."""
    return out if scheme is None else out.with_name(f"{scheme.image(out.stem)}{out.suffix}")


def _item(items: Sequence[Set | Path], out: Path, number: int, sought: Sought) -> tuple[Item, list[str]]:
    """A run of these exemplars, and what there is to say about maps that some of them lack; raises InputError."""
    maps, notices = sets.maps(items)
    if maps and sought.others:
        beside = sets.arranged([Pictures([path_of(other)]) for other in sought.others], FIND_AUTO, sought.normals)
        maps, notices = sets.maps([*items, *beside.items])
    return Item(sets.colours(items), out, number, maps, tuple(item.stem for item in items)), notices


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


def check_file(out: Path, form: str | None) -> None:
    """Refuse a file that cannot be written, and a format that is none of its suffix; UsageError."""
    image.check_writable(out)
    if form is not None and (named := image.SUFFIXES_WRITE[out.suffix.lower()]) != image.format_named(form):
        raise UsageError(f"-o {out}: its suffix says {named}, and --format {form}; leave --format out, or change one")


def expand(arguments: Sequence[str | Path]) -> tuple[list[Path], tuple[Path, ...], tuple[str, ...]]:
    """The pictures that arguments stand for, those that are left out, and what there is to say about these; raises
    InputError where one stands for none."""
    expanded = [_expanded(argument) for argument in arguments]
    return [path for pictures, _ in expanded for path in pictures.paths], *_left_out(expanded)


def _left_out(expanded: Sequence[tuple[Pictures, list[Path]]]) -> tuple[tuple[Path, ...], tuple[str, ...]]:
    """The pictures that are left out, and what there is to say about them."""
    left = tuple(path for _, others in expanded for path in others)
    return left, tuple(image.left_out_notice(others) for _, others in expanded if others)


def _expanded(argument: str | Path) -> tuple[Pictures, list[Path]]:
    """A file, or the pictures of a folder or of a glob, and those that are left out; raises InputError for none."""
    if isinstance(argument, Piped):
        return Pictures([argument]), []
    if argument == STANDARD:
        raise UsageError("- is standard input, which is not read here; give a file")
    path, argument = Path(argument), str(argument)
    if path.is_dir():
        return Pictures(image.list_pictures(path), is_file=False), image.left_out(path)
    if path.exists() or not glob.has_magic(argument):
        return Pictures([path]), []
    matches = sorted(Path(name) for name in glob.glob(argument, recursive=True))  # noqa: PTH207 (may be absolute)
    pictures, left = ([p for p in matches if test(p)] for test in (image.is_readable, image.is_left_out))
    if not pictures:
        what = "no picture that is read" if matches else "no file"
        raise InputError(f"{argument} matches {what}{f'; left out: {listed(left)}' if left else ''}")
    return Pictures(pictures, is_file=False), left


def with_set(request: Asked, item: Item) -> Asked:
    """The request with the maps of an item that were found by name, which keep the words of their files unless other
    names are asked for; and with the convention of these names."""
    values: dict[str, Any] = {"find_maps": None}
    wanted = names_of(request)
    if item.maps:
        values |= {"find_maps": FIND_AUTO, "maps": {name: list(paths) for name, paths in item.maps.items()}}
        values |= {"names": wanted or schemes.SAME} if hasattr(request, "names") else {}
    scheme = None if wanted is None else schemes.scheme(wanted)
    if request.normals_out is None and scheme is not None and scheme.is_of_an_engine and (item.maps or request.maps):
        values["normals_out"] = scheme.normals
    return replace(request, **values)


def names_of(request: Any) -> str | None:
    """What the files of a request are to be called; None where they have names of their own."""
    names: str | None = getattr(request, "names", None)
    return names


def aligned(request: Asked, exemplars: Sequence[Path], stems: Sequence[str] = ()) -> Asked:
    """The request for a run with these exemplars; folders stand for their files of the exemplars' stems, or of further
    `stems`, one for each. Raises InputError where a folder has no such file."""
    values: dict[Option, Any] = {}
    for o in options(type(request)):
        value = o.of(request)
        if o.per and value is not None:
            partners = [Path(str(source)) for source in request.partners(o.name, exemplars)]
            values[o] = _aligned(o, value, partners, stems if partners[: len(stems)] == [*exemplars] else ())
    return cast(Asked, replaced(request, values).of(list(exemplars)))


def _aligned(o: Option, value: Any, exemplars: Sequence[Path], stems: Sequence[str]) -> Any:
    if isinstance(value, Mapping):
        return {name: paired(files, exemplars, f"{o.flag} {name}", stems) for name, files in value.items()}
    if isinstance(value, tuple):  # the maps of exemplars, and that of the output
        sources, target = value
        return paired(sources, exemplars, o.flag, stems), paired([target], exemplars[:1], o.flag, stems)[0]
    if isinstance(value, list):
        return paired(value, exemplars, o.flag, stems)
    return paired([value], exemplars[:1], o.flag, stems)[0]


def paired(sources: Sequence[Any], exemplars: Sequence[Path], flag: str, stems: Sequence[str] = ()) -> list[Any]:
    """The maps or masks of one run. A folder stands for its file of the exemplar's stem, or of its further one, or
    InputError; one folder, and the word for an estimate, stand for those of all exemplars."""
    if len(sources) == 1 and (sources[0] == AUTO or Path(sources[0]).is_dir()):
        sources = list(sources) * len(exemplars)
    partners = [min(number, len(exemplars) - 1) for number in range(len(sources))]
    names_of = [[exemplar.stem, *stems[number : number + 1]] for number, exemplar in enumerate(exemplars)]
    return [_partner(source, names_of[number], flag) for source, number in zip(sources, partners, strict=True)]


def _partner(source: Any, stems: Sequence[str], flag: str) -> Any:
    """The file of one of these stems, the first of them if there are several; raises InputError."""
    if isinstance(source, Piped) or not Path(source).is_dir():
        return source
    if "orientation" in flag:
        for stem in stems:
            if (array := Path(source) / f"{stem}.npy").is_file():
                return array
    there = image.list_pictures(source)
    same = [path for stem in stems for path in there if path.stem == stem]
    if not same:
        left = [one_line(path.name) for path in image.left_out(source) if path.stem in stems]
        reason = f"; {left[0]} is none that is read" if left else ""
        which = " or ".join(dict.fromkeys(stems))
        raise InputError(f"{flag} {source}: this folder holds no picture named {which}{reason}")
    return same[0]


def _batch(
    sources: Sequence[Set | Path], folder: Path, form: str | None, scheme: schemes.Scheme | None, sought: Sought
) -> tuple[tuple[Item, ...], list[str]]:
    """A run for each exemplar, and what there is to say about names; raises UsageError for names that cannot differ."""
    items: dict[Path, Item] = {}  # by where it goes
    notices = []
    for source in sources:
        (file,), stem = sets.colours([source]), _stem(source)
        suffix = file.suffix.lower() if file.suffix.lower() in KEPT else ".png"
        suffix = suffix if form is None else image.format_named(form).suffixes[0]
        wanted = _named(folder / f"{stem}{suffix}", scheme)
        out, number = wanted, 1
        while out in items:
            number += 1
            kind = file.suffix.lower().lstrip(".")
            name = f"{stem}_{kind}{suffix}" if number == 2 else f"{stem}_{kind}{number}{suffix}"
            out = _named(folder / name, scheme)
            if scheme is not None and schemes.STEM not in scheme.pattern:
                raise UsageError(
                    f"--names {sought.names}: {wanted.name} would be several files; {schemes.STEM} tells them apart"
                )
        if out != wanted:
            notices.append(f"{file.name} is written as {out.name}, because {wanted.name} is taken")
        items[out], said = _item([source], out, len(items), sought)
        notices += said
    return tuple(items.values()), notices
