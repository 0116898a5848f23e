"""What `texsynth maps occlusion` may be asked for."""

from __future__ import annotations

from dataclasses import dataclass

from texsynth.requests.maps.common import ConversionOptions
from texsynth.requests.maps.normal import STEEPEST
from texsynth.requests.option import option

EXAMPLES = """
texsynth maps occlusion samples/pebbles_height.png -o pebbles_occlusion.png --strength 16 --tile xy
"""

WIDEST = 4096  # pixels that are looked at from a point


@dataclass(frozen=True, kw_only=True)
class Request(ConversionOptions):
    """Make ambient occlusion out of height maps.

    How much of an even light from all sides reaches a point, weighted by the cosine of its angle to the surface: white
    is all of it. What stands in its way is the horizon in 16 directions.

    strength: How many pixels white is higher than black. Default: what the record of the file says, as `texsynth maps
        height` writes it, else a 32nd of the shorter side.
    radius: How far a point sees what stands in its light, in pixels. Default: an eighth of the shorter side.
    """

    strength: float | None = option(None, metavar="PIXELS", low=0, high=STEEPEST, recorded=True)
    radius: float | None = option(None, metavar="PIXELS", low=1, high=WIDEST, recorded=True)
