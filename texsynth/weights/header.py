"""The keys of the tensors of a weights file, read without torch and without the tensors themselves."""

from __future__ import annotations

import pickle
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from texsynth.errors import WeightsError
from texsynth.foreign import json_text, regular

LONGEST_HEADER = json_text.LONGEST  # bytes of a safetensors header that is believed
DAMAGE = (  # what parsers raise for files that are cut, or of another kind
    *(pickle.UnpicklingError, struct.error, zipfile.BadZipFile, OSError, EOFError, RuntimeError),
    *(LookupError, ValueError, AttributeError, TypeError, ArithmeticError),
)
PICKLES_BEFORE = 3  # in torch's older format: a magic number, a version, and facts of the machine


def keys(path: Path) -> frozenset[str]:
    """The keys of all tensors of a safetensors file or a torch state dict; raises WeightsError where it is neither."""
    form = form_of(path)
    try:
        with regular.opened(path) as file:
            if form == "safetensors":
                return _entries(file, path.stat().st_size)
            content = _zipped(file) if form == "zip" else [_Keys(file).load() for _ in range(PICKLES_BEFORE + 1)][-1]
    except DAMAGE as error:
        raise refusal(path, error) from None
    plain = content if isinstance(content, Mapping) else {}
    return frozenset(key for key, value in plain.items() if isinstance(value, _Absent))


def is_plain(tensor: Any) -> bool:
    """Is a tensor one whose values all lie in memory? Sparse ones and those without values are of no use here."""
    return str(tensor.layout) == "torch.strided" and tensor.device.type == "cpu"


def form_of(path: Path) -> str:
    """ "safetensors", or torch's "zip" or "pickle", by the first bytes of a file; raises WeightsError for any other."""
    try:
        with regular.opened(path) as file:
            head = file.read(9)
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror or error}") from None
    if head[8:] == b"{":
        return "safetensors"
    if head[:2] == b"PK":
        return "zip"
    if head[:1] == b"\x80":
        return "pickle"
    raise WeightsError(f"{path} is no weights file; safetensors and torch state dicts (.pth) are")


def refusal(path: Path, error: Exception) -> WeightsError:
    """The error to raise for a file of weights that cannot be parsed."""
    if isinstance(error, pickle.UnpicklingError):
        return WeightsError(f"{path} holds pickled code, which is not run; save its state dict as safetensors")
    return WeightsError(f"{path} is damaged, or no file of plain tensors; fetch or save it again")


def safetensors_header(file: IO[bytes]) -> dict[str, Any]:
    """The JSON header of a safetensors file; raises struct.error and ValueError for another file."""
    (length,) = struct.unpack("<Q", file.read(8))
    if length > LONGEST_HEADER:
        raise ValueError
    return dict(json_text.load(file.read(length).decode("utf-8")))


def _entries(file: IO[bytes], size: int) -> frozenset[str]:
    """The keys of a safetensors file of that size in bytes; raises ValueError where it is cut."""
    header = safetensors_header(file)
    header.pop("__metadata__", None)
    end = max((entry["data_offsets"][1] for entry in header.values()), default=0)
    if file.tell() + end != size:
        raise ValueError
    return frozenset(header)


def _zipped(file: IO[bytes]) -> Any:
    """The content of a zip file of torch, without the tensors."""
    check_zip(file)
    with zipfile.ZipFile(file) as archive:
        (name,) = [name for name in archive.namelist() if name.rpartition("/")[2] == "data.pkl"]
        return _Keys(archive.open(name)).load()


def check_zip(file: IO[bytes]) -> None:
    """Raise zipfile.BadZipFile where a zip file could grow while it is read: torch compresses nothing."""
    size = file.seek(0, 2)
    file.seek(0)
    with zipfile.ZipFile(file) as archive:
        entries = archive.infolist()
    if any(e.compress_type != zipfile.ZIP_STORED for e in entries) or sum(e.file_size for e in entries) > size:
        raise zipfile.BadZipFile
    file.seek(0)


class _Absent:
    """It stands for any object of torch, as only its key is asked for."""

    def __init__(self, *_: object) -> None: ...

    def __setstate__(self, state: object) -> None: ...


class _Keys(pickle.Unpickler):
    """Unpickles nested dictionaries; no code of a file is run, as every class but theirs is replaced or refused."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if module.partition(".")[0] == "torch":
            return _Absent
        raise pickle.UnpicklingError

    def persistent_load(self, pid: Any) -> _Absent:  # noqa: ARG002 (pickle's signature)
        return _Absent()
