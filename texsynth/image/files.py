"""Files that are written whole or not at all and take no other file's place unasked; and the SHA-256 by which records
name a file.

Everything is written under a hidden name, `.NAME.HOST-PID.part`, and takes its place at the end. Where nothing may be
overwritten that is a hard link, which fails if the name exists by then. File systems without hard links (FAT, some
network shares) get a look and a rename: a file that appears between the two, in microseconds, would be lost.
"""

from __future__ import annotations

import errno
import itertools
import os
import re
import threading
import unicodedata
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import IO

from texsynth.errors import ResourceError, TexsynthError, UsageError, one_line
from texsynth.foreign import regular

BLOCK = 1 << 20  # bytes that are read at a time
LONGEST_NAME = 255  # bytes, on every common file system
NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
# The hidden names: HOST keeps apart the machines that share a folder; the first version had none.
PART = re.compile(r"\..+\.(?:([0-9a-f]{8})-)?([1-9]\d{0,9})\.part", re.DOTALL)

Content = bytes | str | Callable[[IO[bytes]], None] | None  # of a file, or what writes it: None for none
Put = Callable[[Path, Content], None]


def digest(path: Path) -> str:
    """SHA-256 of a regular file in hexadecimal, read in blocks so that its size does not matter; raises OSError."""
    import hashlib  # with OpenSSL, which would slow every start of the command line

    total = hashlib.sha256()
    with regular.opened(path) as file:
        while block := file.read(BLOCK):
            total.update(block)
    return total.hexdigest()


def write(path: Path, content: Content, replaceable: Collection[Path] | None = None) -> None:
    """Write one file; see `together`."""
    with together(path, replaceable) as put:
        put(path, content)


@contextmanager
def together(main: Path, replaceable: Collection[Path] | None = None) -> Iterator[Put]:
    """Files that belong together take their places together, `main` last: where it stands, everything stands.

    The block gets a function for the path and the content of each; None for a file that must go. What it puts before
    `main` belongs to it: if that fails, nothing is left. If an error comes after `main`, what is complete is kept.

    replaceable: the files whose places may be taken, None for all. If another file has come to stand in a place, it is
    left alone, all files go to the first free names, STEM_new and so on, and UsageError says so. Raises ResourceError
    for a full disk, and UsageError for what cannot be written.
    """
    staged: dict[Path, Path | None] = {}  # by place: the hidden file, None where there will be no file
    allowed = None if replaceable is None else {real(path) for path in replaceable}

    def put(path: Path, content: Content) -> None:
        place = destination(path)
        part = hidden(place)
        try:
            if isinstance(content, str):
                part.write_text(content, "utf-8", "surrogateescape", newline="")  # names of files may be any bytes
            elif callable(content):
                with part.open("wb") as file:
                    content(file)
            elif content is not None:
                part.write_bytes(content)
        except BaseException as error:  # Ctrl-C too must leave nothing behind
            _discard([part])
            raise _failure(path, error) from None
        staged[place] = None if content is None else part

    try:
        try:
            yield put
        except BaseException as error:
            failure = _failure(main, error)
            if real(main) not in staged or not isinstance(error, Exception):
                raise failure from None
            _place(staged, main, allowed)
            if isinstance(failure, (ResourceError, UsageError)):
                failure = type(failure)(f"{failure}; {one_line(main)} is finished")
            raise failure from None
        _place(staged, main, allowed)
    finally:
        _discard(staged.values())


def _failure(path: Path, error: BaseException) -> BaseException:
    """The error to raise for one that came up while a file was made or written."""
    if isinstance(error, MemoryError):
        return ResourceError(f"{one_line(path.name)}: does not fit in memory; make it smaller")
    return unwritable(path.name, error) if isinstance(error, OSError) else error


def unwritable(name: str, error: OSError) -> TexsynthError:
    """The error to raise for a file that cannot be written."""
    kind = ResourceError if error.errno in NO_SPACE else UsageError
    remedy = "make room" if kind is ResourceError else "choose another place"
    return kind(f"{one_line(name)}: cannot be written ({error.strerror or error}); {remedy}")


def real(path: Path) -> Path:
    """The absolute path of a file without symbolic links, whether it exists or not."""
    return Path(os.path.realpath(path))


