"""A MaterialX document that makes a material of the files of a set: OpenPBR, as of MaterialX 1.39.

After the MaterialX Specification 1.39 (https://materialx.org) and the OpenPBR Surface Specification 1.1: a graph of
`tiledimage` nodes, of which colours name their colour space, and values are floats and vectors, to which no colour
management applies. Files are named as they are written, beside the document.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from texsynth.errors import UsageError, shown
from texsynth.image.codecs.tags import Tags
from texsynth.material.roles import (
    BASE_COLOUR,
    DX,
    EMISSIVE,
    GL,
    HEIGHT,
    METALLIC,
    NORMAL,
    OCCLUSION,
    OPACITY,
    ROUGHNESS,
    SMOOTHNESS,
)

VERSION = "1.39"
SRGB, LINEAR = "srgb_texture", "lin_rec709"
DEPTH = 0.05  # of the width of the tile, between the lowest and the highest of a height map: nothing says it
LUMINANCE = 1.0  # of what an emissive map shows as white; OpenPBR's own is 0
INPUTS = {  # of open_pbr_surface, by the role, with their types; it has none for occlusion
    BASE_COLOUR: ("base_color", "color3"),
    METALLIC: ("base_metalness", "float"),
    ROUGHNESS: ("specular_roughness", "float"),
    EMISSIVE: ("emission_color", "color3"),
    OPACITY: ("geometry_opacity", "float"),
    NORMAL: ("geometry_normal", "vector3"),
}
USED = (*INPUTS, SMOOTHNESS, HEIGHT, OCCLUSION)


@dataclass(frozen=True)
class Texture:
    """A file of a set.

    file: its name. role: what all of it is, "" for a packed one. channels: the role of each channel (R, G, B, A) of a
    packed one. colour_space: of colours, as MaterialX names it. has_alpha: is there an alpha beside them? normals: the
    convention of normals.
    """

    file: str
    role: str = ""
    channels: Mapping[str, str] = field(default_factory=dict)
    colour_space: str = SRGB
    has_alpha: bool = False
    normals: str = GL


def colour_space(tags: Tags) -> str:
    """The colour space of colours by what their file says: linear where it says so, else sRGB."""
    return LINEAR if tags.is_linear else SRGB


def document(name: str, textures: Sequence[Texture], size: tuple[float, float] | None = None) -> str:
    """The text of a document with one material.

    name: the stem of its nodes' names. size: the width and height of the tile in metres, where it is known; the tile
    then stands for so much of the surface, and shows once over the range of the texture coordinates, as without it.
    Raises UsageError for names of files that XML cannot hold.
    """
    for texture in textures:
        if not texture.file.isprintable():
            raise UsageError(f"--mtlx: {shown(texture.file)} is no name that a .mtlx can hold; use plain letters")
    root = ET.Element("materialx", {"version": VERSION, "colorspace": LINEAR})
    stem = re.sub(r"\W", "_", name, flags=re.ASCII).strip("_") or "material"
    graph = _Graph(ET.SubElement(root, "nodegraph", {"name": f"NG_{stem}"}), size)
    # An alpha of the colours is the opacity where there is no map of it.
    textures = sorted(textures, key=lambda texture: texture.role != BASE_COLOUR)
    places = {role: place for texture in textures for role, place in graph.read(texture).items() if role in USED}
    if SMOOTHNESS in places and ROUGHNESS not in places:
        places[ROUGHNESS] = graph.node("invert", "roughness", "float", {"in": places.pop(SMOOTHNESS)})
    shader = ET.SubElement(root, "open_pbr_surface", {"name": f"SR_{stem}", "type": "surfaceshader"})
    for role, (target, kind) in INPUTS.items():
        if role in places:
            _connected(shader, target, kind, graph.output(target, kind, places[role]))
    if EMISSIVE in places:
        _valued(shader, "emission_luminance", "float", f"{LUMINANCE:g}")
    displacement = None
    if HEIGHT in places:
        displacement = ET.SubElement(root, "displacement", {"name": f"DS_{stem}", "type": "displacementshader"})
        _connected(displacement, "displacement", "float", graph.output("displacement", "float", places[HEIGHT]))
        _valued(displacement, "scale", "float", f"{DEPTH * (1.0 if size is None else size[0]):.6g}")
    if OCCLUSION in places:
        graph.output("occlusion", "float", places[OCCLUSION])
    material = ET.SubElement(root, "surfacematerial", {"name": stem, "type": "material"})
    _sent(material, "surfaceshader", "surfaceshader", shader)
    if displacement is not None:
        _sent(material, "displacementshader", "displacementshader", displacement)
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


Place = tuple[str, str]  # a node of the graph and its output, "" for the only one


class _Graph:
    """A node graph as it grows."""

    def __init__(self, element: ET.Element, size: tuple[float, float] | None) -> None:
        self.element, self.size = element, size

    def node(self, category: str, name: str, kind: str, inputs: Mapping[str, Place | str], of: str = "") -> Place:
        """Add a node whose inputs, of the type `of` or of its own, are places or values."""
        node = ET.SubElement(self.element, category, {"name": name, "type": kind})
        for key, value in inputs.items():
            if isinstance(value, str):
                _valued(node, key, of or kind, value)
            else:
                _placed(ET.SubElement(node, "input", {"name": key, "type": of or kind}), value)
        return name, ""

    def output(self, name: str, kind: str, place: Place) -> tuple[str, str]:
        """Add an output of the graph; gives the names of the graph and of the output."""
        _placed(ET.SubElement(self.element, "output", {"name": f"{name}_out", "type": kind}), place)
        return self.element.attrib["name"], f"{name}_out"

    def read(self, texture: Texture) -> dict[str, Place]:
        """Add the nodes that read a file; gives where the value of each of its roles is."""
        if texture.channels:
            return self._unpacked(texture)
        role, name = texture.role, f"{texture.role}_image"
        if role == NORMAL:
            image = self._image(texture, name, "vector3")
            if texture.normals == DX:  # green is turned up
                image = self.node("multiply", "normal_turned", "vector3", {"in1": image, "in2": "1, -1, 1"})
                image = self.node("add", "normal_up", "vector3", {"in1": image, "in2": "0, 1, 0"})
            return {NORMAL: self.node("normalmap", "normal_map", "vector3", {"in": image})}
        if role not in (BASE_COLOUR, EMISSIVE):
            return {role: self._image(texture, name, "float")} if role in USED else {}
        if not texture.has_alpha or role == EMISSIVE:
            return {role: self._image(texture, name, "color3")}
        image = self._image(texture, name, "color4")
        parts = self.node("separate4", f"{role}_channels", "multioutput", {"in": image}, of="color4")[0]
        return {
            role: self.node("convert", f"{role}_colour", "color3", {"in": image}, of="color4"),
            OPACITY: (parts, "outa"),
        }

    def _unpacked(self, texture: Texture) -> dict[str, Place]:
        count = 4 if "A" in texture.channels else 3
        name = re.sub(r"\W", "_", "_".join(texture.channels.values()), flags=re.ASCII)
        image = self._image(texture, f"{name}_image", f"vector{count}")
        parts = self.node(f"separate{count}", f"{name}_channels", "multioutput", {"in": image}, of=f"vector{count}")[0]
        return {role: (parts, f"out{'xyzw'['RGBA'.index(letter)]}") for letter, role in texture.channels.items()}

    def _image(self, texture: Texture, name: str, kind: str) -> Place:
        node = ET.SubElement(self.element, "tiledimage", {"name": name, "type": kind})
        file = _valued(node, "file", "filename", texture.file)
        if kind.startswith("color"):
            file.set("colorspace", texture.colour_space)
        if self.size is not None:
            for key in ("realworldimagesize", "realworldtilesize"):
                size = _valued(node, key, "vector2", f"{self.size[0]:.9g}, {self.size[1]:.9g}")
                size.attrib |= {"unittype": "distance", "unit": "meter"}
        return name, ""


def _placed(element: ET.Element, place: Place) -> None:
    """Say that an element is connected to a place of its graph."""
    element.set("nodename", place[0])
    if place[1]:
        element.set("output", place[1])


def _valued(node: ET.Element, name: str, kind: str, value: str) -> ET.Element:
    return ET.SubElement(node, "input", {"name": name, "type": kind, "value": value})


def _connected(node: ET.Element, name: str, kind: str, output: tuple[str, str]) -> None:
    """An input that is connected to an output of a graph."""
    ET.SubElement(node, "input", {"name": name, "type": kind, "nodegraph": output[0], "output": output[1]})


def _sent(node: ET.Element, name: str, kind: str, other: ET.Element) -> None:
    ET.SubElement(node, "input", {"name": name, "type": kind, "nodename": other.attrib["name"]})
