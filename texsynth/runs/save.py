"""Writing a result: the picture last, so that where it stands everything that belongs to it stands too."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from texsynth.errors import UsageError
from texsynth.field import pictures as drawing
from texsynth.field.atlas import Field, coordinates
from texsynth.image import picture as image
from texsynth.image.files import Put, together
from texsynth.image.picture import Picture
from texsynth.runs.run import Result

LOSSLESS = (".png", ".tif", ".tiff")
PREVIEW_FILES = {"preview": ".png"}
FIELD_FILES = {"field": ".npz", "coordinates": ".png", "plane": ".png", "cost": ".png"}


def paths(out: Path, depths: Mapping[str, str], save_field: bool, preview: bool = False) -> dict[str, Path]:
    """Every file of a result, by what it is: the maps, the field's files, the preview, and the image itself last.

    depths: those of the maps. A map keeps OUT's format where that keeps its values; otherwise it is a PNG, or
    a TIFF for floats.
    """
    suffixes = {name: _suffix(out.suffix.lower(), depth) for name, depth in depths.items()}
    for flag, wanted, files in (("--save-field", save_field, FIELD_FILES), ("--preview", preview, PREVIEW_FILES)):
        if wanted and (taken := sorted(suffixes.keys() & files.keys())):
            raise UsageError(f"--map {taken[0]}: {flag} writes a file of that name; call the map something else")
        suffixes |= files if wanted else {}
    named = {name: out.with_name(f"{out.stem}_{name}{suffix}") for name, suffix in suffixes.items()}
    return {**named, "image": out}


def save(
    result: Result,
    out: Path,
    metadata: bool = True,
    save_field: bool = False,
    preview: bool = False,
    put: Put | None = None,
) -> tuple[dict[str, Path], list[str]]:
    """Write a result, all of it or nothing; return the files by name, and notices.

    `preview` adds the result repeated 2 x 2; `put` writes the files, as for `image.write`. Raises UsageError for a
    format that cannot be written, ResourceError for a full disk.
    """
    if put is None:
        with together(out) as put_file:
            return save(result, out, metadata, save_field, preview, put_file)
    files = paths(
        out, {n: p.depth for n, p in result.maps.items()}, save_field and isinstance(result.field, Field), preview
    )
    notices = []
    if save_field and result.field is None:
        notices.append("this method copies nothing, so there is no field to save")
    pictures = dict(result.maps)
    if save_field and isinstance(result.field, Field):
        pictures["coordinates"] = Picture(drawing.coordinate_picture(result.field))
        pictures["plane"] = Picture(drawing.plane_picture(result.field))
        pictures["cost"] = Picture(drawing.cost_picture(result.field))
        put(files["field"], field_content(result.field))
    if preview:
        pictures["preview"] = repeated(result.image)
    for name, picture in pictures.items():
        notices += image.write(files[name], picture, put=put)
    notices += image.write(out, result.image, metadata=dict(result.record) if metadata else None, put=put)
    return files, notices


def field_path(out: Path) -> Path:
    """Where the field of a picture is saved."""
    return out.with_name(f"{out.stem}_field{FIELD_FILES['field']}")


def repeated(picture: Picture) -> Picture:
    """A picture 2 x 2 times, to see how it goes on across its borders; floats become 16 bits, which PNG holds."""
    alpha = None if picture.alpha is None else picture.alpha.repeat(1, 1, 2, 2)
    depth = "uint16" if picture.depth.startswith("float") else picture.depth
    return replace(picture, pixels=picture.pixels.repeat(1, 1, 2, 2), alpha=alpha, depth=depth)


def field_content(field: Field) -> bytes:
    """The field as .npz: exemplar, copy, y, x (h, w) in the smallest unsigned integers, cost float32, and copies, the
    names that `copy` counts."""
    where = coordinates(field)
    indices: dict[str, Any] = {name: getattr(where, name).numpy() for name in ("exemplar", "copy", "y", "x")}
    arrays = {name: values.astype(np.min_scalar_type(int(values.max()))) for name, values in indices.items()}
    arrays |= {"cost": field.cost.float().cpu().numpy(), "copies": np.array(field.copies)}
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def _suffix(wanted: str, depth: str) -> str:
    if depth.startswith("float"):
        return wanted if wanted in (".tif", ".tiff") else ".tif"
    return wanted if wanted in LOSSLESS else ".png"
