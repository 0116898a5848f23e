"""What `texsynth maps height` may be asked for."""

from __future__ import annotations

from dataclasses import dataclass

from texsynth.material.roles import CONVENTIONS
from texsynth.requests.maps.common import ConversionOptions
from texsynth.requests.option import option

EXAMPLES = """
texsynth maps height samples/brick_normal.png -o brick_height.png --tile xy
"""


@dataclass(frozen=True, kw_only=True)
class Request(ConversionOptions):
    """Make height maps out of normal maps.

    Black is the lowest point and white the highest. How many pixels lie between them is told and recorded: `texsynth
    maps normal` takes it from there as its --strength, and gives the normals back.

    normals: Where green of the normal map points: up (gl, OpenGL) or down (dx, DirectX). Default: what the record of
        the file says, else what its name says, else gl.
    """

    normals: str | None = option(None, choices=CONVENTIONS, recorded=True)
