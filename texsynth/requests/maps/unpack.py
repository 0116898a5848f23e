"""What `texsynth maps unpack` may be asked for."""

from __future__ import annotations

from dataclasses import dataclass

from texsynth.requests.option import Source, argument, option
from texsynth.requests.shared import FORMATS, BatchOptions, MachineOptions, MessageOptions, format_word

EXAMPLES = """
texsynth maps unpack wall_orm.png -o wall/
texsynth maps unpack wall_packed.png --pack mine=R:height,G:ao -o wall/
"""


@dataclass(frozen=True, kw_only=True)
class Request(BatchOptions, MachineOptions, MessageOptions):
    """Take the maps out of the channels of packed ones.

    Each is written in the depth of the packed map, bit for bit: wall_orm.png gives wall_occlusion.png,
    wall_roughness.png and wall_metallic.png. A channel that holds no map has a file of its own unless it is empty.

    sources: Packed maps, files, folders or globs.
    pack: What lies in which channel, as for `texsynth maps pack`. Default: what the name of the file says, else the
        record in it.
    output: The folder that the maps go to. Default: this one.
    file_format: The format of the maps. Default: that of the packed map where it loses nothing, else PNG.
    no_metadata: Store no record of the run in the maps.
    """

    PANEL = "Map"
    SECTION = "maps"

    sources: list[Source] = argument(metavar="MAP", required=True)
    pack: str | None = option(None, metavar="orm|arm|SPEC")
    output: str | None = option(None, flags="-o --output", metavar="FOLDER", panel="Output")
    file_format: str | None = option(None, flags="--format", choices=FORMATS, parse=format_word, panel="Output")
    no_metadata: bool = option(False, panel="Output")
