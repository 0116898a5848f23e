"""What `texsynth edit` may be asked for."""

from __future__ import annotations

from dataclasses import dataclass

from texsynth.requests.option import Source, Text, argument, option
from texsynth.requests.shared import ALPHA, PictureOptions

EXAMPLES = """
texsynth guide radial --hard -s 128 -o was.png
texsynth guide stripes --soft 0 -s 128 -o will.png
texsynth edit samples/gravel.jpg --mask was.png --target-mask will.png -o moved.png
texsynth edit samples/brick.png --retarget 192x128 -o wide.png
texsynth edit samples/pebbles.png --reshuffle --seed 3 -o other.png
texsynth edit samples/gravel.jpg --remove was.png --grow 2 -o without.png
"""

WAYS = ("mask", "retarget", "reshuffle", "remove")  # the four ways to edit, by the option that asks for each
HOW = "How"


@dataclass(frozen=True, kw_only=True)
class Request(PictureOptions):
    """Change the layout of one picture: move, reshape, repeat or remove its objects, or give it another size.

    exemplars: The picture to edit; with a folder as OUT several, each alone.
    mask: Where the object is: the white (at least 50 %) of this mask, its strokes on transparency, or in a mask of more
        colours every colour but black (the commonest where there is no black). A folder of masks is paired by stem.
    target_mask: Where the object shall be, in the colours of --mask.
    retarget: Give the picture a new size, with more or less of what it shows.
    reshuffle: Arrange the parts of the picture anew, differently for each seed.
    remove: Remove what this mask marks, and close up its surroundings.
    mask_invert: Take what the masks do not mark for what they do.
    alpha: What transparent parts are: keep copies them with the colours, auto copies opaque parts only and makes an
        opaque picture. Default: keep.
    warp: How the object is first fitted into its new shape. Default: affine.
    labels_weight: The weight of the masks. Default: 10.
    keep_background: Leave everything but the objects that change, and a margin round them, exactly as it is.
    margin: The margin of --keep-background, in pixels. Default: a sixteenth of the shorter side.
    grow: Remove so many pixels round the mask of --remove too. Default: 0.
    copies: Copy from mirrored or turned copies of the picture too. Default: auto, all where lines bend round a hole.
    class_: What the object is, for presets with a classifier: an ImageNet class by name or number. Default: the class
        that the classifier sees.
    check: Measure the result and report it on stderr.
    """

    PANEL = "Edit (one of mask, retarget, reshuffle, remove)"
    SECTION = "edit"
    FORGOTTEN = ("size",)

    exemplars: list[Source] | None = argument(metavar="IMAGE")
    mask: Source | None = option(None, metavar="SRC", role="mask", per="run", ways=("mask",))
    target_mask: Source | None = option(None, metavar="TGT", role="target-mask", per="run", ways=("mask",))
    retarget: Text | None = option(None, metavar="WxH|N|2x|150%", recorded=True, ways=("retarget",))
    reshuffle: bool | None = option(None, recorded=True, ways=("reshuffle",))
    remove: Source | None = option(None, metavar="MASK", role="remove", per="run", ways=("remove",))
    mask_invert: bool | None = option(None, recorded=True, sparse=True, ways=("mask", "remove"))
    alpha: str | None = option(None, choices=ALPHA, panel="Input", recorded=True, sparse=True)
    warp: str | None = option(None, metavar="affine|similarity|thin-plate", panel=HOW, recorded=True, ways=("mask",))
    labels_weight: float | None = option(None, metavar="X", panel=HOW, recorded=True, ways=("mask",))
    keep_background: bool | None = option(None, panel=HOW, recorded=True, ways=("mask",))
    margin: int | None = option(None, metavar="N", panel=HOW, recorded=True, ways=("mask",))
    grow: int | None = option(None, metavar="N", panel=HOW, recorded=True, ways=("remove",))
    copies: str | None = option(None, metavar="auto|none|flips|rotations|all", panel=HOW)
    class_: Text | None = option(None, flags="--class", metavar="NAME|ID", panel=HOW)
    check: bool = option(False, panel=HOW)
