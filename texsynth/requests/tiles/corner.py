"""What `texsynth tiles corner` may be asked for."""

from __future__ import annotations

from dataclasses import dataclass

from texsynth.requests.option import option
from texsynth.requests.tiles.common import AtlasOptions

EXAMPLES = """
texsynth tiles corner samples/gravel.jpg -o gravel_tiles/ -s 128
texsynth tiles corner samples/cobble -o cobble_tiles/ -s 128 --names unity
"""


@dataclass(frozen=True, kw_only=True)
class Request(AtlasOptions):
    """Make a complete set of corner tiles, which may be laid at random without a seam.

    colours: The colours of corners: 2 make 16 tiles, 3 make 81, which repeat less.
    """

    colours: int = option(2, metavar="2|3", recorded=True)