def destination(path: Path) -> Path:
    """Where what is written to a path goes: symbolic links are followed, also to a file that is yet to be. Raises
    UsageError for links in a circle, names that are too long, and what is there and no file."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return real(path)
    except OSError as error:
        name = one_line(path.name if len(path.name) <= 40 else f"{path.name[:40]}...")
        raise UsageError(f"{name}: cannot be written ({error.strerror}); choose another name") from None
    if not path.is_file():
        kind = "a folder" if path.is_dir() else "no file"
        raise UsageError(f"{one_line(path.name)}: is {kind}; give the name of a file")
    return real(path)


def identity(path: Path) -> str:
    """What two paths have in common if they name one file; also if they differ in case, where the folder says so."""
    place = real(path)
    return unicodedata.normalize("NFC", str(place)).casefold() if _folds(place.parent) else str(place)


@cache
def _folds(folder: Path) -> bool:
    """Are the names in a folder the same in upper and lower case? Told by the folder's own name."""
    swapped = folder.with_name(folder.name.swapcase()) if folder.name else folder
    with suppress(OSError):
        return swapped != folder and swapped.samefile(folder)
    return False


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Be the only process at work in a folder; UsageError where another one is. The lock ends with the process; where
    the system or the file system has no locks, there is none."""
    try:
        import fcntl

        lock = os.open(folder, os.O_RDONLY)
    except (ImportError, OSError):
        yield
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise UsageError(f"{one_line(folder)}: another run is at work in this folder; choose another output") from None
    except OSError:
        pass
    try:
        yield
    finally:
        os.close(lock)


def sweep(folders: Iterable[Path]) -> None:
    """Remove what dead processes of this machine left half-written in some folders, and nothing else."""
    if os.name != "posix":  # elsewhere there is no harmless way to ask whether a process lives
        return
    for folder in {real(folder) for folder in folders}:
        with suppress(OSError), os.scandir(folder) as entries:
            for entry in entries:
                match = PART.fullmatch(entry.name)
                ours = match is not None and match[1] in (None, _host()) and entry.is_file(follow_symlinks=False)
                if match is not None and ours and not _alive(int(match[2])):
                    _discard([Path(entry.path)])


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # another user's
        return True
    with suppress(OSError):  # one that has ended, and whose parent has not asked, is as dead; told by Linux only
        return Path(f"/proc/{process}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()[0] not in "ZX"
    return True


@cache
def _host() -> str:
    """A short mark of this machine."""
    name = os.uname().nodename if hasattr(os, "uname") else os.environ.get("COMPUTERNAME", "")
    return f"{zlib.crc32(name.encode()):08x}"


def hidden(place: Path) -> Path:
    """A hidden name beside a file to write to; of a very long name a checksum stands in it."""
    aside = threading.current_thread() is not threading.main_thread()  # threads may write one file at a time
    name, mark = os.fsencode(place.name), f"{f'.{threading.get_ident()}' if aside else ''}.{_host()}-{os.getpid()}.part"
    short = len(name) + len(mark) < LONGEST_NAME
    return place.with_name(f".{place.name if short else f'{zlib.crc32(name):08x}'}{mark}")


def _discard(parts: Iterable[Path | None]) -> None:
    for part in parts:
        if part is not None:
            with suppress(OSError):
                part.unlink()


def _place(staged: Mapping[Path, Path | None], main: Path, replaceable: set[Path] | None) -> None:
    """Bring hidden files to their places; or, where another file stands in one, all of them to other names."""
    last = real(main)

    def order(place: Path) -> tuple[bool, bool]:
        return place == last, replaceable is None or place in replaceable

    parts = {place: staged[place] for place in sorted(staged, key=order)}
    if not parts:
        return
    try:
        obstacle = _take(parts, replaceable)
        if obstacle is None:
            return
        left = {place: part for place, part in parts.items() if part is not None and part.exists()}
        for number in itertools.count(1):
            mark = f"_new{number if number > 1 else ''}"
            moved = {_renamed(place, last.stem, mark): part for place, part in left.items()}
            if _take(moved, set()) is None:
                break
    except OSError as error:
        raise unwritable(main.name, error) from None
    *others, new = moved
    name = one_line(new if main.is_symlink() else main.with_name(new.name))
    rest = f", with {', '.join(one_line(other.name) for other in others)}" if others else ""
    raise UsageError(f"{one_line(obstacle.name)} appeared during the run and is left alone; the result is {name}{rest}")


def _renamed(place: Path, stem: str, mark: str) -> Path:
    """The place of a file of a result that goes by another name: `mark` follows the stem of the result in it."""
    begin = stem if place.name.startswith((f"{stem}_", f"{stem}.")) else place.stem
    return place.with_name(f"{begin}{mark}{place.name.removeprefix(begin)}")


def _take(parts: Mapping[Path, Path | None], replaceable: set[Path] | None) -> Path | None:
    """Give hidden files their places in order. If one is held by another file: that place, with all others as before;
    files that were replaced do not come back."""
    last, placed = list(parts)[-1], []
    if not (replaceable is None or last in replaceable) and os.path.lexists(last):
        return last
    try:
        for place, part in parts.items():
            allowed = replaceable is None or place in replaceable
            if part is None and allowed:
                place.unlink(missing_ok=True)
            elif part is not None and allowed:
                part.replace(place)
            elif part is not None:
                _settle(part, place)
                placed.append((place, part))
    except BaseException as error:
        for earlier, part in placed:
            with suppress(OSError):
                _take_back(earlier, part)
        if isinstance(error, FileExistsError):
            return place
        raise
    return None


def _settle(part: Path, place: Path) -> None:
    """Give a hidden file a place that must be free; FileExistsError."""
    try:
        os.link(part, place)
    except FileExistsError:
        raise
    except OSError:  # no hard links here
        if os.path.lexists(place):
            raise FileExistsError(place) from None
        part.rename(place)


def _take_back(place: Path, part: Path) -> None:
    """Undo `_settle`, unless another file has taken the place since."""
    if not part.exists():
        place.rename(part)
    elif part.samefile(place):
        place.unlink()
