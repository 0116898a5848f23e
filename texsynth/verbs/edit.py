"""edit: another layout of one picture: its objects moved, reshaped, repeated or removed, or all of it at another size.

The layout guide of single-image edits in "Neural Texture Synthesis with Guided Correspondence" (Zhou et al. 2023), with
a start that is the object warped into its new shape.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from texsynth.errors import UsageError
from texsynth.guidance.guides import LABELS
from texsynth.image import holes
from texsynth.image.load import Note, Source
from texsynth.job import Input, Job
from texsynth.task import Guide, Preset
from texsynth.verbs import inpaint, objects, parse, synthesize
from texsynth.verbs.synthesize import Draft
from texsynth.verbs.warp import WARPS

# The four ways to edit, by the option that asks for them, and the options that belong to each.
WAYS = {
    "mask": ("mask", "target_mask", "warp", "labels_weight", "keep_background", "margin", "exact_copies"),
    "retarget": ("retarget",),
    "reshuffle": ("reshuffle",),
    "remove": ("remove", "grow", "exact_copies"),
}
ASKED = "--mask SRC --target-mask TGT, --retarget WxH, --reshuffle or --remove MASK"
BENT = 1.5  # change of aspect up to which a new size keeps most objects as they are
CLASSIFIER = "edit-neural"  # a preset that takes --class


@dataclass(frozen=True)
class Request(synthesize.Request):
    """What was asked for, in the words of the command line; exemplars holds the one picture to edit. One way of four:

    mask and target_mask: where objects are and where they shall be, with warp (a name of `warp.WARPS`), labels_weight
    and keep_background with its margin in pixels. retarget: the new size. reshuffle. remove: what goes, grown by `grow`
    pixels. None: the default. exact_copies: what is made does not take on the light around it.
    """

    mask: Source | None = None
    target_mask: Source | None = None
    warp: str | None = None
    labels_weight: float | None = None
    keep_background: bool = False
    margin: int | None = None
    retarget: str | int | None = None
    reshuffle: bool = False
    remove: Source | None = None
    grow: int | None = None
    exact_copies: bool = False


def build(request: Request) -> Job:
    """Read and check everything; raises UsageError, InputError or ResourceError."""
    chosen = _check(request)
    if chosen == "remove":
        return _removal(request)
    notices: list[str] = []
    draft = synthesize.read(request, notices.append)
    size = draft.exemplars[0].size
    if chosen == "retarget":
        made = _retargeted(request, size, notices.append)
    elif chosen == "reshuffle":
        made = Made(size)
    else:
        made = _moved(request, draft, notices.append)
    job = synthesize.finish(draft, "edit", made.size, notices)
    return replace(
        job,
        task=replace(job.task, hole=made.hole, start=made.start, guides=made.guides),
        inputs=(*job.inputs, *made.inputs),
        values={**job.values, "edit": _own(request) | made.values},
        heal=not request.exact_copies,
    )


def way(given: Mapping[str, Any]) -> str | None:
    """The way that options, None or False where not given, ask for first; None where they ask for none."""
    if given.get("target_mask") is not None:
        return "mask"
    return next((name for name in WAYS if given.get(name) is not None and given.get(name) is not False), None)


def check_class(preset: Preset) -> None:
    """Raise UsageError, naming a preset that can, when nothing in `preset` looks at classes."""
    objectives = [o for stage in preset.stages for o in getattr(stage.settings, "objectives", ())]
    if not any(o.loss == "classification" for o in objectives):
        raise UsageError(f"--class: preset {preset.name} uses no classifier; --preset {CLASSIFIER} does")


def default_margin(size: tuple[int, int]) -> int:
    """How many pixels round the objects of a picture of (height, width) are made again: a sixteenth of the shorter
    side."""
    return max(4, round(min(size) / 16))


@dataclass(frozen=True)
class Made:
    """What an edit adds to a task of `size` (height, width), what was read for it, and its values in the record."""

    size: tuple[int, int]
    start: Tensor | None = None
    hole: Tensor | None = None
    guides: tuple[Guide, ...] = ()
    inputs: tuple[Input, ...] = ()
    values: dict[str, Any] = field(default_factory=dict)


def _check(request: Request) -> str:
    """The way that was asked for; refuses what contradicts itself, before anything is read."""
    if len(request.exemplars) != 1:
        raise UsageError(f"edit takes one IMAGE, and {len(request.exemplars)} were given; several with a folder as -o")
    asked = [name for name in WAYS if way({name: getattr(request, name)})]
    if request.target_mask is not None and request.mask is None:
        raise UsageError("--target-mask needs --mask SRC, which says where the objects are now")
    if not asked:
        raise UsageError(f"nothing says what to edit: give {ASKED}")
    if len(asked) > 1:
        raise UsageError(f"{' and '.join(map(_flag, asked))} exclude each other; give one of them")
    if request.mask is not None and request.target_mask is None:
        raise UsageError("--mask needs --target-mask TGT, which says where the objects go; --remove MASK removes them")
    for name in (n for names in WAYS.values() for n in names if n not in WAYS[asked[0]]):
        if (value := getattr(request, name)) is not None and value is not False:
            needed = " or ".join(_flag(of) for of, names in WAYS.items() if name in names)
            raise UsageError(f"{_flag(name)} needs {needed}; leave it out")
    _check_values(request)
    return asked[0]


def _check_values(request: Request) -> None:
    if request.size is not None:
        raise UsageError(f"--size {request.size}: edit keeps the picture's size; --retarget WxH changes it")
    if request.flatten and (request.keep_background or request.remove is not None):
        raise UsageError("--flatten: pixels outside the edit stay as they are; leave the flag out")
    if request.warp not in (None, *WARPS):
        raise UsageError(f"--warp {request.warp!r} is not one of {', '.join(WARPS)}")
    weight = request.labels_weight
    if weight is not None and not 0 <= weight < math.inf:
        raise UsageError(f"--labels-weight {weight}: a number from 0 up is needed")
    if request.margin is not None and not request.keep_background:
        raise UsageError("--margin needs --keep-background, whose edge it moves")
    if request.margin is not None and request.margin < 0:
        raise UsageError(f"--margin {request.margin}: a number of pixels from 0 up is needed")


def _own(request: Request) -> dict[str, Any]:
    """What the record says of an edit; the masks are among its inputs."""
    return {
        "warp": request.warp,
        "labels_weight": request.labels_weight,
        "keep_background": request.keep_background,
        "margin": request.margin,
        "retarget": None if request.retarget is None else str(request.retarget),
        "reshuffle": request.reshuffle,
        "grow": request.grow,
        "exact_copies": request.exact_copies,
    }


def _removal(request: Request) -> Job:
    """The job of inpaint, told as an edit."""
    shared = {name: getattr(request, name) for name in synthesize.Request.__dataclass_fields__}
    job = inpaint.build(
        inpaint.Request(**shared, mask=request.remove, grow=request.grow or 0, exact_copies=request.exact_copies)
    )
    plain = {name: value for name, value in job.values.items() if name != "inpaint"}
    entries = tuple(replace(e, role="remove") if e.role == "mask" else e for e in job.inputs)
    own = _own(request) | {"grow": request.grow or 0}
    return replace(job, verb="edit", inputs=entries, values={**plain, "edit": own})


def _retargeted(request: Request, size: tuple[int, int], note: Note) -> Made:
    """Every pixel starts from the place that is proportionally its own."""
    assert request.retarget is not None
    wanted = parse.size(request.retarget, size, "--retarget")
    parse.room(wanted, 8, parse.memory(request.max_memory))
    bent = (wanted[1] / wanted[0]) / (size[1] / size[0])
    if (change := max(bent, 1 / bent)) > BENT:
        note(f"--retarget {request.retarget}: the aspect changes {change:.1f} times, and objects change with it")
    axes = [((torch.arange(n) + 0.5) * (old / n) - 0.5).clamp(0, old - 1) for n, old in zip(wanted, size, strict=True)]
    return Made(wanted, torch.stack(torch.meshgrid(*axes, indexing="ij"))[None])


def _moved(request: Request, draft: Draft, note: Note) -> Made:
    """The objects of SRC in the shapes of TGT."""
    assert request.mask is not None and request.target_mask is not None
    masks = objects.read(request.mask, request.target_mask, draft, note)
    name = request.warp or next(iter(WARPS))
    weight = LABELS if request.labels_weight is None else float(request.labels_weight)
    size = draft.exemplars[0].size
    hole, margin = None, None
    if request.keep_background:
        margin = default_margin(size) if request.margin is None else request.margin
        hole = _hole(masks, margin, draft.tile, note)
    start = objects.start(masks, WARPS[name], draft.exemplars[0].valid, note)
    if hole is not None:
        start = torch.where(hole, start, objects.places(size))  # what is kept needs no start, and has one
    return Made(
        size,
        start=start,
        hole=hole,
        guides=(Guide("labels", (masks.source,), masks.target, weight, "l0", palette=masks.colours),),
        inputs=masks.inputs,
        values={"warp": name, "labels_weight": weight, "margin": margin},
    )


def _hole(masks: objects.Masks, margin: int, tile: tuple[bool, bool], note: Note) -> Tensor | None:
    """What is not kept: the objects that change and `margin` pixels round them, but no object that stays; None when
    that is everything."""
    changed = torch.zeros_like(masks.source, dtype=torch.bool)
    still = torch.zeros_like(changed)
    for number in masks.objects:
        source, target = masks.source == number, masks.target == number
        if torch.equal(source, target):
            still |= source
        else:
            changed |= source | target
    hole = holes.grow(changed, margin, tile) & ~still
    if hole.all():
        note("--keep-background: the objects and the margin round them cover the picture, so nothing is kept")
        return None
    if not hole.any():
        note("the masks are the same: the picture comes back as it is")
    return hole


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"
