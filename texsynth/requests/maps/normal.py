"""What `texsynth maps normal` may be asked for."""

from __future__ import annotations

from dataclasses import dataclass

from texsynth.material.roles import CONVENTIONS, GL
from texsynth.requests.maps.common import ConversionOptions
from texsynth.requests.option import option

EXAMPLES = """
texsynth maps normal samples/brick_height.png -o brick_normal.png --strength 12 --tile xy
texsynth maps normal samples/pebbles_height.png -o pebbles.png --normals dx
"""

STEEPEST = 100_000  # pixels that a height may have from black to white


@dataclass(frozen=True, kw_only=True)
class Request(ConversionOptions):
    """Make normal maps out of height maps.

    Without -o, brick_height.png becomes brick_normal.png.

    strength: How many pixels white is higher than black. Default: what the record of the file says, as `texsynth maps
        height` writes it, else a 32nd of the shorter side.
    normals: Where green of the result points: up (gl, OpenGL) or down (dx, DirectX). Default: gl.
    """

    strength: float | None = option(None, metavar="PIXELS", low=0, high=STEEPEST, recorded=True)
    normals: str = option(GL, choices=CONVENTIONS, recorded=True)
