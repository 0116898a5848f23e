"""The field of a result as .npz: where each pixel was copied from."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from typing import IO, Any

import numpy as np

from texsynth.field.atlas import Field, coordinates
from texsynth.field.planes import Copying
from texsynth.image import scratch
from texsynth.image.files import Content
from texsynth.image.strips import spans

NAMES = ("exemplar", "copy", "y", "x")
LEVEL = 3  # of compression, of fields of any size


def content(field: Copying) -> Content:
    """The arrays of a field as .npz: exemplar, copy, y, x (h, w) in the smallest unsigned integers, and copies, the
    names that `copy` counts. A field that was solved whole has its cost float32, too; one of any size has none, and is
    written array after array."""
    copies = np.array(field.atlas.copies)
    if not isinstance(field, Field):
        return lambda file: _streamed(file, {**_mapped(field), "copies": copies})
    where = coordinates(field)
    indices: dict[str, Any] = {name: getattr(where, name).numpy() for name in NAMES}
    arrays = {name: values.astype(np.min_scalar_type(int(values.max()))) for name, values in indices.items()}
    arrays |= {"cost": field.cost.float().cpu().numpy(), "copies": copies}
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def _mapped(field: Copying) -> dict[str, np.ndarray]:
    """The whole numbers of a field of any size, in scratch where they are large."""
    atlas = field.atlas
    sides = [max(sides) - 1 for sides in zip(*atlas.exemplars, strict=True)]
    most = dict(zip(NAMES, (len(atlas.exemplars) - 1, len(atlas.copies) - 1, *sides), strict=True))
    arrays = {name: scratch.empty(field.size, np.min_scalar_type(limit)) for name, limit in most.items()}
    highest = dict.fromkeys(NAMES, 0)
    for top, bottom in spans(field.size, 1 << 18):
        where = coordinates(field.part(top, bottom))
        for name, values in arrays.items():
            part = getattr(where, name).numpy()
            values[top:bottom] = part
            highest[name] = max(highest[name], int(part.max()))
            scratch.release(values[top:bottom])
    smallest = {name: np.min_scalar_type(number) for name, number in highest.items()}
    return {
        name: values if values.dtype == smallest[name] else _narrowed(values, smallest[name])
        for name, values in arrays.items()
    }


def _narrowed(values: np.ndarray, kind: np.dtype[Any]) -> np.ndarray:
    """Whole numbers (h, w) in fewer bytes."""
    narrow = scratch.empty(values.shape, kind)
    for top, bottom in spans((len(values), values.shape[1])):
        narrow[top:bottom] = values[top:bottom]
        scratch.release(values[top:bottom])
        scratch.release(narrow[top:bottom])
    return narrow


def _streamed(file: IO[bytes], arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays as `numpy.savez_compressed` does, some rows of each at a time."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=LEVEL) as archive:
        for name, values in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                if values.ndim < 2:
                    np.lib.format.write_array(member, values)
                    continue
                header = {"descr": values.dtype.str, "fortran_order": False, "shape": values.shape}
                np.lib.format.write_array_header_1_0(member, header)
                for top, bottom in spans((len(values), values.shape[1])):
                    member.write(values[top:bottom].data)
                    scratch.release(values[top:bottom])
