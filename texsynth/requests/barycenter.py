"""What `texsynth barycenter` may be asked for."""

from __future__ import annotations

from dataclasses import dataclass

from texsynth import preset as presets
from texsynth.requests.option import Numbers, Source, argument, option
from texsynth.requests.shared import PictureOptions

EXAMPLES = """
texsynth barycenter samples/grass.png samples/pebbles.png -s 128 -o between.png
texsynth barycenter samples/grass.png samples/pebbles.png --mode mosaic --steps 5 -s 128 -o strip.png
texsynth guide radial -s 256 -o spot.png
texsynth barycenter samples/grass.png samples/pebbles.png --mode mosaic --blend-map spot.png -o clearing.png
"""


@dataclass(frozen=True, kw_only=True)
class Request(PictureOptions):
    """Make a texture between several, or one that turns from one into another across the picture.

    exemplars: Two or more pictures of textures, of any sizes, or a glob.
    blend: The share that each exemplar has in the result. Default: equal.
    blend_map: The share of each exemplar at each pixel: one grey map for two exemplars, black for the first and white
        for the second; for more exemplars one map for each, repeated in order.
    steps: Make a strip of N panels of --size each, which leads from the first of two exemplars to the second.
    mode: How exemplars meet. With transport every pixel mixes all of them, so that their statistics meet; with mosaic
        every pixel is copied from one. Default: transport.
    check: Measure the result and report it on stderr.
    """

    PANEL = "Blend"
    SECTION = "barycenter"

    exemplars: list[Source] | None = argument(metavar="EXEMPLAR")
    blend: Numbers | None = option(None, metavar="W0,W1,...", recorded=True, stored=list, group="shares")
    blend_map: list[Source] | None = option(None, metavar="MAP", role="blend-map", group="shares")
    steps: int | None = option(None, metavar="N", recorded=True, group="shares")
    mode: str | None = option(None, choices=tuple(presets.BARYCENTER), recorded=True)
    check: bool = option(False)
