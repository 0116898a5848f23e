"""What `texsynth maps stereo` may be asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from texsynth.material.roles import CONVENTIONS, GL
from texsynth.requests.maps.common import DEPTHS
from texsynth.requests.option import Numbers, Source, argument, option
from texsynth.requests.shared import FORMATS, TILES, ForceOptions, MachineOptions, MessageOptions, format_word

EXAMPLES = """
texsynth maps stereo shot_1.jpg shot_2.jpg shot_3.jpg shot_4.jpg --lights lamps.txt -o wall/ --height
texsynth maps stereo shots/ -o wall/
"""

BALLS = ("mirror", "matte")


@dataclass(frozen=True, kw_only=True)
class Request(ForceOptions, MachineOptions, MessageOptions):
    """Make base colour and normals out of photographs under different lamps (photometric stereo).

    All photographs are taken from one place, each with another lamp far away. Without --lights or --sphere the lamps
    are estimated, from six photographs or more: they are taken as equally bright and white, the surface as level on the
    whole, and shadows as lying in hollows.

    photographs: Three photographs or more, files, folders or globs, in sRGB; floats in linear light.
    output: The folder for STEM_BaseColor, STEM_Normal and STEM_Height; STEM is what the names of the photographs begin
        with.
    lights: Where the lamps stand: a line for each photograph, in their order, or with the name of its file first, of
        the direction x (right), y (up) and z (to the viewer); or the same as JSON or YAML.
    sphere: The place of a ball in the photographs, its centre and radius in pixels, which shows where the lamps stand.
    ball: What the ball is: a mirror, which shows each lamp as a highlight, or matte. Default: mirror.
    invert: Exchange hollows and bumps where lamps are estimated.
    crop: Make maps of this part of the photographs alone, such as that without the ball.
    height: Also make the height map.
    normals: Where green of the normal map points: up (gl, OpenGL) or down (dx, DirectX). Default: gl.
    tile: The directions in which the photographs repeat without a seam, and the height with them. Default: none.
    depth: The bits of a sample, or float, with colours in linear light. Default: 16.
    file_format: The format of all files. Default: PNG.
    no_metadata: Store no record of the run in the files.
    """

    PANEL = "Map"
    SECTION = "maps"

    photographs: list[Source] = argument(metavar="PHOTO", required=True)
    output: str | None = option(None, flags="-o --output", metavar="FOLDER", panel="Output")
    lights: Path | None = option(None, metavar="FILE", role="lights")
    sphere: Numbers | None = option(None, metavar="X,Y,R", recorded=True, sparse=True)
    ball: str | None = option(None, choices=BALLS, recorded=True, sparse=True)
    invert: bool = option(False, recorded=True)
    crop: Numbers | None = option(None, metavar="X,Y,W,H", recorded=True, sparse=True)
    height: bool = option(False)
    normals: str = option(GL, choices=CONVENTIONS, recorded=True)
    tile: str = option("none", choices=TILES, recorded=True)
    depth: str = option("16", choices=tuple(DEPTHS), recorded=True)
    file_format: str | None = option(None, flags="--format", choices=FORMATS, parse=format_word, panel="Output")
    no_metadata: bool = option(False, panel="Output")
