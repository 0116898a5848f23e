"""What the server holds in memory, bounded; and the folder that the studio was started in, the only one it writes to.

Names that come from a page are names and never paths: a picture to open is looked up among those there are, and a file
to write is made anew in the folder itself, in a place where nothing is.
"""

from __future__ import annotations

import hashlib
import os
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from texsynth.errors import InputError, ResourceError, TexsynthError, UsageError, one_line
from texsynth.foreign.held import Held
from texsynth.image import codecs, files
from texsynth.material import names
from texsynth.studio.naming import RESERVED

LARGEST = 256 << 20  # bytes of a picture that is dropped
SHOWN = 128 << 20  # bytes of pictures to show, of each kind
MOST_PASSING = 48  # pictures of runs that are drafts, which each stroke makes more of
MOST_FINISHED = 96  # and of those that are finished, with their maps
OPENED, PASSING, FINISHED = "opened", "passing", "finished"  # kinds of these: none crowds out another
MOST_LISTED = 5000  # pictures of the folder
MOST_KEPT = 1000  # pictures, however small
MOST_LAYERS = 8  # paintings of one kind that are held: each stroke makes another one
LONGEST_NAME = 120  # bytes of a stem, fewer than any system takes, since more is put behind it
FORBIDDEN = '/\\:*?"<>|'  # in names of files, by one system or another
SUFFIXES = frozenset(suffix for form in codecs.FORMATS for suffix in form.suffixes)


class MissingError(TexsynthError):
    """A picture that is not held any more."""

    def __init__(self, identity: str) -> None:
        super().__init__("a picture is no longer held here; it has to be sent again")
        self.identity = identity


@dataclass(frozen=True)
class KeptPicture:
    """A picture that can be named in a sheet. path: what is held of it, or its file. layer: what it was painted as,
    "" for a picture."""

    identity: str
    path: Path
    layer: str = ""

    @property
    def size(self) -> int:
        """The bytes that it takes here."""
        return self.path.size if isinstance(self.path, Held) else 0


class _Shelf:
    """At most so many pictures to show, of so many bytes; the oldest go first."""

    def __init__(self, room: int, most: int) -> None:
        self.pictures: OrderedDict[str, bytes] = OrderedDict()
        self._room, self._most = room, most

    def put(self, png: bytes) -> str:
        key = _identity(png)
        self.pictures.pop(key, None)
        self.pictures[key] = png
        while len(self.pictures) > 1 and (len(self.pictures) > self._most or self._size() > self._room):
            self.pictures.popitem(last=False)
        return key

    def _size(self) -> int:
        return sum(map(len, self.pictures.values()))


