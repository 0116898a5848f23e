"""Which output was made from which exemplar: as the user says, or in folders by the names that texsynth gives."""

from __future__ import annotations

import glob
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from texsynth.errors import InputError, UsageError, listed
from texsynth.image import picture as image
from texsynth.image.load import Source
from texsynth.material.names import is_base_colour, split
from texsynth.requests.control import Request
from texsynth.verbs import tile_planes


@dataclass(frozen=True)
class Group:
    """An exemplar and outputs of it, which count as each other's variations.

    guides: The request of `control` that names the maps which the outputs were steered by, if any.
    """

    exemplar: Source
    outputs: tuple[Source, ...]
    guides: Request | None = None


def arrange(exemplar: Source, outputs: Sequence[Source]) -> tuple[tuple[Group, ...], tuple[str, ...]]:
    """The groups, outputs of different folders apart, and notices about files that have no partner.

    An exemplar that is a folder is paired by stem: brick.png or brick-2.png was made from brick.jpg. An output that is
    a folder or a glob stands for its pictures, but for the exemplar itself; pictures of a folder that are not read are
    told. A folder of `texsynth tiles` stands for its JSON. Raises UsageError for no outputs, and InputError where
    nothing can be paired.
    """
    if not outputs:
        raise UsageError("`texsynth evaluate` needs an exemplar and at least one output of it")
    if isinstance(exemplar, (str, Path)) and Path(exemplar).is_dir():
        groups, strange = _by_stem(Path(exemplar), [path for output in outputs for path in _expanded(output, None)])
        return groups, (*_left_out((exemplar, *outputs)), *strange)
    pictures = [path for output in outputs for path in _expanded(output, exemplar)]
    if not pictures:
        raise InputError(f"{exemplar}: no other picture is in the folders of outputs; name one")
    return _grouped([(Path(exemplar) if isinstance(exemplar, str) else exemplar, pictures)]), _left_out(outputs)


def _left_out(sources: Sequence[Source]) -> tuple[str, ...]:
    """A notice for each folder that holds pictures which cannot be read."""
    folders = dict.fromkeys(Path(s) for s in sources if isinstance(s, (str, Path)) and Path(s).is_dir())
    return tuple(image.left_out_notice(paths) for folder in folders if (paths := image.left_out(folder)))


def folder(source: Source) -> str:
    """The folder of a picture; "" for an array."""
    return str(Path(source).parent) if isinstance(source, (str, Path)) else ""


def _expanded(output: Source, exemplar: Source | None) -> list[Source]:
    """The pictures that an output stands for."""
    if not isinstance(output, (str, Path)):
        return [output]
    path = Path(output)
    if path.is_dir():
        if described := tile_planes.inside(path):
            return [*described]
        itself = Path(exemplar).resolve() if isinstance(exemplar, (str, Path)) else None
        return [picture for picture in image.list_pictures(path) if picture.resolve() != itself]
    if path.exists() or not glob.has_magic(str(output)):
        return [path]
    there = sorted(glob.glob(str(output), recursive=True))  # noqa: PTH207 (may be absolute)
    if not there:
        raise InputError(f"{output} matches no file")
    return [Path(name) for name in there]


def _by_stem(folder: Path, outputs: Sequence[Source]) -> tuple[tuple[Group, ...], tuple[str, ...]]:
    """The groups of the exemplars in a folder, and notices. An output's stem is its exemplar's, or that and the number
    of a variation."""
    exemplars: dict[str, Path] = {}
    for path in image.list_pictures(folder):
        if path.stem in exemplars:
            raise InputError(f"{folder}: {exemplars[path.stem].name} and {path.name} have one stem; rename one of them")
        exemplars[path.stem] = path
    partners: dict[Path, list[Source]] = {path: [] for path in exemplars.values()}
    bases = {name.base: path for stem, path in exemplars.items() if is_base_colour(stem) and (name := split(stem))}
    strangers, of_sets = [], set[str]()
    for output in outputs:
        stem = Path(output).stem if isinstance(output, (str, Path)) else ""
        short = re.sub(rf"(-\d+|_({'|'.join(tile_planes.KINDS)}))$", "", stem)
        partner = exemplars.get(stem) or exemplars.get(short)
        if partner is None and tile_planes.is_described(output):
            partner = bases.get(short)  # what is made of a set bears the name that its files share
            of_sets |= {short}
        if partner is None:
            strangers.append(str(output) if isinstance(output, (str, Path)) else "an array")
        elif not isinstance(output, Path) or output.resolve() != partner.resolve():
            partners[partner].append(output)
    alone = [str(path) for path, pictures in partners.items() if not pictures and _base_of(path) not in of_sets]
    pairs = [(path, pictures) for path, pictures in partners.items() if pictures]
    if not pairs:
        raise InputError(f"{folder}: no output has the stem of an exemplar, as brick-1.png has that of brick.jpg")
    notices = (("no exemplar has the stem of", strangers), ("no output was found of", alone))
    return _grouped(pairs), tuple(f"{text} {listed(names)}" for text, names in notices if names)


def _base_of(path: Path) -> str | None:
    """What the files of a set share; None for a file that is called like none."""
    name = split(path.stem)
    return None if name is None else name.base


def _grouped(pairs: Sequence[tuple[Source, Sequence[Source]]]) -> tuple[Group, ...]:
    """One group for each exemplar and each folder of its outputs."""
    return tuple(
        Group(exemplar, tuple(output for output in outputs if folder(output) == place))
        for exemplar, outputs in pairs
        for place in dict.fromkeys(folder(output) for output in outputs)
    )
