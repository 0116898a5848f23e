"""The files of a texture that is ready for blending: what each is called, and what is in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from texsynth.errors import UsageError
from texsynth.foreign import json_text
from texsynth.image import codecs
from texsynth.image import picture as image
from texsynth.image.files import Put
from texsynth.image.load import NORMAL_DX, NORMALS
from texsynth.image.picture import Picture
from texsynth.material.roles import DX
from texsynth.report import blend as viewer
from texsynth.report.blend import Blending
from texsynth.tiles import blend_store, blendset, shading
from texsynth.tiles.blending import Gaussian, Slopes
from texsynth.tiles.blendset import BlendSet
from texsynth.tiles.side_by_side import each
from texsynth.verbs.tile_blend import Blended, BlendWork

IMAGE = "image"  # the texture as it repeats, the main file
# What is written beside the texture, by the ends of the names.
BESIDE = {
    "gaussian": "_gaussian.png",
    "lut": "_lut.png",
    "preview": "_preview.png",
    "viewer": ".html",
    "json": ".json",
    "glsl": ".glsl",
    "hlsl": ".hlsl",
    "osl": ".osl",
    "mtlx": ".mtlx",
}


def paths(out: Path, roles: Mapping[str, str]) -> dict[str, Path]:
    """Every file of a texture `out` that is ready for blending, by what it is; the texture itself last. roles: those of
    its maps. Raises UsageError where a map has the name of another file."""
    if taken := sorted(roles.keys() & {*BESIDE, IMAGE}):
        raise UsageError(f"--map {taken[0]}: a file of that name is written anyway; call the map something else")
    ends = dict(BESIDE)
    for name, role in roles.items():
        parts = [("", name)] if role in NORMALS else [(f"_{part}", f"{name}_{part}") for part in ("gaussian", "lut")]
        ends |= {f"{name}{part}": f"_{end}.png" for part, end in parts}
    named = {name: out.with_name(f"{out.stem}{end}") for name, end in ends.items()}
    return {**named, IMAGE: out}


def write(work: BlendWork, blended: Blended, files: Mapping[str, Path], put: Put) -> list[str]:
    """Write all files, the texture last; gives notices. Raises UsageError and ResourceError."""
    ready, request = _turned(blended, work), work.request
    first = blended.image.pictures[0]
    record = None if request.no_metadata else dict(work.record)
    pictures = _numbers("", ready.image, first)
    for name, layer in ready.maps.items():
        pictures |= _numbers(name, layer, blended.maps[name].pictures[0])
    shown = replace(first, alpha=None, depth="uint16" if first.depth.startswith("float") else first.depth)
    pictures["preview"] = replace(shown, pixels=blendset.preview(ready))
    pictures[IMAGE] = replace(shown, pixels=ready.once)
    named = {name: _files(name, layer, files) for name, layer in ((IMAGE, ready.image), *ready.maps.items())}
    put(files["json"], json_text.text(blend_store.described(ready, blended.suited, named, record), 1) + "\n")
    shown_maps = {IMAGE: Blending(ready.image, pictures[IMAGE]), **_shown(ready, blended, work)}
    for source in shading.BLEND:
        text = shading.source(source).replace(shading.TEXTURE, files[IMAGE].name)
        put(files[Path(source).suffix.removeprefix(".")], text)

    def page() -> list[str]:
        put(files["viewer"], viewer.page(ready.grid, shown_maps, files["json"].stem, blended.suited.sentence))
        return []

    last = pictures.pop(IMAGE)
    rest: list[Callable[[], list[str]]] = [page]
    rest += [partial(image.write, files[name], picture, put=put) for name, picture in pictures.items()]
    notices = [notice for said in each(lambda write_one: write_one(), rest) for notice in said]
    return notices + image.write(files[IMAGE], last, metadata=record, put=put)


def _shown(ready: BlendSet, blended: Blended, work: BlendWork) -> dict[str, Blending]:
    """The maps as the viewer has them, with the texture of each as it repeats."""
    shown = {}
    for name, layer in ready.maps.items():
        pixels = layer.texture if isinstance(layer, Slopes) else blendset.once(layer)
        wanted, role = work.request.normals_out, blended.maps[name].role
        shown[name] = Blending(layer, Picture(pixels), role == NORMAL_DX if wanted is None else wanted == DX)
    return shown


def _files(name: str, layer: Gaussian | Slopes, files: Mapping[str, Path]) -> dict[str, str]:
    """The names of the files of a map, by what a shader calls them."""
    if isinstance(layer, Slopes):
        return {"normal": files[name].name}
    before = "" if name == IMAGE else f"{name}_"
    return {"gaussian": files[f"{before}gaussian"].name, "table": files[f"{before}lut"].name}


def _numbers(name: str, layer: Gaussian | Slopes, like: Picture) -> dict[str, Picture]:
    """The pictures of a map, by the names of `paths`: numbers, no colours."""
    tags = replace(codecs.PLAIN, density=like.tags.density)
    if isinstance(layer, Slopes):
        return {name: Picture(layer.texture, None, blendset.depth_of(like.depth), None, tags)}
    before = f"{name}_" if name else ""
    return {
        f"{before}gaussian": Picture(layer.texture, None, blendset.depth_of(like.depth), None, tags),
        f"{before}lut": Picture(layer.table[None], None, blendset.TABLE_DEPTH),
    }


def _turned(blended: Blended, work: BlendWork) -> BlendSet:
    """The set with the normals that are asked for: green is inverted where it is to point the other way."""
    wanted, maps = work.request.normals_out, dict(blended.ready.maps)
    for name, layer in maps.items():
        role = blended.maps[name].role
        if isinstance(layer, Slopes) and wanted is not None and (role == NORMAL_DX) != (wanted == DX):
            green = torch.tensor([1.0, -1.0, 1.0])[:, None, None]
            texture = layer.texture * green + torch.tensor([0.0, 1.0, 0.0])[:, None, None]
            maps[name] = replace(layer, texture=texture, mean=layer.mean * green.flatten()[:2])
    return replace(blended.ready, maps=maps)
