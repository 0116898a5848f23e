"""What `texsynth tiles blend` may be asked for."""

from __future__ import annotations

from dataclasses import dataclass

from texsynth.requests.option import Text, option
from texsynth.requests.tiles.common import TileOptions

EXAMPLES = """
texsynth tiles blend samples/gravel.jpg -o gravel_blend/
"""


@dataclass(frozen=True, kw_only=True)
class Request(TileOptions):
    """Prepare a texture for histogram-preserving blending, by which a shader draws it without end or repeats.

    Writes the Gaussian texture, its look-up table, shaders, a preview, and how well the texture is suited.

    size: The size of the texture, which is synthesised then; pixels, N for a square, or a factor. Default: the exemplar
        itself.
    lattice: Whether offsets are steps of the measured lattice of a regular exemplar, so that rows stay rows.
    """

    size: Text | None = option(None, flags="-s --size", metavar="N|WxH|2x", recorded=True)
    lattice: str = option("auto", choices=("auto", "on", "off"), recorded=True)
