"""What `texsynth tiles blob` may be asked for."""

from __future__ import annotations

from dataclasses import dataclass

from texsynth.requests.option import Source, option
from texsynth.requests.tiles.common import AtlasOptions

EXAMPLES = """
texsynth tiles blob samples/grass.png samples/pebbles.png -o shore_tiles/ -s 64
texsynth tiles blob samples/gravel.jpg --labels samples/gravel_labels.png -o path_tiles/ -s 64 --tiles 16
"""


@dataclass(frozen=True, kw_only=True)
class Request(AtlasOptions):
    """Make a set of tiles for two materials, which draw any region of the one on the other.

    The first exemplar is the ground, and the second lies on it; or one exemplar shows both, and --labels where.

    labels: Where one exemplar shows which material: a map of two colours, of which the darker one is the ground.
    tiles: 47 tiles, one for each way in which eight neighbours may be of the same material, or the 16 of marching
        squares, whose corners are of one material each.
    """

    labels: Source | None = option(None, metavar="MAP", role="labels", panel="Input")
    tiles: int = option(47, metavar="47|16", recorded=True)
