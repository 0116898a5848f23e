"""What `texsynth capture` may be asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from texsynth.requests.option import Numbers, Source, Text, argument, option
from texsynth.requests.shared import BatchOptions, MachineOptions, MessageOptions, PathOptions, SetOptions, map_option

EXAMPLES = """
texsynth capture samples/gravel.jpg --quad 20,12,240,30,228,236,8,220 -o flat.png
texsynth capture samples/brick.png --quad 8,5,250,12,244,250,4,240 --map normal=samples/brick_normal.png -o wall.png
"""

WAYS = ("quad", "straighten", "flatten", "delight", "crop", "texel")  # of which at least one says what to do


@dataclass(frozen=True, kw_only=True)
class Request(SetOptions, PathOptions, BatchOptions, MachineOptions, MessageOptions):
    """Make a usable exemplar, with its maps, from a photograph of a surface.

    photos: Photographs, files, folders or globs; with several, OUT is a folder.
    quad: Four corners of a rectangle on the surface, in pixels of the photograph, clockwise from the upper left of the
        surface: it becomes the picture. The whole photograph is 0,0,W,0,W,H,0,H.
    straighten: Straighten a regular texture, such as bricks, by its own measured lattice: rows become level and columns
        upright.
    size: The size that --quad becomes: pixels, N for a square, or a factor of the default. Default: the mean lengths
        of its sides.
    aspect: The true shape of what --quad marks, its width to its height, such as 3:2; or auto, by the vanishing points
        of a photograph that was not cropped. Default: the mean lengths of its sides.
    maps: An aligned map that is straightened alike, at its own resolution, and written as STEM_NAME; repeat for more
        maps. FILE may be a folder, paired by stem.
    flatten: Even out slow changes of light.
    delight: Lighten shadows, where the dark part is surely the same material: its windows match those of the lit part
        in pattern, colour and contrast. Else the light is kept, and a line says why.
    crop: Use only this part of the straightened picture and its maps.
    texel: The size of a pixel of OUT, such as 0.5mm (um, mm, cm, m or in), which the files say and the record keeps.
    """

    PANEL = "Capture"
    SECTION = "capture"

    photos: list[Source] = argument(metavar="PHOTO", required=True, role="photo")
    quad: Numbers | None = option(None, metavar="X1,Y1,...,X4,Y4", recorded=True, group="frame")
    straighten: str | None = option(None, choices=("lattice",), recorded=True, sparse=True, group="frame")
    size: Text | None = option(None, flags="-s --size", metavar="WxH|N|2x|150%", recorded=True, sparse=True)
    aspect: str | None = option(None, metavar="W:H|auto", complete=("auto",), recorded=True, sparse=True)
    maps: Mapping[str, list[Source]] | None = map_option()
    flatten: bool = option(False, recorded=True)
    delight: bool = option(False, recorded=True)
    crop: Numbers | None = option(None, metavar="X,Y,W,H", recorded=True)
    texel: str | None = option(None, metavar="SIZE", recorded=True, sparse=True)
