"""The names of the files that the studio writes; none of them takes the place of a file that is there."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from texsynth.errors import UsageError, shown
from texsynth.foreign.held import Held
from texsynth.material import schemes
from texsynth.material.names import is_base_colour, split
from texsynth.requests.option import Option
from texsynth.studio.definitions import ROLES, STRAIGHTEN
from texsynth.studio.sheet import Errand, Straightened, text, with_files

LONGEST_STEM = 100  # characters, with which names of all roles are no longer than files may have
STEM = re.compile(rf"[^\W_][\w. +-]{{0,{LONGEST_STEM - 1}}}")  # that a user may give to what is saved
RESERVED = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[1-9¹²³]) *(\..*)?", re.IGNORECASE)  # by Windows
SUFFIX = ".png"


@dataclass(frozen=True)
class Naming:
    """Where everything goes that is saved.

    out: the picture. inputs: the files to write before it, by name. names: how the inputs are called, by their SHA-256.
    command: what makes the picture out of these.
    """

    out: Path
    inputs: Mapping[str, bytes]
    names: Mapping[str, str]
    command: str


def placed(errand: Errand, name: str, taken: Collection[str], digest: Callable[[str], str]) -> Naming:
    """The names of everything that is saved: what is painted goes to STEM_ROLE.png, unless it was saved with an earlier
    STEM, and what was dropped keeps its own name, where these are free or the files of these names are the same.

    name: the stem that the user gives, "" for none. taken: the names of the files that are there; digest: the SHA-256
    of one of these. Raises UsageError for a name that no file can have.
    """
    folder = _Folder({name.casefold(): name for name in taken}, digest)
    request = with_files(errand.request, folder.dropped)
    scheme = None if request.names is None else schemes.scheme(request.names)
    image = (lambda stem: stem) if scheme is None else scheme.image
    *others, stem = folder.stems(_wished(name, request.exemplars[0]), image, _layers(request))
    request = replace(with_files(request, partial(folder.painted, [stem, *others])), output=f"{stem}{SUFFIX}")
    command = "\n".join([*folder.commands, text(errand.verb, request)])
    return Naming(Path(f"{image(stem)}{SUFFIX}"), folder.inputs, folder.names, command)


def usual_stem(exemplar: Path) -> str:
    """What a result is called where the user does not say: after the exemplar, of a set without the word for a base
    colour, and with one for where it was made."""
    name = split(exemplar.stem) if is_base_colour(exemplar.stem) else None
    stem = exemplar.stem if name is None or not name.base else name.base
    return f"{stem[:LONGEST_STEM]}_studio"


def _wished(name: str, exemplar: Path) -> str:
    """The stem that a user gives, or else the usual one; raises UsageError."""
    stem = name.strip().removesuffix(SUFFIX)
    if not stem:
        return usual_stem(exemplar)
    if not STEM.fullmatch(stem) or stem.endswith((".", " ")):
        raise UsageError(f"{shown(name)} is no name for a file here: it has letters, digits, _ - + . and no folders")
    if RESERVED.fullmatch(stem):
        raise UsageError(f"{shown(name)} is no name for a file: Windows keeps it for a device")
    return stem


def _layers(request: Any) -> dict[str, Held]:
    """What is painted, by its role; what was dropped has its place by then."""
    layers: dict[str, Held] = {}

    def look(o: Option, number: int, file: Any) -> Any:
        if isinstance(file, Held):
            layers[_role(o, number)] = file
        return file

    with_files(request, look)
    return layers


def _role(o: Option, number: int) -> str:
    """The role of the N-th file of an option."""
    roles = ROLES[o.name]
    return roles[number] if number < len(roles) else f"{roles[-1]}_{number + 1}"


def _layer_file(stem: str, role: str) -> str:
    return f"{stem}_{role}{SUFFIX}"


def _digest(file: Held) -> str:
    return hashlib.sha256(file.content).hexdigest()


@dataclass(frozen=True)
class _Folder:
    """The folder that is written to, and the names that are given away, one after the other.

    taken: names of files, by themselves in lower case. inputs, names: as of Naming. commands: those that make what
        was straightened.
    """

    taken: dict[str, str]
    digest: Callable[[str], str]
    inputs: dict[str, bytes] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    commands: list[str] = field(default_factory=list)

    def dropped(self, o: Option, _: int, file: Any) -> Any:
        """The file in the folder for one that is held in memory, and not painted; another one as it is."""
        if not isinstance(file, Held) or o.name in ROLES:
            return file
        key = _digest(file)
        if key not in self.names:
            self._give(key, self._free_name(file, key), file)
            if isinstance(file, Straightened):
                request = replace(with_files(file.request, self.dropped), output=self.names[key])
                self.commands.append(text(STRAIGHTEN, request))
        return Path(self.names[key])

    def painted(self, stems: Sequence[str], o: Option, number: int, file: Any) -> Any:
        """The file in the folder for a layer that is painted: one of these stems that is the same, or else of the first
        of them; another one as it is."""
        if not isinstance(file, Held):
            return file
        key, names = _digest(file), [_layer_file(stem, _role(o, number)) for stem in stems]
        there = (name for name in names if name.casefold() in self.taken and self._is(name, key))
        self._give(key, next(there, names[0]), file)
        return Path(self.names[key])

    def stems(self, wished: str, image: Callable[[str], str], layers: Mapping[str, Held]) -> Iterator[str]:
        """Stems, up to the first of which no file is there but these layers, by their roles. image: the stem of the
        picture itself."""
        for number in count(1):
            stem = wished if number == 1 else f"{wished}_{number}"
            yield stem
            if not self._has(stem, image(stem), layers):
                return

    def _has(self, stem: str, image: str, layers: Mapping[str, Held]) -> bool:
        keys = {_layer_file(stem, role).casefold(): _digest(layer) for role, layer in layers.items()}
        form = re.compile("(.*_)?({}|{})[_.-].*".format(*(re.escape(s.casefold()) for s in (stem, image))), re.DOTALL)
        there = filter(form.fullmatch, self.taken)
        return any(name not in keys or not self._is(name, keys[name]) for name in there)

    def _free_name(self, file: Path, key: str) -> str:
        """The first name for a file that is free, or that of the same file."""
        names = (file.name if number == 1 else f"{file.stem}_{number}{file.suffix}" for number in count(1))
        return next(name for name in names if name.casefold() not in self.taken or self._is(name, key))

    def _is(self, name: str, key: str) -> bool:
        there = self.taken[name.casefold()]
        return there not in self.inputs and self.digest(there) == key

    def _give(self, key: str, name: str, file: Held) -> None:
        if name.casefold() not in self.taken:
            self.taken[name.casefold()] = name
            self.inputs[name] = file.content
        self.names[key] = self.taken[name.casefold()]
