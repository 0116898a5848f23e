"""What `texsynth maps pack` may be asked for."""

from __future__ import annotations

from dataclasses import dataclass

from texsynth.requests.option import Source, argument, option
from texsynth.requests.shared import BatchOptions, MachineOptions, MessageOptions, PathOptions

EXAMPLES = """
texsynth maps pack samples/cobble -o cobble_orm.png
texsynth maps pack samples/brick_roughness.png samples/brick_height.png -o brick_rh.png --pack rh=R:roughness,G:height
"""


@dataclass(frozen=True, kw_only=True)
class Request(PathOptions, BatchOptions, MachineOptions, MessageOptions):
    """Put maps into the channels of one picture, as engines read them.

    A map that is missing is filled with the constant that means nothing; smoothness and roughness are made of each
    other. Without -o, brick_roughness.png goes to brick_orm.png.

    sources: The maps of a material, by names that say what they are, or as ROLE=FILE; a folder or a glob stands for its
        pictures. With a folder as OUT each material among them has its packed map.
    pack: What goes into which channel: orm (occlusion, roughness, metallic), arm, rma, maskmap and
        metallicsmoothness (Unity), metallicroughness (glTF), or NAME=R:ao,G:roughness,B:metallic,A:height. Default:
        orm.
    """

    PANEL = "Map"
    SECTION = "maps"

    sources: list[Source] = argument(metavar="MAP|ROLE=FILE", required=True)
    pack: str = option("orm", metavar="orm|arm|SPEC")