class Store:
    """Pictures by what the page calls them. memory: the limit of the whole command."""

    def __init__(self, folder: Path, memory: int) -> None:
        self.folder = files.real(folder)
        self.largest = min(LARGEST, memory // 4)
        self._room = memory // 2
        self._kept: OrderedDict[str, KeptPicture] = OrderedDict()  # the one used last at the end
        room = min(SHOWN, memory // 12)
        self._shelves = {
            OPENED: _Shelf(room, room >> 10),
            PASSING: _Shelf(room, MOST_PASSING),
            FINISHED: _Shelf(room, MOST_FINISHED),
        }

    def keep(self, path: Path, layer: str = "") -> KeptPicture:
        """Hold a picture, or remember a file; what has not been used for longest makes room. Raises ResourceError for
        one that takes all of it, as what was straightened again and again does."""
        content = path.content if isinstance(path, Held) else b""
        kept = KeptPicture(_identity(os.fsencode(path), content, layer.encode()), path, layer)
        if kept.size > self._room:
            raise ResourceError(f"{path.name}: takes more memory than there is, with what it was made of; open it anew")
        self._kept.pop(kept.identity, None)
        alike = [each for each in self._kept.values() if layer and each.layer == layer]
        for old in alike[: max(0, len(alike) - MOST_LAYERS + 1)]:
            del self._kept[old.identity]
        self._kept[kept.identity] = kept
        total = sum(each.size for each in self._kept.values())
        while len(self._kept) > 1 and (total > self._room or len(self._kept) > MOST_KEPT):
            _, old = self._kept.popitem(last=False)
            total -= old.size
        return kept

    def find(self, identity: str) -> KeptPicture:
        """A picture that is held; raises MissingError."""
        if identity not in self._kept:
            raise MissingError(identity)
        self._kept.move_to_end(identity)
        return self._kept[identity]

    def show(self, png: bytes, kind: str = OPENED) -> str:
        """Hold a picture for the page to fetch, beside those of other kinds; gives its address there."""
        return f"pictures/{self._shelves[kind].put(png)}"

    def shown(self, key: str) -> bytes | None:
        """A picture to show, None where it is held no more."""
        return next((shelf.pictures[key] for shelf in self._shelves.values() if key in shelf.pictures), None)

    def pictures(self) -> list[tuple[str, int]]:
        """The pictures of the folder: names, and bytes."""
        with suppress(OSError), os.scandir(self.folder) as entries:
            listed = [(each.name, each.stat().st_size) for each in entries if _is_picture(each)]
            return sorted(listed, key=lambda pair: pair[0].casefold())[:MOST_LISTED]
        return []

    def file(self, name: str) -> Path | None:
        """A picture of the folder, which is the one that commands run in, by its name."""
        return Path(name) if name in {each for each, _ in self.pictures()} else None

    def names(self) -> set[str]:
        """All that there is in the folder; raises UsageError where that cannot be read."""
        try:
            with os.scandir(self.folder) as entries:
                return {each.name for each in entries}
        except OSError as problem:
            where = one_line(self.folder.name)
            raise UsageError(f"{where}: the folder of the studio cannot be read ({problem.strerror})") from None

    def digest(self, name: str) -> str:
        """The SHA-256 of a file of the folder, "" for what cannot be read."""
        try:
            return files.digest(self.folder / name)
        except OSError:
            return ""

    def write(self, contents: Mapping[str, bytes]) -> list[Path]:
        """Make new files of the folder, all or none; raises UsageError and ResourceError. A name that is taken, also by
        a link, is never written to."""
        created: list[Path] = []
        try:
            for name, content in contents.items():
                if name != Path(name).name:
                    raise UsageError(f"{one_line(name)} is no name of a file here")
                _create(self.folder / name, content, created)
        except BaseException:
            self.remove(created)
            raise
        return created

    def remove(self, created: Iterable[Path]) -> None:
        """Take back what `write` has made."""
        for path in created:
            with suppress(OSError):
                path.unlink()


def maps_among(listed: Iterable[str]) -> dict[str, list[str]]:
    """The pictures that have maps beside them, and which, by their names alone."""
    with suppress(InputError):  # of a role that two files claim, which is said where one of them is opened
        done = names.sets([Path(name) for name in listed], strict=False)
        return {item.colour.name: list(item.maps) for item in done.items if isinstance(item, names.Set) and item.maps}
    return {}


def plain(name: str) -> str:
    """The name of a file that a page gives, without what systems read in names; raises UsageError for one of no
    picture that is read."""
    base = name.replace("\\", "/").rpartition("/")[2].strip()
    stem, dot, suffix = base.rpartition(".")
    if dot + suffix.lower() not in SUFFIXES:
        raise UsageError(f"{one_line(base, 60)}: is no picture by its name; allowed: {' '.join(sorted(SUFFIXES))}")
    return f"{word(stem, 'picture')}.{suffix}"


def word(stem: str, default: str) -> str:
    """The stem of a file that a page gives: printable and short; it neither hides the file, nor looks like an option
    or like a device."""
    line = "".join(c if c.isprintable() and c not in FORBIDDEN else "_" for c in " ".join(stem.split()))
    bare = line.lstrip(".- ")
    name = f"_{bare}" if RESERVED.fullmatch(bare) else bare
    short = name.encode("utf-8", "replace")[:LONGEST_NAME].decode("utf-8", "ignore")
    return short.rstrip(". ") or default


def _identity(*parts: bytes) -> str:
    """A name of a content that nobody can guess who does not have it."""
    total = hashlib.sha256()
    for part in parts:
        total.update(len(part).to_bytes(8, "big") + part)
    return total.hexdigest()[:32]


def _is_picture(entry: os.DirEntry[str]) -> bool:
    with suppress(OSError):
        return entry.name[0] != "." and Path(entry.name).suffix.lower() in SUFFIXES and entry.is_file()
    return False


def _create(path: Path, content: bytes, created: list[Path]) -> None:
    try:
        with path.open("xb") as file:
            created.append(path)
            file.write(content)
    except FileExistsError:
        raise UsageError(f"{one_line(path.name)} is there by now, and is left alone; save again") from None
    except OSError as problem:
        raise files.unwritable(path.name, problem) from None
