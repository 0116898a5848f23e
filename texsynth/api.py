"""The Python API: the verbs as functions, in the words of the command line. Nothing heavy is imported before a call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from texsynth.api_shared import Shared, chosen, maps, requested, run_job, several
from texsynth.weights import imagenet

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from texsynth.api_shared import Maps
    from texsynth.image.load import Source
    from texsynth.runs.run import Result


def synthesize(exemplars: Source | Sequence[Source], size: str | int = "2x", **shared: Unpack[Shared]) -> Result:
    """More of one exemplar, or a remix of several.

    Pictures are paths, arrays (H, W) or (H, W, C) of uint8, uint16 or float, or `Picture`s. size is
    "WxH", N or "2x". For all else see `texsynth.api_shared.Shared`. Ctrl-C gives the picture so far, `interrupted` set.
    Raises `texsynth.errors.TexsynthError`s, each with a one-line message.
    """
    from texsynth.verbs import synthesize as verb

    request = verb.Request(exemplars=several(exemplars), size=size, **requested(shared))
    return run_job(lambda: verb.build(request), shared)


def control(
    exemplars: Source | Sequence[Source] = (),
    size: str | int | None = None,
    *,
    progression: Maps | None = None,
    progression_weight: float | None = None,
    reverse: bool = False,
    distance_transform: bool = False,
    refine: bool = False,
    match_histogram: bool = False,
    match_range: bool = False,
    orientation: Source | None = None,
    source_orientation: Source | Sequence[Source] | None = None,
    orientation_extractor: str | None = None,
    orientation_weight: float | None = None,
    labels: Maps | None = None,
    label_exemplars: Mapping[str, Source | Sequence[Source]] | None = None,
    label_map: Source | None = None,
    labels_weight: float | None = None,
    guide_weight_map: Source | None = None,
    **shared: Unpack[Shared],
) -> Result:
    """More of a texture, steered by maps; at least one guide, and they combine.

    progression and labels: (source, target), the source being one map for each exemplar; the source of a progression
    may be "auto". orientation: "angle:DEG", "circle", "spiral", "s-curve", or a field: an array (2, H, W) of x and y,
    a .npy or a picture; source_orientation likewise, by default extracted. label_exemplars: in place of exemplars,
    those of each colour, with label_map as the target. size: by default that of the first target map. Weights: by
    default 10, for orientation 5. guide_weight_map: white where guides hold. All else as in `synthesize`.
    """
    from texsynth.verbs import control as verb

    if label_exemplars and several(exemplars):
        from texsynth.errors import UsageError

        raise UsageError("label_exemplars names the exemplars; leave exemplars out")
    pairs = [(colour, file) for colour, files in (label_exemplars or {}).items() for file in several(files)]
    request = verb.Request(
        exemplars=tuple(file for _, file in pairs) or several(exemplars),
        size=size,
        progression=maps(progression),
        progression_weight=progression_weight,
        reverse=reverse,
        distance_transform=distance_transform,
        refine=shared.get("seed", 0) if refine else None,
        match_histogram=match_histogram,
        match_range=match_range,
        orientation=orientation,
        source_orientation=() if source_orientation is None else several(source_orientation),
        orientation_extractor=orientation_extractor,
        orientation_weight=orientation_weight,
        labels=maps(labels),
        label_colours=tuple(colour for colour, _ in pairs),
        label_map=label_map,
        labels_weight=labels_weight,
        guide_weight_map=guide_weight_map,
        **requested(shared),
    )
    return run_job(lambda: verb.build(request), shared)


def inpaint(
    image: Source,
    mask: Source | None = None,
    *,
    mask_invert: bool = False,
    exemplars: Source | Sequence[Source] = (),
    make_tileable: str | None = None,
    band: int | None = None,
    extend: str | Sequence[int] | None = None,
    grow: int = 0,
    exact_copies: bool = False,
    **shared: Unpack[Shared],
) -> Result:
    """A picture repaired: its hole is filled, and all other pixels stay exactly as they are.

    The hole is the white of `mask` (its black with mask_invert), or without one what is not opaque; a band of `band`
    pixels along the borders with make_tileable "x", "y" or "xy"; and what extend, "L,T,R,B" or four numbers, adds.
    grow: pixels by which the hole of mask or alpha is larger than these say.
    exemplars: pictures to copy from in place of the image; maps hold one for the image and one for each of these,
    source_mask one for each of these. exact_copies: do not follow the light around the hole. flatten is refused. All
    else as in `synthesize`.
    """
    from texsynth.verbs import inpaint as verb

    request = verb.Request(
        exemplars=(image,),
        mask=mask,
        mask_invert=mask_invert,
        others=several(exemplars),
        make_tileable=make_tileable,
        band=band,
        extend=extend,
        grow=grow,
        exact_copies=exact_copies,
        **requested(shared),
    )
    return run_job(lambda: verb.build(request), shared)


def barycenter(
    exemplars: Sequence[Source],
    size: str | int | None = None,
    *,
    blend: str | Sequence[float] | None = None,
    blend_map: Source | Sequence[Source] | None = None,
    steps: int | None = None,
    mode: str = "transport",
    **shared: Unpack[Shared],
) -> Result:
    """A texture between two exemplars or more, or one that turns from one into another.

    At most one of blend, a share for each (default: equal); blend_map, for two exemplars one map, black for the first
    and white for the second, for more one map for each; and steps, so many panels of `size` side by side from the first
    of two exemplars to the second. mode: "transport", every pixel mixes all, or "mosaic", every pixel is copied from
    one. size: by default that of the first exemplar. All else as in `synthesize`.
    """
    from texsynth.preset import BARYCENTER
    from texsynth.verbs import barycenter as verb

    verb.check_mode(mode)
    request = verb.Request(
        exemplars=several(exemplars),
        size=size,
        blend=blend,
        blend_map=() if blend_map is None else several(blend_map),
        steps=steps,
        mode=mode,
        **requested(shared),
    )
    return run_job(lambda: verb.build(request), shared, BARYCENTER[mode], partial(verb.check_preset, mode))


def edit(
    image: Source,
    mask: Source | None = None,
    target_mask: Source | None = None,
    *,
    warp: str | None = None,
    labels_weight: float | None = None,
    keep_background: bool = False,
    margin: int | None = None,
    retarget: str | int | None = None,
    reshuffle: bool = False,
    remove: Source | None = None,
    grow: int | None = None,
    copies: str | None = None,
    class_: str | int | None = None,
    exact_copies: bool = False,
    **shared: Unpack[Shared],
) -> Result:
    """Another layout of one picture. One of these: mask and target_mask, retarget, reshuffle, remove.

    mask, target_mask: the object, white in the one, takes the shape that is white in the other; masks of more colours
    hold an object for each but black. warp: how it is first fitted, "affine", "similarity" or "thin-plate".
    keep_background: only what changes and `margin` pixels round it are made again. retarget: the new size, "WxH", N or
    "2x". reshuffle: another arrangement for each seed. remove: a mask of what goes, grown by `grow` pixels. copies:
    "flips", "rotations" or "all". class_: what the object is, where a classifier looks. Else as in `synthesize`.
    """
    from texsynth.verbs import edit as verb

    request = verb.Request(
        exemplars=(image,),
        mask=mask,
        target_mask=target_mask,
        warp=warp,
        labels_weight=labels_weight,
        keep_background=keep_background,
        margin=margin,
        retarget=retarget,
        reshuffle=reshuffle,
        remove=remove,
        grow=grow,
        exact_copies=exact_copies,
        **requested(shared),
    )
    settings = {**(shared.get("settings") or {}), **({} if copies is None else {"copies": copies})}
    if class_ is not None:
        number = imagenet.number(str(class_), "class_")
        verb.check_class(chosen({**shared, "settings": settings}))
        settings["classification.target"] = number
    return run_job(lambda: verb.build(request), {**shared, "settings": settings})
