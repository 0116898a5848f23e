"""Sets among the inputs of a command: which files are maps of an exemplar by their names, and follow it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from texsynth.errors import UsageError, listed, one_line
from texsynth.foreign.piped import Piped
from texsynth.image import picture as image
from texsynth.material import names
from texsynth.material.names import Arranged, Set
from texsynth.requests.shared import AUTO, NONE, PictureOptions
from texsynth.requests.tiles.common import TileOptions

Asked = TypeVar("Asked", bound=PictureOptions | TileOptions)


@dataclass(frozen=True)
class Pictures:
    """What an argument stands for; is it the name of one file?"""

    paths: Sequence[Path]
    is_file: bool = True


def arranged(arguments: Sequence[Pictures], find: str | None, normals: str | None) -> Arranged:
    """The exemplars that arguments stand for, sets among them as one.

    find: "auto" looks for maps of all pictures, "none" of none. By default it does so for the pictures of folders and
    globs, and for files whose own name ends in a word for a base colour; of other files, those that were named together
    form sets. normals: as for `names.sets`. Raises InputError.
    """
    paths = [path for argument in arguments for path in argument.paths]
    if find == NONE:
        return Arranged(tuple(paths))
    named = [path for argument in arguments if argument.is_file for path in argument.paths]
    inside = [argument for argument in arguments if not argument.is_file]
    parts = [(argument.paths, True) for argument in inside] + ([(named, find == AUTO)] if named else [])
    places: dict[Path, Set | Path | None] = {path: path for path in paths}
    notices: list[str] = []
    for each, strict in parts:
        files = [path for path in each if not isinstance(path, Piped)]
        beside = [path for path in files if find == AUTO or names.is_base_colour(path.stem)]
        pool = dict.fromkeys([*files, *_siblings(beside)])
        done = names.sets(list(pool), normals, strict)
        places |= _places(done, files)
        notices += done.notices
    items: list[Set | Path] = []
    taken: set[int] = set()  # sets that are among the items
    for path in paths:
        place = places[path]
        if place is not None and id(place) not in taken:
            items.append(place)
        taken |= {id(place)} if isinstance(place, Set) else set()
    alone = [one_line(each.name) for each in items if isinstance(each, Path)] if find == AUTO else []
    notices += [f"--maps auto: no file beside {listed(alone)} has the name of a map of it"] if alone else []
    return Arranged(tuple(items), (*(str(each) for each in items if isinstance(each, Set)), *notices))


def _siblings(paths: Sequence[Path]) -> list[Path]:
    """The pictures beside files that share the base of one of them."""
    folders: dict[Path, list[Path]] = {}
    for path in paths:
        if image.is_readable(path):
            folders.setdefault(path.parent, []).append(path)
    return [other for place, files in folders.items() for other in names.sharing(files, image.list_pictures(place))]


def _places(done: Arranged, files: Sequence[Path]) -> dict[Path, Set | Path | None]:
    """Where files have gone: into a set, to be a picture of its own, or nowhere."""
    owners: dict[Path, Set | Path] = {}
    for item in done.items:
        owners |= {item: item} if isinstance(item, Path) else dict.fromkeys((item.colour, *item.maps.values()), item)
    return {path: owners.get(path) for path in files}


def colours(items: Sequence[Set | Path]) -> tuple[Path, ...]:
    """The exemplars themselves."""
    return tuple(item.colour if isinstance(item, Set) else item for item in items)


def maps(items: Sequence[Set | Path]) -> tuple[dict[str, tuple[Path, ...]], list[str]]:
    """The maps of exemplars that go into one result, by name, one for each exemplar; and a line about those that some
    of them lack, which are left out."""
    every = [dict(item.maps) if isinstance(item, Set) else {} for item in items]
    kinds = dict.fromkeys(kind for each in every for kind in each)
    common = {kind: tuple(each[kind] for each in every) for kind in kinds if all(kind in each for each in every)}
    notices = []
    for kind in kinds:
        if kind not in common:
            without = [
                one_line(colour.name) for colour, each in zip(colours(items), every, strict=True) if kind not in each
            ]
            notices.append(f"the map {kind} is left out, as {listed(without)} has none")
    return common, notices


def with_maps(request: Asked) -> tuple[Asked, list[str]]:
    """A request with the maps of its exemplars, where it asks for them and names none; and what there is to say. Raises
    UsageError for exemplars without files."""
    sources = [*request.partners("maps", request.inputs())]
    if request.find_maps != AUTO or request.maps:
        return request, []
    if not all(isinstance(source, (str, Path)) for source in sources):
        raise UsageError("find_maps looks at the names of files, and an array has none; give the maps")
    done = arranged([Pictures([Path(str(source))]) for source in sources], AUTO, request.normals)
    if len(done.items) != len(sources):
        return request, [*done.notices]
    common, notices = maps(done.items)
    values: Any = {name: list(paths) for name, paths in common.items()}
    return replace(request, maps=values or None), [*done.notices, *notices]
