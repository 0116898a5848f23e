"""Reading and writing pictures: the only module that turns files into tensors and back."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, BinaryIO

import numpy as np
import torch

from texsynth.errors import ExtraError, InputError, ResourceError, TexsynthError, UsageError, listed, one_line
from texsynth.foreign import json_text, regular
from texsynth.foreign.piped import Piped, path_of
from texsynth.image import codecs, files, rows, scratch, strips
from texsynth.image.codecs import png
from texsynth.image.files import Content, Put
from texsynth.image.pixels import LEVELS, is_finite, picture_of, samples_of
from texsynth.image.pixels import Picture as Picture
from texsynth.image.pixels import from_array as from_array
from texsynth.image.pixels import rgb as rgb
from texsynth.image.pixels import size_in_memory as size_in_memory
from texsynth.image.pixels import to_array as to_array
from texsynth.image.strips import Strips

FilePath = str | os.PathLike[str]
MIN_EXEMPLAR_SIDE = 8
KEPT_BY_TIFF = "; .tif keeps it"  # at the end of what is said of depths that a format cannot hold
METADATA_KEY = "texsynth"
IN_ROWS = 8  # bytes of a pixel that are held of all of a picture which is used some rows at a time, as masks of it
CONVERTING = 16 << 18  # bytes of rows that become floats
WHOLE = 1 << 26  # bytes of samples that are encoded at once: those of 4096 x 4096 pixels of 8-bit RGBA
SUFFIXES_READ = {suffix: form for form in codecs.FORMATS for suffix in form.suffixes}
# Of pictures in formats that are not read: a folder names what it leaves out.
SUFFIXES_UNREAD = (
    ".psd", ".psb", ".heic", ".heif", ".jxl", ".jxr", ".hdp", ".wdp", ".dds", ".ktx",
    ".ktx2", ".svg", ".ico", ".pcx", ".xcf", ".kra", ".ora", ".sgi", ".ras", ".pam", ".qoi",
    ".raw", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf", ".pef", ".srw", ".tx", ".rgbe", ".xyze",
)  # fmt: skip
SUFFIXES_WRITE = {suffix: form for suffix, form in SUFFIXES_READ.items() if form.encoded is not None}


def check_exemplar_size(picture: Picture, name: str) -> None:
    """Raise InputError when the shorter side of an exemplar is below MIN_EXEMPLAR_SIDE pixels."""
    if min(picture.width, picture.height) < MIN_EXEMPLAR_SIDE:
        size, need = f"{picture.width}x{picture.height}", f"{MIN_EXEMPLAR_SIDE}x{MIN_EXEMPLAR_SIDE}"
        raise InputError(f"{name}: exemplar is {size}; at least {need} pixels are needed")


def looks_like_picture(path: Path) -> bool:
    """Is it by its suffix a picture, though perhaps of a format that is not read?"""
    return path.suffix.lower() in (*SUFFIXES_READ, *SUFFIXES_UNREAD)


def is_readable(path: Path) -> bool:
    """Is it, by its name, a picture that can be read? Hidden files are none."""
    return path.suffix.lower() in SUFFIXES_READ and path.name[0] != "." and path.is_file()


def is_left_out(path: Path) -> bool:
    """Does it look like a picture, but is of a format that is not read, or no file, as a link to nothing?"""
    return looks_like_picture(path) and path.name[0] != "." and not path.is_dir() and not is_readable(path)


def list_pictures(folder: FilePath) -> list[Path]:
    """The pictures in a folder that can be read, sorted by name; raises InputError for none."""
    pictures = [path for path in _entries(folder) if is_readable(path)]
    if not pictures:
        others = f" but those left out: {listed(p.name for p in left)}" if (left := left_out(folder)) else ""
        inside = [path.name for path in _entries(folder) if path.is_dir()]
        fix = f"give one of its folders ({listed(inside)})" if inside else f"allowed: {' '.join(SUFFIXES_READ)}"
        raise InputError(f"{one_line(folder)}: holds no pictures{others}; {fix}")
    return pictures


def left_out(folder: FilePath) -> list[Path]:
    """The pictures in a folder that `list_pictures` leaves out; raises InputError."""
    return [path for path in _entries(folder) if is_left_out(path)]


def left_out_reason(path: Path) -> str:
    """Why a picture is left out."""
    return "it is no file" if path.suffix.lower() in SUFFIXES_READ else f"{path.suffix.lower()} is not read"


def left_out_notice(paths: Sequence[Path]) -> str:
    """A line that names pictures of one folder that are left out, and why."""
    reasons = "; ".join(dict.fromkeys(map(left_out_reason, paths)))
    return f"{one_line(paths[0].parent)}: {listed(path.name for path in paths)} left out ({reasons})"


def _entries(folder: FilePath) -> list[Path]:
    try:
        return sorted(Path(folder).iterdir())
    except OSError as exc:
        raise InputError(f"{one_line(folder)}: not a folder that can be read ({exc.strerror})") from exc


def read(path: FilePath, memory: int | None = None, pixel: int = 0) -> Picture:
    """One picture, turned upright by its EXIF orientation, in the format that its content has, whatever its suffix.

    memory: the bytes that reading may take, of the file's and the decoder's to the picture's own; None for any.
    pixel: the bytes of each of its pixels that its use may take later on, which must fit into `memory` too.
    Raises InputError for a file that is missing, damaged, animated, too large or unsupported, or has no suffix of
    SUFFIXES_READ; ResourceError, before a pixel is decoded, for one that needs more than `memory`, and when there is
    no more.
    """
    path = path_of(path)
    with _opened(path) as (handle, form):
        size = codecs.size_of(handle)
        if memory is not None and size > memory:
            raise too_large(path.name, f"a file of {size >> 20} MB", size, memory)
        file = codecs.opened(handle, form)
        if memory is not None and (need := _peak(file.header, pixel)) > memory:
            raise too_large(path.name, f"{file.header.width}x{file.header.height}", need, memory)
        decoded = codecs.decode(file, form)
        del file  # and with it what the decoder holds
        return picture_of(decoded)


def size_of(path: FilePath) -> tuple[int, int]:
    """The (height, width) that the file of a picture says, before it is turned upright; no pixel is decoded. Raises as
    `read` does."""
    with _opened(path_of(path)) as (handle, form):
        header = codecs.opened(handle, form).header
        return header.height, header.width


def _peak(header: codecs.Header, pixel: int) -> int:
    """The bytes that a picture takes at its peak: while it is decoded, while samples become floats, or in use. What is
    mapped from scratch takes none but for some rows."""
    pixels = header.width * header.height
    samples, working = header.samples, header.working
    if header.in_rows:
        samples, working = 0, min(header.by_rows or 0, samples + working)
    colours = 1 if header.channels < 3 else 3
    planes = [4 * pixels * count for count in (colours, header.channels - colours)]
    floats = sum(min(size, CONVERTING) if scratch.is_large(size) else size for size in planes)
    beyond = max(0, pixels - rows.WHOLE)  # what is larger is used some rows at a time
    return max(samples + max(working, floats), pixel * (pixels - beyond) + min(pixel, IN_ROWS) * beyond)


def too_large(name: str, size: str, need: int, memory: int) -> ResourceError:
    """The error to raise for an input of a size such as 640x480 that needs more than `memory` bytes to be read."""
    needs = f"needs {-(-need >> 20)} MB to be read, above the {max(0, memory) >> 20} MB that --max-memory leaves"
    return ResourceError(f"{one_line(name)}: is {size}, which {needs}; scale it down or raise --max-memory")


def read_metadata(path: FilePath) -> dict[str, Any] | None:
    """The metadata that `write` stored with a picture, or None; raises InputError when the picture cannot be read.
    METADATA_KEY names a tEXt chunk of a PNG; for other formats it is the key in the `sidecar` beside the picture, or in
    STEM.json, which the first version wrote."""
    with _opened(Path(path)) as (handle, form):
        if form == codecs.PNG:
            return _json_object(png.text(handle, METADATA_KEY) or "")
        return _record_in(_sidecar_of(Path(path)))


def sidecar(path: FilePath, recorded: bool = True) -> list[Path]:
    """The file OUT.EXT.json beside a picture OUT.EXT that `write` writes or removes, if it does; recorded: will there
    be metadata?"""
    beside = _beside_of(Path(path))
    if SUFFIXES_WRITE.get(Path(path).suffix.lower()) == codecs.PNG:
        return []
    return [beside] if recorded or _record_in(beside) is not None else []


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[tuple[BinaryIO, codecs.Format]]:
    """The file, open at its start, and its format; InputError or ResourceError for all that fails inside."""
    name = one_line(path.name)
    try:
        if path.exists() and not path.is_file():
            raise codecs.CodecError("is a folder or a device; a picture file is needed")
        with regular.opened(path) as handle:
            form = _format(path, handle.peek(18))
            _check_installed(form, name)
            yield handle, form
    except codecs.CodecError as exc:
        raise InputError(f"{name}: {exc}") from exc
    except FileNotFoundError as exc:
        raise InputError(f"{name}: no such file in {one_line(path.parent)}; check the path") from exc
    except OSError as exc:
        raise InputError(f"{name}: cannot be read ({exc.strerror or exc}); check the file's rights") from exc
    except MemoryError as exc:
        raise ResourceError(f"{name}: does not fit in memory; scale it down or crop it") from exc


def _check_installed(form: codecs.Format, name: str) -> None:
    """Raise ExtraError, which names the file, where what a format needs is not installed."""
    try:
        codecs.check_installed(form)
    except ExtraError as error:
        raise ExtraError(f"{name}: {error}") from None


def _format(path: Path, head: bytes) -> codecs.Format:
    """Format of a file by the bytes it starts with; CodecError when it is none of SUFFIXES_READ."""
    suffix, allowed = path.suffix, " ".join(SUFFIXES_READ)
    suffixes = SUFFIXES_READ if isinstance(path, Piped) else (suffix,)  # without a name, any will do
    form = next((form for each in suffixes if (form := codecs.sniff(head, each))), None)
    if suffix.lower() not in SUFFIXES_READ and not isinstance(path, Piped):
        kind = one_line(suffix) or "no suffix"
        raise codecs.CodecError(f"{kind} is not supported; allowed: {allowed}; convert it to .png")
    if form is None:
        fault = "its content is no picture" if head else "is empty (0 bytes)"
        raise codecs.CodecError(f"{fault}; allowed: {allowed}; export or copy it again")
    return form


def _beside_of(path: Path) -> Path:
    """The sidecar of a picture; of a symbolic link that of the file that it names."""
    place = files.real(path) if path.is_symlink() else path
    return place.parent / f"{place.name}.json"


def _sidecar_of(path: Path) -> Path:
    """The file that holds the metadata of a picture, if there is one. STEM.json, of the first version, belongs to one
    picture of that stem: the one that was written with it, which is the nearest to it in time."""
    exists = os.path.exists  # also for names that are too long to be
    beside, linked, former = _beside_of(path), path.with_name(f"{path.name}.json"), path.with_suffix(".json")
    if exists(beside) or exists(linked) or not exists(former):
        return beside if exists(beside) else linked
    written = former.stat().st_mtime
    rivals = [path.with_suffix(suffix) for suffix, form in SUFFIXES_WRITE.items() if form != codecs.PNG]
    others = [other for other in rivals if exists(other) and not exists(_beside_of(other))]
    nearest = min((abs(other.stat().st_mtime - written) for other in others), default=0.0)
    return former if not others or abs(path.stat().st_mtime - written) <= nearest else beside


def _record_in(beside: Path) -> dict[str, Any] | None:
    """Metadata inside a sidecar file; None when there is no such file or it is not one of ours."""
    inner = (_content(beside) or {}).get(METADATA_KEY)
    return inner if isinstance(inner, dict) else None


def _content(beside: Path) -> dict[str, Any] | None:
    """The JSON object in a file, if there is one."""
    try:
        return _json_object(regular.content(beside, json_text.LONGEST).decode("utf-8", errors="replace"))
    except OSError:  # none, or nothing that texsynth wrote
        return None


def _json_object(text: str) -> dict[str, Any] | None:
    with contextlib.suppress(ValueError):
        value = json_text.load(text)
        return value if isinstance(value, dict) else None
    return None


def check_writable(path: FilePath, size: tuple[int, int] | None = None) -> None:
    """Raise UsageError when `write` could not write `path`; `size` is the (height, width), if known."""
    path = Path(path)
    name, folder = one_line(path.name), one_line(path.parent)
    form = SUFFIXES_WRITE.get(path.suffix.lower())
    if form is None:
        suffix, allowed = one_line(path.suffix) or "no suffix", " ".join(SUFFIXES_WRITE)
        raise UsageError(f"{name}: cannot write {suffix}; allowed: {allowed}; nearest: .png")
    _check_installed(form, name)
    files.destination(path)
    if not path.parent.is_dir():
        raise UsageError(f"{name}: there is no folder {folder} to write to; create it first")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise UsageError(f"{name}: folder {folder} is not writable; choose another one")
    if size:
        check_side(name, form, size)


def check_side(name: str, form: codecs.Format, size: tuple[int, int]) -> None:
    """Raise UsageError where a picture of `size` (height, width) is longer than a format can be."""
    if max(size) > (side := form.max_side):
        raise UsageError(f"{name}: {size[1]}x{size[0]} is too long for {form}, at most {side}; use .tif")


def format_named(name: str | None) -> codecs.Format:
    """The format that `--format` names, which is one of those that are written; PNG by default. Raises ExtraError."""
    form = next(form for form in SUFFIXES_WRITE.values() if form.name.upper() == (name or codecs.PNG.name))
    codecs.check_installed(form)
    return form


def write(
    path: FilePath, picture: Picture | Strips, *, metadata: dict[str, Any] | None = None, put: Put | None = None
) -> list[str]:
    """Write `picture` in the format of the suffix, all or nothing, and return one line per loss (often none).

    `metadata` must be serialisable as JSON. `put` writes the files, for a picture that is one of several that belong
    together (`files.together`); without it what exists is overwritten. Raises UsageError for a path that cannot be
    written, for lack of disk or memory ResourceError, for NaN or infinite values TexsynthError.
    """
    path = Path(path)
    check_writable(path, (picture.height, picture.width))
    name = one_line(path.name)
    content, notices = encoded(picture, SUFFIXES_WRITE[path.suffix.lower()], name, metadata)
    contents: dict[Path, Content] = {path: content}
    try:
        for beside in sidecar(path, metadata is not None):
            contents[beside], lost = _beside(beside, metadata)
            notices += [f"{name}: {notice}" for notice in lost]
    except OSError as exc:
        raise files.unwritable(name, exc) from exc
    with contextlib.nullcontext(put) if put is not None else files.together(path) as put_file:
        for target, part in contents.items():
            put_file(target, part)
    return notices


def encoded(
    picture: Picture | Strips, form: codecs.Format, name: str, metadata: dict[str, Any] | None = None
) -> tuple[bytes | Callable[[IO[bytes]], None], list[str]]:
    """The content of a file of a format, in a PNG with `metadata`, and one line for each loss, which `name` begins.

    Of a picture above WHOLE bytes, where the format can be written by rows, it is a function that writes them to an
    open file, in the memory of a few. Raises TexsynthError for NaN or infinite values, and ResourceError.
    """
    fitted, notices = _fitted(picture if isinstance(picture, Strips) else strips.of(picture), form)
    text = {METADATA_KEY: json_text.text(metadata)} if metadata is not None and form == codecs.PNG else {}
    notices = [f"{name}: {notice}" for notice in notices]
    samples = _rows(fitted, name)
    if form.streamed is None or samples.nbytes <= WHOLE:
        with _explained(name):
            whole = _assembled(samples, strips.spans(fitted.size))
            return codecs.encode(form, whole, fitted.icc, text, fitted.tags), notices

    def content(file: IO[bytes]) -> None:
        with _explained(name):
            codecs.stream(form, file, samples, fitted.icc, text, fitted.tags, torch.get_num_threads())

    return content, notices


@contextlib.contextmanager
def _explained(name: str) -> Iterator[None]:
    """What goes wrong with a file inside, as an error that names it."""
    try:
        yield
    except codecs.CodecError as exc:
        raise TexsynthError(f"{name}: {exc}") from exc
    except OSError as exc:
        raise files.unwritable(name, exc) from exc
    except MemoryError as exc:
        raise ResourceError(f"{name}: does not fit in memory; write a smaller picture") from exc


def _rows(picture: Strips, name: str) -> codecs.Rows:
    """The samples of a picture as they are drawn; TexsynthError for NaN and infinite values among them."""

    def draw(top: int, bottom: int) -> np.ndarray:
        drawn = picture.rows(top, bottom)
        parts = [part for part in (drawn.pixels, drawn.alpha) if part is not None]
        if not all(map(is_finite, parts)):
            raise TexsynthError(f"{name}: not written, the result holds NaN or infinite values; try another seed")
        samples = samples_of(drawn, picture.depth)
        for part in parts:
            scratch.release(part)
        return samples

    return codecs.Rows((*picture.size, picture.channels + picture.has_alpha), picture.depth, draw)


def _assembled(rows: codecs.Rows, spans: Iterable[tuple[int, int]]) -> np.ndarray:
    """All samples of a picture, drawn by these strips."""
    samples = scratch.empty(rows.shape, rows.depth)
    for top, bottom in spans:
        samples[top:bottom] = rows.draw(top, bottom)
    return samples


def _beside(path: Path, metadata: dict[str, Any] | None) -> tuple[bytes | None, list[str]]:
    """The new content of a sidecar, None for none, and what is lost. What other programs keep in the file stays."""
    before = _content(path)
    content = {key: value for key, value in (before or {}).items() if key != METADATA_KEY}
    notices = [f"{one_line(path.name)} held no JSON object and is replaced"] if before is None and path.exists() else []
    content |= {} if metadata is None else {METADATA_KEY: metadata}
    return json_text.text(content, indent=2).encode() if content else None, notices


def _fitted(picture: Strips, form: codecs.Format) -> tuple[Strips, list[str]]:
    """The part of `picture` that a file of format `form` can hold, and a line for each loss."""
    held, icc, notices = picture, picture.icc, []
    depth = picture.depth if picture.depth in form.held else form.deepened.get(picture.depth, form.held[-1])
    if depth not in (picture.depth, form.deepened.get(picture.depth)):
        clamped = "" if picture.depth in LEVELS else ", values clamped to [0, 1]"
        notices.append(f"{picture.depth} stored as {depth}{clamped}, all that {form} holds{KEPT_BY_TIFF}")
    if picture.has_alpha and not form.has_alpha:
        held = replace(held, has_alpha=False, draw=lambda top, bottom: replace(picture.rows(top, bottom), alpha=None))
        notices.append(f"alpha dropped, {form} holds none; .png, .webp and .tif keep it")
    if picture.has_alpha and form.is_premultiplied:
        held = replace(held, draw=lambda top, bottom: _multiplied(picture.rows(top, bottom)))
    space = b"GRAY" if picture.channels == 1 and form != codecs.WEBP else b"RGB "  # WebP stores grey as RGB
    if icc is not None and not form.has_profile:
        icc = None
        notices.append(f"ICC profile dropped, {form} holds none; .png and .tif keep it")
    elif icc is not None and icc[16:20] != space:
        icc = None
        notices.append(f"ICC profile dropped, it is not one for {space.decode().strip()} pictures")
    colours = picture.tags.colours(icc)
    linear = form.is_linear and picture.tags.is_linear
    if form != codecs.PNG and colours[0] in ("cICP", "gAMA and cHRM") and not linear:
        notices.append(f"{colours[0]} dropped, the meaning of colours that {form} cannot hold; .png keeps it")
    if form.loss:
        notices.append(f"{form.loss}; .exr and .tif keep them")
    return replace(held, depth=depth, icc=icc), notices


def _multiplied(picture: Picture) -> Picture:
    """Colours multiplied by their alpha, as some formats hold them."""
    return picture if picture.alpha is None else replace(picture, pixels=picture.pixels * picture.alpha)
