"""The files of a result: what each map is called beside the image, and what becomes of its values when it is written.

What is written is known from the roles and the depths of the maps, before a run makes them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import PurePath
from typing import TypeVar

import torch
from torch import Tensor

from texsynth.errors import UsageError, listed
from texsynth.image import codecs, rows
from texsynth.image.picture import Picture
from texsynth.image.strips import Strips
from texsynth.material import channels, mtlx, schemes
from texsynth.material.names import split
from texsynth.material.packing import Packing, named_in, packing_of, parse, sources
from texsynth.material.roles import BASE_COLOUR, GL, INVERSE, ROLES, SMOOTHNESS, convention_of, role_of

Map = TypeVar("Map", bound=Picture | Strips)
_GL_AND_DX = (("gl", "dx"), ("GL", "DX"), ("Gl", "Dx"), ("OpenGL", "DirectX"), ("opengl", "directx"))
_OGL_AND_DX = (("ogl", "dx"), ("OGL", "DX"), ("Ogl", "Dx"))  # of which the way back is gl


@dataclass(frozen=True)
class Asked:
    """What is asked of the files of a result.

    names: a scheme, a pattern, "same" for the words of the inputs, or None: each map by its own name. inputs: the name
    of each map's input file, by the map's name. normals_out: the convention in which normal maps are written; None:
    that of the scheme, else the one that they have. normals: the convention that each normal map has, by its name.
    mtlx: is a MaterialX document written beside them? pixel: the side of a pixel of the image in metres. packings: what
    is written packed, as far as its maps are there.
    """

    names: str | None = None
    inputs: Mapping[str, str] = field(default_factory=dict)
    normals_out: str | None = None
    normals: Mapping[str, str] = field(default_factory=dict)
    mtlx: bool = False
    pixel: Fraction | None = None
    packings: tuple[Packing, ...] = ()

    @property
    def scheme(self) -> schemes.Scheme | None:
        return None if self.names is None else schemes.scheme(self.names)

    def is_of(self, suffix: str, file: File) -> bool:
        """Does an input of this suffix hold a map that goes into a file of the result?"""
        inputs = (self.inputs.get(name, "") for name in (file.source, *file.parts))
        return any(PurePath(name).suffix.lower() == suffix for name in inputs)

    @property
    def convention(self) -> str | None:
        """The convention of the normal maps that are written; None for that which each has."""
        return self.normals_out or (
            None if self.scheme is None or not self.scheme.is_of_an_engine else self.scheme.normals
        )


PLAIN = Asked()


@dataclass(frozen=True)
class File:
    """A file of a result, beside the image.

    name: how results tell it. source: the map that it is made of, or its packing. role: the name of its role, "" for
    none. depth: of its values. packing: what its channels hold; None for a single map. parts: the maps in them.
    """

    name: str
    source: str
    role: str
    depth: str
    packing: Packing | None = None
    parts: tuple[str, ...] = ()


def packings(pack: str | None, names: str | None, maps: Iterable[str]) -> tuple[Packing, ...]:
    """What is written packed: as --pack says, or else the maps that were read so, where files keep their words."""
    if pack is not None:
        return (parse(pack),)
    read = [packing_of(name) for name in maps] if names in (None, schemes.SAME) else []
    return tuple(packing for packing in read if packing is not None)


def layers_of(maps: Iterable[str], pack: str | None) -> list[str]:
    """The maps that these files hold by their names, of packed ones each."""
    spec = None if pack is None else parse(pack)
    each = [(name, spec if spec is not None and spec.name == name else packing_of(name)) for name in maps]
    return [layer for name, packing in each for layer in ((name,) if packing is None else packing.contents)]


def files(depths: Mapping[str, str], asked: Asked = PLAIN) -> tuple[File, ...]:
    """The files of maps, from the depth of each by its name. Schemes have roughness for smoothness. Raises UsageError
    where a packed map has the name of another."""
    packed = _packed(depths, asked)
    inside = {name for file in packed for name in file.parts}
    if taken := [file.name for file in packed if file.name in depths.keys() - inside]:
        raise UsageError(f"--pack {taken[0]}: a map is called so; call the packed one something else")
    return (*_singles({name: depth for name, depth in depths.items() if name not in inside}, asked), *packed)


def _packed(depths: Mapping[str, str], asked: Asked) -> list[File]:
    written: list[File] = []
    left = dict(depths)
    for packing in asked.packings:
        whole = channels.again(packing, left)
        parts = tuple(dict.fromkeys(sources(whole, left).values()))  # one may fill two channels
        if parts:
            depth = channels.deepest({left.pop(name) for name in parts})
            written.append(File(packing.name, packing.name, "", depth, whole, parts))
    return written


def _singles(depths: Mapping[str, str], asked: Asked) -> list[File]:
    roles = {name: meant.name if (meant := role_of(name)) else "" for name in depths}
    written = []
    for name, depth in depths.items():
        role = roles[name]
        has_none = asked.scheme is not None and asked.scheme.word(role, None) is None
        turned = role == SMOOTHNESS and has_none and INVERSE[role] not in roles.values()
        role = INVERSE[role] if turned else role
        written.append(File(role if turned else name, name, role, depth))
    return written


def stem(file: File, image: str, asked: Asked = PLAIN) -> str:
    """The stem of a file, beside an image of this stem."""
    if asked.names is None:
        return f"{image}_{file.name}"
    if (scheme := asked.scheme) is not None:
        base, number = scheme.parts(image)
        packed = None if file.packing is None else named_in(file.packing, scheme.name)
        word = packed or scheme.word(file.role, asked.convention)
        return f"{base}_{file.name}{number}" if word is None else scheme.stem(base, word, number)
    here, there = split(image), split(PurePath(asked.inputs.get(file.source, "")).stem)
    word, separator = file.name, "_"
    if there is not None and there.kind in (file.role, file.source):
        word, separator = _in_convention(there.word, asked.normals_out), there.separator or "_"
    return here.called(word) if here is not None and here.kind == BASE_COLOUR else f"{image}{separator}{word}"


def base(image: str, asked: Asked = PLAIN) -> str:
    """The stem of all of a set beside an image of this stem: without the word for its colours."""
    if (scheme := asked.scheme) is not None:
        name, number = scheme.parts(image)
        return f"{name}{number}" or image
    here = split(image)
    return here.base if here is not None and here.kind == BASE_COLOUR and here.base else image


def document(
    name: str,
    image: tuple[str, Picture | Strips],
    layers: Mapping[str, Picture | Strips],
    written: Mapping[str, tuple[str, Picture | Strips]],
    asked: Asked,
) -> tuple[str, list[str]]:
    """The MaterialX document of a result, which is called `name`, and a line for what is left out: of its image, and of
    what is written of its layers by the names of `files`, each with the name of its file."""
    file, picture = image
    clear = picture.alpha is not None if isinstance(picture, Picture) else picture.has_alpha
    textures = [mtlx.Texture(file, BASE_COLOUR, {}, mtlx.colour_space(picture.tags), clear)]
    for each in files({name: layer.depth for name, layer in layers.items()}, asked):
        file, layer = written[each.name]
        normals = asked.convention or asked.normals.get(each.source, GL)
        held = () if each.packing is None else each.packing.channels
        parts = {letter: content for letter, content in held if isinstance(content, str)}
        textures.append(mtlx.Texture(file, each.role, parts, mtlx.colour_space(layer.tags), normals=normals))
    pixel = asked.pixel
    size = None if pixel is None else (float(picture.width * pixel), float(picture.height * pixel))
    strange = [texture.file for texture in textures if not {texture.role, *texture.channels.values()} & {*mtlx.USED}]
    notices = [f"{name}.mtlx: {listed(strange)} left out, no material is made of them"] if strange else []
    return mtlx.document(name, textures, size), notices


def _in_convention(word: str, normals: str | None) -> str:
    """A word for normals in the convention that they are written in, where it names one."""
    before = convention_of(word)
    if normals is None or before is None or before == normals:
        return word
    pairs = _GL_AND_DX + _OGL_AND_DX if before == GL else _GL_AND_DX
    for gl, dx in reversed(pairs):
        old, new = (gl, dx) if before == GL else (dx, gl)
        if word.endswith(old):
            return word.removesuffix(old) + new
    return word


def pictures(
    layers: Mapping[str, Picture | Strips], asked: Asked = PLAIN
) -> tuple[dict[str, Picture | Strips], list[str]]:
    """What is written of the maps, by the names of `files`, and a line for each that is changed.

    Maps that are no colours lose what their file said of colours; normals are turned to the convention that is asked
    for, and smoothness to roughness, by 1 less each value.
    """
    out: dict[str, Picture | Strips] = {}
    notices: list[str] = []
    for file in files({name: layer.depth for name, layer in layers.items()}, asked):
        if file.packing is not None:
            out[file.name] = channels.pack({name: layers[name] for name in file.parts}, file.packing, notices.append)
            continue
        layer = layers[file.source]
        layer = as_numbers(layer, file.role)
        before = asked.normals.get(file.source)
        if before is not None and asked.convention not in (None, before):
            layer = _changed(layer, _green_inverted)
            notices.append(f"the map {file.name} is written as {asked.convention}, its green inverted")
        if file.name != file.source:
            layer = _changed(layer, lambda values: 1 - values)
            notices.append(f"the map {file.source} is written as {file.name}, 1 less each value")
        out[file.name] = layer
    return out, notices


def _green_inverted(values: Tensor) -> Tensor:
    return torch.cat([values[:, :1], 1 - values[:, 1:2], values[:, 2:]], 1)


def as_numbers(layer: Map, role: str) -> Map:
    """A map without what its file said of colours, unless its role has colours, or it has none, ""."""
    if not role or ROLES[role].is_colour:
        return layer
    return replace(layer, icc=None, tags=codecs.Tags(density=layer.tags.density, channels=layer.tags.channels))


def _changed(layer: Picture | Strips, change: Callable[[Tensor], Tensor]) -> Picture | Strips:
    """A picture whose colours went through `change`."""
    if isinstance(layer, Picture):
        return replace(layer, pixels=rows.changed(layer.pixels, change))

    def draw(top: int, bottom: int) -> Picture:
        part = layer.rows(top, bottom)
        return replace(part, pixels=change(part.pixels))

    return replace(layer, draw=draw)
