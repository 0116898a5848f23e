"""What `texsynth synthesize` may be asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from texsynth.requests.option import Source, argument, option
from texsynth.requests.shared import PictureOptions

EXAMPLES = """
texsynth synthesize samples/brick.png -o wall.png
texsynth synthesize samples/brick.png -o tile.png --size 512 --tile xy --map height=samples/brick_height.png
texsynth synthesize photos/ -o bigger/ --quality draft --keep-going
"""


@dataclass(frozen=True, kw_only=True)
class Request(PictureOptions):
    """Make more of a texture: a larger picture of the same material, tileable if asked.

    exemplars: Pictures of the texture (PNG, JPEG, WebP, TIFF, TGA, AVIF, JPEG 2000, BMP, GIF, PNM, HDR, EXR), folders
        or globs. Several with one OUT file are remixed; with a folder as OUT each is done alone. With --from, the large
        original that its exemplar was reduced from makes its result as many times as large.
    field: Where the pixels of OUT.png were copied from, with --from and such an original. Default: the file that
        --save-field wrote beside OUT.png, or else the run is made again first.
    reduced: The exemplar of the run that this one is magnified from.
    factor: How many times as large as that run this one is.
    """

    PANEL = "Input"

    exemplars: list[Source] | None = argument(metavar="EXEMPLAR")
    field: Path | None = option(None, metavar="FILE.npz", role="field")
    reduced: Source | None = option(None, role="reduced", hidden=True)
    factor: int | None = option(None, low=2, recorded=True, hidden=True)
