"""What `texsynth synthesize` may be asked for."""

from __future__ import annotations

from dataclasses import dataclass

from texsynth.requests.option import Source, argument
from texsynth.requests.shared import PictureOptions

EXAMPLES = """
texsynth synthesize samples/brick.png -o wall.png
texsynth synthesize samples/brick.png -o tile.png --size 512 --tile xy --map height=samples/brick_height.png
texsynth synthesize photos/ -o bigger/ --quality draft --keep-going
"""


@dataclass(frozen=True, kw_only=True)
class Request(PictureOptions):
    """Make more of a texture: a larger picture of the same material, tileable if asked.

    exemplars: Pictures of the texture (PNG, JPEG, WebP, TIFF, TGA, AVIF, JPEG 2000, BMP, GIF, PNM, HDR), folders or
        globs. Several with one OUT file are remixed; with a folder as OUT each is done alone.
    """

    exemplars: list[Source] | None = argument(metavar="EXEMPLAR")
