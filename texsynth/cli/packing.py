"""The commands `texsynth maps pack` and `texsynth maps unpack`."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from texsynth.batch.order import Entry, Item
from texsynth.cli import entries, existing, pipes, plan
from texsynth.cli.actions import Action, Command
from texsynth.cli.messages import Talk
from texsynth.cli.plan import Plan
from texsynth.errors import InputError, UsageError, listed, one_line, shown
from texsynth.foreign.piped import Piped, path_of
from texsynth.image import codecs
from texsynth.image import picture as image
from texsynth.image.files import together
from texsynth.material import channels
from texsynth.material.names import split
from texsynth.material.packing import DETAIL, PACKED_ROLES, PACKINGS, Packing, parse
from texsynth.material.roles import INVERSE, role_of
from texsynth.runs import stop
from texsynth.verbs import packs as verb
from texsynth.verbs import parse as words
from texsynth.verbs.packs import Repacked


@dataclass(frozen=True)
class Packs:
    """One item of a command. files: by what each picture is called; beside: their records."""

    work: Repacked
    item: Item
    files: Mapping[str, Path]
    beside: Sequence[Path]


def prepare(name: str, request: Any, talk: Talk, part: Plan | None = None) -> Command:
    """See runner.execute. part: a share of the plan that is made without it. Raises UsageError and InputError."""
    words.device(request.device)
    packs = name == "maps pack"
    roles = _roles(request) if packs else {}
    todo = part or (_packs(request, roles) if packs else _unpacks(request))

    def actions(item: Item) -> Iterable[Action]:
        with entries.large_arrays(item.out.parent, request):
            if packs:
                work = verb.pack(request, {roles[path]: path for path in item.sources})
            else:
                work = verb.unpack(request, item.sources[0])
        for notice in work.notices:
            talk.note(notice)
        if packs and image.SUFFIXES_WRITE.get(item.out.suffix.lower()) == codecs.JPEG:
            talk.note(f"{item.out.name}: JPEG mixes the channels; .png, .webp and .tif keep their values")
        files = dict.fromkeys(work.pictures, item.out) if packs else _places(item, work.pictures)
        job = Packs(work, item, {} if pipes.to_stdout(request) else files, _beside(files.values(), request))
        yield Action(
            next(iter(files.values())),
            list(job.files.values()),
            planned=partial(_planned, job),
            run=partial(_run, job, request, talk),
            records=[dict(work.record)],
            check=partial(pipes.check_place, request, job.work.size, *job.files.values()),
            beside=job.beside,
        )

    def expected(item: Item) -> list[Path]:
        return [item.out] if packs else list(_places(item, verb.contents(request.pack, item.sources[0])).values())

    def alone(item: Item) -> Any:
        if packs:
            sources = [f"{roles[path]}={path}" for path in item.sources]
            return replace(request, sources=sources, output=str(item.out), file_format=None)
        return replace(request, sources=list(item.sources))

    return Command(
        request,
        todo,
        outs=lambda item: expected(item)[:1],
        files=lambda item: [] if pipes.to_stdout(request) else [*expected(item), *_beside(expected(item), request)],
        actions=actions,
        tell=lambda entry: None if pipes.to_stdout(request) else print(_told(entry), flush=True),
        document=lambda document: document,
        stopped=partial(entries.stopped, len(todo.items), "packed maps" if packs else "maps that were packed"),
        alone=alone,
    )


def _roles(request: Any) -> dict[Path, str]:
    """What each file of a request holds: what ROLE=FILE says, or its name. Raises UsageError and InputError."""
    packing, roles, said = parse(request.pack), dict[Path, str](), set[Path]()
    for source in request.sources:
        if isinstance(source, Piped):
            raise UsageError("- is standard input, which has no name that says a map; give files")
        word, equals, file = str(source).partition("=")
        if equals and not path_of(source).exists():
            if Path(file) in said:
                raise UsageError(f"{one_line(file)} is given twice; a file holds one of the maps that are packed")
            said.add(Path(file))
            roles[Path(file)] = _role(word, packing)
            continue
        for path in plan.expand([source])[0]:
            name = split(path.stem)
            if name is None and not path_of(source).is_dir():
                what = f"{one_line(path.name)}: its name says no map that goes into {packing.name}"
                raise InputError(f"{what}; write ROLE={one_line(path.name)}, as in ao={one_line(path.name)}")
            roles[path] = "" if name is None else name.kind
    return roles


def _role(word: str, packing: Packing) -> str:
    """The map that a word means: a role, or what a packing calls a channel; UsageError."""
    role = role_of(word)
    if role is not None and role.name in (*packing.contents, *PACKED_ROLES):
        return role.name
    if word in packing.contents:
        return word
    allowed = ", ".join((*PACKED_ROLES, DETAIL))
    raise UsageError(f"{shown(word)} in ROLE=FILE is no map that goes into {packing.name}; allowed: {allowed}")


def _packs(request: Any, roles: Mapping[Path, str]) -> Plan:
    """One packed map of all files; with a folder to go to, one for each material among them."""
    packing = parse(request.pack)
    wanted = {name for content in packing.contents for name in (content, INVERSE.get(content, content))}
    folder = Path(request.output) if plan.is_folder(request.output) else None
    _check_format(packing, request)
    groups: dict[str, list[Path]] = {}
    for path, role in roles.items():
        if role in wanted:
            groups.setdefault(_base(path) if folder is not None else "", []).append(path)
    left = [path.name for path in roles if not any(path in paths for paths in groups.values())]
    notices = [f"{listed(left)} left out, as {packing.name} holds {', '.join(packing.contents)}"] if left else []
    if not groups:
        raise InputError(f"no map among {listed(path.name for path in roles)} goes into {packing}")
    items = []
    for number, paths in enumerate(groups.values()):
        _check_claims(paths, roles)
        items.append(Item(tuple(paths), _out(paths, packing, request, folder), number))
    return Plan(tuple(items), folder is not None, tuple(notices))


def _check_format(packing: Packing, request: Any) -> None:
    """Refuse a format that is asked for and does not keep all channels; UsageError."""
    form = image.SUFFIXES_WRITE.get(Path(request.output or "").suffix.lower())
    if request.file_format is not None:
        form = image.format_named(request.file_format)
    if form is not None and not channels.kept_by(form, packing):
        raise UsageError(f"{form} multiplies the other channels of a packed map by its alpha; .png and .tif keep them")


def _check_claims(paths: Sequence[Path], roles: Mapping[Path, str]) -> None:
    """Refuse two files of one role; InputError."""
    claims: dict[str, Path] = {}
    for path in paths:
        other = claims.setdefault(roles[path], path)
        if other != path:
            both = f"{one_line(other.name)} and {one_line(path.name)} both claim to be the {roles[path]} of one map"
            raise InputError(f"{both}; leave one out, or name a folder as -o for one packed map of each material")


def _base(path: Path) -> str:
    """What the files of a material share, in any case."""
    name = split(path.stem)
    return str(path.parent / (path.stem if name is None else name.base).casefold())


def _out(paths: Sequence[Path], packing: Packing, request: Any, folder: Path | None) -> Path:
    """Where a packed map goes: the file that is named, or one that is called as its maps are."""
    if folder is None and request.output is not None:
        if pipes.to_stdout(request):
            return Path(pipes.OUT)
        plan.check_file(Path(request.output), request.file_format)
        return Path(request.output)
    name = split(paths[0].stem)
    stem = f"{paths[0].stem}_{packing.name}" if name is None else name.called(packing.name)
    suffix = _suffix(paths[0], request)
    if request.file_format is None and not channels.kept_by(image.SUFFIXES_WRITE[suffix], packing):
        suffix = codecs.TIFF.suffixes[0]
    return (folder or Path()) / f"{stem}{suffix}"


def _suffix(path: Path, request: Any) -> str:
    """The format of what is made of a file: that which is asked for, or its own where it loses nothing."""
    if request.file_format is not None:
        return image.format_named(request.file_format).suffixes[0]
    return path.suffix.lower() if path.suffix.lower() in plan.KEPT else image.format_named(None).suffixes[0]


def _unpacks(request: Any) -> Plan:
    """One item for each packed map; what it writes lies in the folder and is called as the map is."""
    folder = Path(request.output or "")
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"-o {request.output}: is a file; maps are unpacked into a folder, such as -o maps/")
    if request.pack is not None:
        parse(request.pack)
    sources, left, notices = plan.expand(request.sources)
    inside = {path for each in request.sources if path_of(each).is_dir() for path in path_of(each).iterdir()}
    plain = [path for path in sources if path in inside and not verb.says_packing(request.pack, path)]
    if plain:
        notices = (
            *notices,
            f"{listed(path.name for path in plain)} left out, as nothing says what their channels hold",
        )
    packed = [path for path in sources if path not in plain]
    if not packed:
        raise InputError(f"no packed map among {listed(path.name for path in plain)}; --pack NAME=R:ao,G:roughness")
    items = tuple(
        Item((path,), folder / f"{path.stem}{_suffix(path, request)}", number) for number, path in enumerate(packed)
    )
    return Plan(items, len(items) > 1 and request.output is not None, notices, left)


def _places(item: Item, names: Iterable[str]) -> dict[str, Path]:
    """Where unpacked maps go."""
    name = split(item.out.stem)
    if name is None or name.kind not in PACKINGS:
        return {each: item.out.with_stem(f"{item.out.stem}_{each}") for each in names}
    return {each: item.out.with_stem(name.called(each)) for each in names}


def _beside(files: Iterable[Path], request: Any) -> list[Path]:
    """The files of records."""
    if pipes.to_stdout(request):
        return []
    return [beside for path in files for beside in image.sidecar(path, not request.no_metadata)]


def _run(job: Packs, request: Any, talk: Talk, replaceable: Collection[Path] | None) -> Entry:
    """Write the pictures of an item, all of them or none."""
    start, stored = time.perf_counter(), None if request.no_metadata else dict(job.work.record)
    with entries.large_arrays(job.item.out.parent, request), stop.later():
        if pipes.to_stdout(request):
            (packed,) = job.work.pictures.values()
            notices = pipes.write(packed, request, job.work.record)
        else:
            existing.make_folder(job.item.out.parent, f"-o {request.output}")
            notices = []
            with together(job.item.out, replaceable) as put:
                for name, picture in job.work.pictures.items():
                    notices += image.write(job.files[name], picture, metadata=stored, put=put)
    for notice in notices:
        talk.note(notice)
    return {
        "image": str(next(iter(job.files.values()), job.item.out)),
        "files": {name: str(path) for name, path in job.files.items()},
        "seconds": round(time.perf_counter() - start, 3),
        "record": dict(job.work.record),
    }


def _planned(job: Packs) -> Entry:
    """What a dry run says of an item."""
    out = next(iter(job.files.values()), job.item.out)
    return {**entries.planned(job.work, out), "files": {name: str(path) for name, path in job.files.items()}}


def _told(entry: Entry) -> str:
    """What standard output says of an item: its files, or its plan."""
    if entry["status"] == "done":
        return "\n".join(entry["files"].values())
    return f"{', '.join(entry['files'].values())}: {entry['size']}, {entries.cost(entry)}"
