"""What `texsynth tiles wang` may be asked for."""

from __future__ import annotations

from dataclasses import dataclass

from texsynth.requests.option import option
from texsynth.requests.tiles.common import AtlasOptions

EXAMPLES = """
texsynth tiles wang samples/gravel.jpg -o gravel_wang/ -s 128
texsynth tiles wang samples/gravel.jpg -o gravel_wang/ -s 128 --tiles 8
"""


@dataclass(frozen=True, kw_only=True)
class Request(AtlasOptions):
    """Make a set of Wang tiles, whose edges match where their colours are equal.

    colours: The colours of edges: the complete set has 16 tiles of 2, and 81 of 3.
    tiles: A smaller set, of which every plane can be laid from its upper left on: 8 or 12 tiles of 2 colours, 18, 27
        and so on of 3. Default: the complete set.
    """

    colours: int = option(2, metavar="2|3", recorded=True)
    tiles: int | None = option(None, metavar="N", recorded=True, sparse=True)
