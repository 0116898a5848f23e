"""Writing a result: the picture last, so that where it stands everything that belongs to it stands too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from texsynth.errors import UsageError
from texsynth.field import pictures as drawing
from texsynth.field.atlas import Field
from texsynth.image import picture as image
from texsynth.image import strips
from texsynth.image.files import Put, together
from texsynth.image.load import NORMAL_DX, NORMALS
from texsynth.image.picture import Picture
from texsynth.image.strips import Strips
from texsynth.job import Layer
from texsynth.material import channels, export, texel
from texsynth.material.export import PLAIN, Asked, File
from texsynth.material.roles import DX, GL
from texsynth.runs import fields
from texsynth.runs.run import Result

EXR = ".exr"
LOSSLESS = (".png", ".tif", ".tiff", EXR)
FLOATING = (".tif", ".tiff", EXR)
PREVIEW_FILES = {"preview": ".png"}
MTLX_FILES = {"mtlx": ".mtlx"}
FIELD_FILES = {"field": ".npz", "coordinates": ".png", "plane": ".png", "cost": ".png"}


def asked(request: Any, maps: Mapping[str, Layer] | None = None) -> Asked:
    """What a request asks of the files of maps; of layers that are there also their conventions."""
    files = {name: sources[0] for name, sources in (request.maps or {}).items() if sources}
    inputs = {name: Path(str(file)).name for name, file in files.items() if isinstance(file, (str, Path))}
    kinds = {name: layer.role for name, layer in (maps or {}).items() if layer.role in NORMALS}
    conventions = {name: DX if kind == NORMAL_DX else GL for name, kind in kinds.items()}
    pixel = None if request.texel is None else texel.parse(request.texel)
    packed = export.packings(request.pack, request.names, files)
    return Asked(request.names, inputs, request.normals_out, conventions, request.mtlx, pixel, packed)


def paths(
    out: Path, depths: Mapping[str, str], save_field: bool, preview: bool = False, asked: Asked = PLAIN
) -> dict[str, Path]:
    """Every file of a result, by what it is: the maps, the field's files, the preview, and the image itself last.

    depths: those of the maps. A map keeps OUT's format where that keeps its values; otherwise it is a PNG, or for
    floats an EXR where it was one, and else a TIFF. asked: what they are called. Raises UsageError where two files
    would have one name.
    """
    every = export.files(depths, asked)
    written = {file.name: file for file in every}
    stems = {name: export.stem(file, out.stem, asked) for name, file in written.items()}
    suffixes = {name: _suffix(out.suffix.lower(), file, asked) for name, file in written.items()}
    _check_names(every, stems, out.stem, asked)
    stems |= {"mtlx": export.base(out.stem, asked)} if asked.mtlx else {}
    if "image" in written:
        raise UsageError("--map image: results call the picture so; call the map something else")
    beside = (("--mtlx", asked.mtlx, MTLX_FILES), ("--preview", preview, PREVIEW_FILES))
    for flag, wanted, files in (("--save-field", save_field, FIELD_FILES), *beside):
        if wanted and (taken := sorted(suffixes.keys() & files.keys())):
            raise UsageError(f"--map {taken[0]}: {flag} writes a file of that name; call the map something else")
        suffixes |= files if wanted else {}
    named = {name: out.with_name(stems.get(name, f"{out.stem}_{name}") + suffix) for name, suffix in suffixes.items()}
    return {**named, "image": out}


def _check_names(every: Sequence[File], stems: Mapping[str, str], image: str, asked: Asked) -> None:
    """Raise UsageError where two maps, or a map and the image, would be one file: schemes name them by their roles."""
    if asked.names is None:
        return
    taken = {image.casefold(): "the picture"}
    for file in every:
        other = taken.setdefault(stems[file.name].casefold(), file.source)
        if other != file.source:
            both = f"{other} and the map {file.source} would both be {stems[file.name]}"
            raise UsageError(f"--names {asked.names}: {both}; leave one out, or call it by a name that means no role")


def save(
    result: Result,
    out: Path,
    metadata: bool = True,
    save_field: bool = False,
    preview: bool = False,
    put: Put | None = None,
    asked: Asked = PLAIN,
) -> tuple[dict[str, Path], list[str]]:
    """Write a result, all of it or nothing; return the files by name, and notices.

    `preview` adds the result repeated 2 x 2; `put` writes the files, as for `image.write`; `asked` says what maps are
    called and in which form. Raises UsageError for a format that cannot be written, ResourceError for a full disk.
    """
    if put is None:
        with together(out) as put_file:
            return save(result, out, metadata, save_field, preview, put_file, asked)
    field = result.field
    depths = {name: layer.depth for name, layer in result.layers.items()}
    files = paths(out, depths, save_field and field is not None, preview, asked)
    pictures, notices = export.pictures(result.layers, asked)
    if save_field and field is None:
        notices.append("this method copies nothing, so there is no field to save")
    if save_field and field is not None:
        pictures["coordinates"] = drawing.by_rows(field, drawing.coordinate_picture)
        pictures["plane"] = drawing.by_rows(field, drawing.plane_picture)
        if isinstance(field, Field):
            pictures["cost"] = Picture(drawing.cost_picture(field))
        else:
            del files["cost"]
            notices.append("the field of a picture above the working size has no costs to save")
        put(files["field"], fields.content(field))
    if preview:
        pictures["preview"] = repeated(result.picture)
    for name, picture in pictures.items():
        notices += image.write(files[name], picture, put=put)
    if asked.mtlx:
        written = {name: (files[name].name, picture) for name, picture in pictures.items()}
        shown = out.name, result.picture
        text, left = export.document(files["mtlx"].stem, shown, result.layers, written, asked)
        put(files["mtlx"], text)
        notices += left
    notices += image.write(out, result.picture, metadata=dict(result.record) if metadata else None, put=put)
    return files, notices + _of_light(out, result.picture)


def _of_light(out: Path, picture: Picture | Strips) -> list[str]:
    """A line where colours that are not linear go to a format of linear ones."""
    form = image.SUFFIXES_WRITE[out.suffix.lower()]
    if not form.is_linear or picture.depth.startswith("float") or picture.tags.is_linear:
        return []
    return [f"{out.name}: its colours are those of the exemplar, not linear as {form} is understood; convert them"]


def field_path(out: Path) -> Path:
    """Where the field of a picture is saved."""
    return out.with_name(f"{out.stem}_field{FIELD_FILES['field']}")


def repeated(picture: Picture | Strips) -> Strips:
    """A picture 2 x 2 times, to see how it goes on across its borders; floats become 16 bits, which PNG holds."""
    once = picture if isinstance(picture, Strips) else strips.of(picture)

    def draw(top: int, bottom: int) -> Picture:
        parts = []
        while top < bottom:
            start = top % once.height
            parts.append(once.rows(start, min(start + bottom - top, once.height)))
            top += parts[-1].height
        pixels, alphas = (torch.cat([p.pixels for p in parts], 2), [p.alpha for p in parts if p.alpha is not None])
        alpha = torch.cat(alphas, 2).repeat(1, 1, 1, 2) if alphas else None
        return replace(parts[0], pixels=pixels.repeat(1, 1, 1, 2), alpha=alpha)

    depth = "uint16" if once.depth.startswith("float") else once.depth
    return replace(once, size=(2 * once.height, 2 * once.width), draw=draw, depth=depth)


def _suffix(wanted: str, file: File, asked: Asked) -> str:
    fits_exr = file.packing is None or channels.kept_by(image.SUFFIXES_WRITE[EXR], file.packing)
    wanted = "" if wanted == EXR and not fits_exr else wanted
    if file.depth.startswith("float"):
        return wanted if wanted in FLOATING else EXR if fits_exr and asked.is_of(EXR, file) else ".tif"
    return wanted if wanted in LOSSLESS or (wanted == ".tga" and file.depth == "uint8") else ".png"
