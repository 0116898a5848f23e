"""What `texsynth inpaint` may be asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from texsynth.requests.option import Numbers, Source, argument, option
from texsynth.requests.shared import ALPHA, PictureOptions

EXAMPLES = """
texsynth guide radial --hard -o spot.png
texsynth inpaint samples/brick.png --mask spot.png -o mended.png
texsynth inpaint samples/gravel.jpg --make-tileable xy --preview -o tile.png
texsynth inpaint samples/brick.png --extend 0,0,128,0 -o wider.png
"""


@dataclass(frozen=True, kw_only=True)
class Request(PictureOptions):
    """Repair a picture: fill holes, grow it, or make it tileable. All other pixels stay exactly as they are.

    exemplars: The picture to repair; with a folder as OUT several, each alone. Without --mask, what is not opaque is
        filled.
    mask: Fill what this mask marks: white (at least 50 %), or strokes of any colour on a plain or transparent ground. A
        folder of masks is paired by stem.
    mask_invert: Fill what the mask does not mark, in place of what it does.
    alpha: What transparent parts are: auto fills those of IMAGE where there is no mask, and copies none; keep takes
        them as part of the texture, which is copied with them. Default: auto.
    make_tileable: Fill a band along the borders so that the picture repeats.
    band: The width in pixels of the band that --make-tileable fills across each seam. Default: about a sixth of the
        shorter side.
    extend: Add so many pixels at the left, top, right and bottom.
    others: Copy from this picture in place of IMAGE; it then needs every --map too. Repeatable.
    grow: Fill so many pixels round the mask or the transparent parts too. Default: 0.
    check: Measure the seams, and that all other pixels are unchanged.
    preview: Also write STEM_preview.png, the tileable result repeated 2x2.
    """

    PANEL = "Hole"
    SECTION = "inpaint"
    FORGOTTEN = ("size",)

    exemplars: list[Source] | None = argument(metavar="IMAGE")
    mask: Source | None = option(None, metavar="MASK", role="mask", per="run")
    mask_invert: bool | None = option(None, recorded=True)
    alpha: str | None = option(None, choices=ALPHA, panel="Input", recorded=True, sparse=True)
    make_tileable: str | None = option(None, metavar="x|y|xy", recorded=True)
    band: int | None = option(None, metavar="N", recorded=True)
    extend: Numbers | None = option(None, metavar="L,T,R,B", recorded=True)
    others: list[Source] | None = option(None, flags="--exemplar", metavar="OTHER", role="source")
    grow: int | None = option(None, metavar="N", recorded=True)
    check: bool = option(False)
    preview: bool = option(False)

    def partners(self, name: str, exemplars: Sequence[Source]) -> Sequence[Source]:
        """Masks of sources belong to the pictures to copy from, maps to IMAGE and to these."""
        others = list(self.others or ())
        if name == "source_mask":
            return others or exemplars
        return [*exemplars, *others] if name == "maps" else exemplars
