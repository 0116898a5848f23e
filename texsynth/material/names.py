"""The files of a material by their names: which map each is, and which of them form one set.

A name is read as a base and a word for a role or a packing, such as `wall_BaseColor`, `T_wall_N` or `wall_nor_gl_2k`.
Words are those of `roles` and `packing`, in any case, between separators, in one part or two. Numbers and resolutions
after the word belong to the base.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from texsynth.errors import InputError, listed, one_line
from texsynth.material.packing import PACKINGS, packing_of
from texsynth.material.roles import BASE_COLOUR, CONVENTIONS, DX, NORMAL, ROLES, convention_of, plain, role_of

SEPARATORS = "_-. "
UNREAL = "T_"  # what the names of Unreal's textures begin with, whose normals are green down
RESOLUTION, COUNT = r"\d{1,2}k", r"\d{1,5}(x\d{1,5})?|[uv]\d+"  # parts that belong to the base: sizes, counts, tiles
FORMATS = {"png", "jpg", "jpeg", "tif", "tiff", "exr"}  # that stand after a resolution
WORKFLOWS = {"metalness", "specular"}  # that one library puts after the size of every map
# Parts that mean masks, identities, labels, and maps that are no role here: such files are never taken.
OTHERS = {
    *("mask", "masks", "id", "ids", "matid", "label", "labels", "segmentation"),
    *("specular", "spec", "reflection", "refl", "curvature", "cavity", "fuzz", "thickness"),
    *("translucency", "transmission", "subsurface", "preview", "thumbnail", "thumb"),
}
LOOSE = {"metal", "rough", "gloss", "bump"}  # words that photographs of materials are called by too
JOINED = {"maskmap", "metallicroughness", "metallicsmoothness"}  # packings whose words may be of two parts
ROW = "bc"  # letters that mean no role: where files are called so too, their letters count, and mean nothing else
ALONE = "--maps none takes each file as a picture of its own"
_ORDER = {name: number for number, name in enumerate([*ROLES, *PACKINGS])}


@dataclass(frozen=True)
class Name:
    """What the stem of a file says.

    before, separator, word, after: its parts, which in this order are the stem. kind: the name of a role or a packing.
    is_letter: is the word a single letter, which counts only where files share the base?
    """

    before: str
    separator: str
    word: str
    after: str
    kind: str
    is_letter: bool = False

    @property
    def base(self) -> str:
        """What the files of a set share, as it is written; "" where the word is all of the name."""
        return f"{self.before}{self.after}"

    @property
    def convention(self) -> str | None:
        """The convention of a normal map, "gl" or "dx", where the name says it."""
        if self.kind != NORMAL:
            return None
        return convention_of(self.word) or (DX if self.before.startswith(UNREAL) else None)

    def called(self, word: str) -> str:
        """The stem with another word."""
        return f"{self.before}{self.separator}{word}{self.after}"


def split(stem: str) -> Name | None:
    """What a stem says; None where no part of it means a role or a packing."""
    parts = _parts(stem)
    last = _last(stem, parts)
    for first in range(max(0, last - 1), last + 1):
        start, end = parts[first][0], parts[last][1]
        kind, is_letter = _kind(stem[start:end], is_joined=first < last)
        before = stem[: parts[first - 1][1]] if first else ""
        name = Name(before, stem[len(before) : start], stem[start:end], stem[end:], kind, is_letter)
        if kind and (before or not (is_letter or name.after)):
            return name
    return None


def _parts(stem: str) -> list[tuple[int, int]]:
    """Where the parts between separators are."""
    return [match.span() for match in re.finditer(rf"[^{re.escape(SEPARATORS)}]+", stem)] or [(0, len(stem))]


def _last(stem: str, parts: Sequence[tuple[int, int]]) -> int:
    """The number of the part that a word ends with: the last but for those that belong to the base."""
    texts = [stem[slice(*part)].lower() for part in parts]
    last = len(texts) - 1
    # wall_COL_2K_METALNESS, but not wall_2K_Specular, where the size stands before the word
    if last > 2 and texts[last] in WORKFLOWS and re.fullmatch(RESOLUTION, texts[last - 1]):
        last -= 1 if _kind(texts[last - 2], is_joined=False)[0] else 0
    while last > 0:
        is_format = texts[last] in FORMATS and re.fullmatch(RESOLUTION, texts[last - 1])
        if not (is_format or re.fullmatch(f"{RESOLUTION}|{COUNT}", texts[last])):
            break
        last -= 1
    return last


def _kind(word: str, is_joined: bool) -> tuple[str, bool]:
    """The name of the role or the packing that a word means, "" for none, and whether it is a single letter."""
    packing = packing_of(word)
    if packing is not None and (not is_joined or plain(word) in JOINED):
        return packing.name, False
    role = role_of(word)
    letter = role or role_of(word, letters=not is_joined)
    return letter.name if letter else "", role is None


def convention_in(stem: str) -> str | None:
    """The convention that the name of a file with normals says, "gl" or "dx"; None where it says none."""
    name = split(stem)
    return None if name is None else name.convention


def is_base_colour(stem: str) -> bool:
    """Does a name end in a word, which is more than a letter, for a base colour?"""
    name = split(stem)
    return name is not None and name.kind == BASE_COLOUR and not name.is_letter


@dataclass(frozen=True)
class Set:
    """A material: the file of its base colour, and those of its maps by the name of their role or packing.

    stem: What its files are called but for their words: the name of the folder where they are called by these alone.
    """

    stem: str
    colour: Path
    maps: Mapping[str, Path] = field(default_factory=dict)

    def __str__(self) -> str:
        each = [f"{one_line(path.name)} is {_words(kind)}" for kind, path in self.maps.items()]
        return f"set {one_line(self.stem)}: {', '.join([f'{one_line(self.colour.name)} is the base colour', *each])}"


def _words(kind: str) -> str:
    return f"{kind} ({', '.join(PACKINGS[kind].contents)})" if kind in PACKINGS else kind


@dataclass(frozen=True)
class Arranged:
    """Files in the order in which they came: each set at the place of its base colour, and pictures of their own; and
    what there is to say about those that are left out."""

    items: tuple[Set | Path, ...]
    notices: tuple[str, ...] = ()


def sets(paths: Sequence[Path], normals: str | None = None, strict: bool = True) -> Arranged:
    """The sets among files, folder by folder.

    normals: the convention of the map that is used of a set that has one of each. strict: raise InputError for a set
    without base colour; else its files are pictures of their own. Raises InputError for a role that is claimed twice.
    """
    places: dict[Path, Set | Path | None] = {path: path for path in paths}
    notices: list[str] = []
    for folder, files in _groups(paths):
        members = {path: name for path, name in files.items() if name is not None}
        others = [path for path, name in files.items() if name is None]
        if not members or (len(files) == 1 and _may_be_alone(*members.values())):
            notices += [
                f"{one_line(path.name)} is taken for a picture, not a map, as no other file has its stem"
                for path, name in members.items()
                if strict and name.kind != BASE_COLOUR
            ]
            continue
        colours = [path for path, name in members.items() if name.kind == BASE_COLOUR] or others
        if not colours and not strict:
            continue
        kept, left = _chosen(members, normals)
        material = _set(folder, kept, colours)
        places |= dict.fromkeys(members)
        places[material.colour] = material if material.maps else material.colour
        notices += [f"{one_line(path.name)} is left out, as --normals {normals} takes the other one" for path in left]
    for path, owner in _strays(places).items():
        places[path] = None
        notices.append(
            f"{one_line(path.name)} is left out: it lies beside the set {one_line(owner.stem)}, and its name means "
            f"none of the maps that follow; --map NAME=FILE takes it, {ALONE}"
        )
    return Arranged(tuple(place for path in paths if (place := places[path]) is not None), tuple(notices))


def sharing(paths: Sequence[Path], others: Sequence[Path]) -> list[Path]:
    """Those of `others` that have the base or the stem of one of some files of their folder, in any resolution; and
    what may be in a row of letters with these."""
    bases = {text for path in paths for text in _shared_by(path)}
    bases |= {f"{base}{separator}{letter}" for base in bases for separator in SEPARATORS for letter in ROW}
    return [other for other in others if not bases.isdisjoint(_shared_by(other))]


def _shared_by(path: Path) -> set[str]:
    return {_without_resolution(text.casefold()) for text in (path.stem, _base(path.stem))}


def _base(stem: str) -> str:
    name = split(stem)
    return stem if name is None else name.base


def _groups(paths: Sequence[Path]) -> list[tuple[Path, dict[Path, Name | None]]]:
    """Files of one folder that share a base, with what their names say; None where that is the base alone."""
    groups: dict[tuple[Path, str], dict[Path, Name | None]] = {}
    stems = {(path.parent, path.stem.casefold()) for path in paths}
    for path in paths:
        groups.setdefault((path.parent, _base(path.stem).casefold()), {})[path] = split(path.stem)
    for (folder, base), files in list(groups.items()):
        is_row = any((folder, f"{base}{each}{letter}") in stems for each in SEPARATORS for letter in ROW)
        for path, name in list(files.items()):
            if name is not None and name.is_letter and (is_row or len(files) == 1):
                del files[path]
                groups.setdefault((folder, path.stem.casefold()), {})[path] = None
    _join_resolutions(groups)
    return [(folder, files) for (folder, _), files in groups.items() if files]


def _join_resolutions(groups: dict[tuple[Path, str], dict[Path, Name | None]]) -> None:
    """Bring maps without a base colour to the one whose base differs from theirs by a resolution alone, such as
    wall_nor_gl_8k to wall_diff_4k."""
    coloured: dict[tuple[Path, str], list[tuple[Path, str]]] = {}
    for key, files in groups.items():
        if any(name is not None and name.kind == BASE_COLOUR for name in files.values()):
            coloured.setdefault((key[0], _without_resolution(key[1])), []).append(key)
    for key, files in groups.items():
        owners = coloured.get((key[0], _without_resolution(key[1])), [])
        if len(owners) == 1 and key not in owners and files and None not in files.values():
            groups[owners[0]] |= files
            files.clear()


def _without_resolution(base: str) -> str:
    separator, forms = f"[{re.escape(SEPARATORS)}]", "|".join(FORMATS)
    return re.sub(rf"{separator}{RESOLUTION}({separator}({forms}))?(?={separator}|$)", "", base)


def _may_be_alone(name: Name) -> bool:
    """May the one file of a base be a picture of its own?"""
    return name.kind == BASE_COLOUR or name.word.lower() in LOOSE


def _chosen(members: Mapping[Path, Name], normals: str | None) -> tuple[dict[str, Path], list[Path]]:
    """The file of each role and packing, in the order of roles, and those that are left out as --normals says; raises
    InputError where several claim a role."""
    both = [path for path, name in members.items() if name.kind == NORMAL]
    left: list[Path] = []
    if len(both) == len(CONVENTIONS) == len({members[path].convention for path in both} & set(CONVENTIONS)):
        if normals is None:
            raise _twice(NORMAL, both, "--normals gl or --normals dx chooses one")
        left = [path for path in both if members[path].convention != normals]
    claims: dict[str, Path] = {}
    kept = {path: name for path, name in members.items() if path not in left}
    for path, name in kept.items():
        for role in PACKINGS[name.kind].contents if name.kind in PACKINGS else (name.kind,):
            if role in claims:
                raise _twice(role, [claims[role], path], f"move one away, or name the maps by --map; {ALONE}")
            claims[role] = path
    ordered = sorted(kept.items(), key=lambda item: _ORDER[item[1].kind])
    return {name.kind: path for path, name in ordered}, left


def _twice(role: str, paths: Sequence[Path], fix: str) -> InputError:
    names = listed(one_line(path.name) for path in paths)
    what = role.replace("_", " ")
    return InputError(f"{one_line(paths[0].parent)}: {names} both claim to be the {what} of one set; {fix}")


def _set(folder: Path, kept: Mapping[str, Path], colours: Sequence[Path]) -> Set:
    """The set of these files, of which `colours` may be the base colour; raises InputError where none is, or several
    are."""
    maps = {kind: path for kind, path in kept.items() if kind != BASE_COLOUR}
    if len(colours) > 1:
        raise _twice(BASE_COLOUR, colours, f"move one away; {ALONE}")
    if not colours:
        names = listed(one_line(path.name) for path in maps.values())
        what = f"{names} {'are maps' if len(maps) > 1 else 'is a map'} of a set without base colour"
        example = Name("", "", "", "", "") if not maps else split(next(iter(maps.values())).stem)
        colour = "BaseColor" if example is None else example.called("BaseColor")
        raise InputError(f"{one_line(folder)}: {what}; {one_line(colour)}.png would be it, and {ALONE}")
    base = _base(colours[0].stem)
    return Set(base or folder.resolve().name or "set", colours[0], maps)


def _strays(places: Mapping[Path, Set | Path | None]) -> dict[Path, Set]:
    """Files that lie beside a set and whose words mean no map that can follow, with that set."""
    owners = {
        (each.colour.parent, _without_resolution(_base(each.colour.stem).casefold())): each
        for each in places.values()
        if isinstance(each, Set)
    }
    strays = {}
    for path in [path for path, place in places.items() if place is path]:
        parts = _parts(path.stem)
        last = _last(path.stem, parts)
        start, end = parts[last]
        if path.stem[start:end].lower() in OTHERS:
            whole = (path.stem[: parts[last - 1][1]] if last else "") + path.stem[end:]
            for base in (whole, _base(whole)):  # wall_preview, or wall_diff_preview
                if owner := owners.get((path.parent, _without_resolution(base.casefold()))):
                    strays[path] = owner
    return strays
