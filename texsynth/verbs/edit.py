"""edit: another layout of one picture: its objects moved, reshaped, repeated or removed, or all of it at another size.

The layout guide of single-image edits in "Neural Texture Synthesis with Guided Correspondence" (Zhou et al. 2023), with
a start that is the object warped into its new shape.
"""

from __future__ import annotations

import math
from dataclasses import fields, replace
from typing import Any

import torch
from torch import Tensor

from texsynth.errors import UsageError
from texsynth.guidance.labels import WEIGHT
from texsynth.image import holes, rows
from texsynth.image.load import Note
from texsynth.job import Job
from texsynth.requests.edit import WAYS, Request
from texsynth.requests.inpaint import Request as InpaintRequest
from texsynth.requests.option import is_given, options, recorded
from texsynth.requests.shared import KEEP, PictureOptions
from texsynth.task import Guide, Preset
from texsynth.verbs import inpaint, objects, parse, retarget, synthesize
from texsynth.verbs.synthesize import Draft
from texsynth.verbs.verb import Verb
from texsynth.verbs.warp import WARPS
from texsynth.weights import imagenet

ASKED = "--mask SRC --target-mask TGT, --retarget WxH, --reshuffle or --remove MASK"
NOTICED_STRETCH = 1.5  # the change of aspect up to which most objects stay, and stay single
CLASSIFIER = "edit-neural"  # a preset that takes --class


def build(request: Request) -> Job:
    """Read and check everything; raises UsageError, InputError or ResourceError."""
    way = _check(request)
    if way == "remove":
        return _removal(request)
    notices: list[str] = []
    draft = synthesize.read(replace(request, alpha=request.alpha or KEEP), synthesize.sources(request), notices.append)
    draft = replace(draft, alpha=None)  # the section of the edit keeps it
    if way == "retarget":
        return _retargeted(request, draft, notices)
    if way == "mask":
        return _moved(request, draft, notices)
    return synthesize.finish(draft, "edit", draft.exemplars[0].size, notices, values=_section(request))


def check_preset(request: Request, preset: Preset) -> None:
    """Raise UsageError, naming a preset that can, when a class was named and nothing in `preset` looks at classes."""
    objectives = [o for stage in preset.stages for o in getattr(stage.settings, "objectives", ())]
    if request.class_ is not None and not any(o.loss == "classification" for o in objectives):
        raise UsageError(f"--class: preset {preset.name} uses no classifier; --preset {CLASSIFIER} does")


def settings(request: Request) -> dict[str, Any]:
    """The settings of the preset that options of their own set; raises UsageError for a class that is none."""
    copies = {} if request.copies is None else {"copies": request.copies}
    if request.class_ is None:
        return copies
    return {**copies, "classification.target": imagenet.number(str(request.class_))}


def default_margin(size: tuple[int, int]) -> int:
    """The margin of --keep-background for a picture of (height, width): a sixteenth of the shorter side, in pixels."""
    return max(4, round(min(size) / 16))


def _check(request: Request) -> str:
    """The way that was asked for; refuses what contradicts itself, before anything is read."""
    if (count := len(request.exemplars or ())) != 1:
        raise UsageError(f"edit takes one IMAGE, and {count} were given; several with a folder as -o")
    by_name = {o.name: o for o in options(Request)}
    asked = [name for name in WAYS if is_given(by_name[name].of(request))]
    if request.target_mask is not None and request.mask is None:
        raise UsageError("--target-mask needs --mask SRC, which says where the objects are now")
    if not asked:
        raise UsageError(f"nothing says what to edit: give {ASKED}")
    if len(asked) > 1:
        raise UsageError(f"{' and '.join(by_name[n].flag for n in asked)} exclude each other; give one of them")
    if request.mask is not None and request.target_mask is None:
        raise UsageError("--mask needs --target-mask TGT, which says where the objects go; --remove MASK removes them")
    for o in by_name.values():
        if o.ways and asked[0] not in o.ways and is_given(o.of(request)):
            raise UsageError(f"{o.flag} needs {' or '.join(by_name[n].flag for n in o.ways)}; leave it out")
    _check_values(request)
    return asked[0]


def _check_values(request: Request) -> None:
    if request.size is not None:
        raise UsageError(f"--size {request.size}: edit keeps the picture's size; --retarget WxH changes it")
    if request.flatten and (request.keep_background or request.remove is not None):
        raise UsageError("--flatten: pixels outside the edit stay as they are; leave the flag out")
    if request.alpha not in (None, KEEP) and request.keep_background:
        raise UsageError(
            f"--alpha {request.alpha} and --keep-background exclude each other; {KEEP} leaves alpha as it is"
        )
    if request.warp not in (None, *WARPS):
        raise UsageError(f"--warp {request.warp!r} is not one of {', '.join(WARPS)}")
    if request.labels_weight is not None and not 0 <= request.labels_weight < math.inf:
        raise UsageError(f"--labels-weight {request.labels_weight}: a number from 0 up is needed")
    if request.margin is not None and not request.keep_background:
        raise UsageError("--margin needs --keep-background, whose edge it moves")
    if request.margin is not None and request.margin < 0:
        raise UsageError(f"--margin {request.margin}: a number of pixels from 0 up is needed")


def _section(request: Request, **resolved: Any) -> dict[str, Any]:
    """What the record says of an edit; the masks are among its inputs."""
    size = None if request.retarget is None else str(request.retarget)
    return {Request.SECTION: recorded(request, Request.SECTION, retarget=size, **resolved)}


def _removal(request: Request) -> Job:
    """The job of inpaint, as that of an edit."""
    shared: dict[str, Any] = {f.name: getattr(request, f.name) for f in fields(PictureOptions)}
    options_of_both = {name: getattr(request, name) for name in ("mask_invert", "grow")}
    repair = InpaintRequest(**shared, mask=request.remove, **options_of_both)
    job = inpaint.build(repair)
    plain = {name: value for name, value in job.values.items() if name != InpaintRequest.SECTION}
    entries = tuple(replace(e, role="remove") if e.role == "mask" else e for e in job.inputs)
    return replace(job, verb="edit", inputs=entries, values=plain | _section(request, grow=request.grow or 0))


def _retargeted(request: Request, draft: Draft, notices: list[str]) -> Job:
    """A job that starts from whole runs of the picture, with fewer or more of them than it has."""
    assert request.retarget is not None
    size = draft.exemplars[0].size
    wanted = parse.size(request.retarget, size, "--retarget")
    parse.room(wanted, 8, draft.room)
    stretch = (wanted[1] / wanted[0]) / (size[1] / size[0])
    if (change := max(stretch, 1 / stretch)) > NOTICED_STRETCH:
        notices.append(
            f"--retarget {request.retarget}: the aspect changes {change:.1f} times, so that objects may be "
            "left out or come more than once"
        )
    start = retarget.start(draft.exemplars[0].image, wanted)
    return synthesize.finish(draft, "edit", wanted, notices, values=_section(request), start=start)


def _moved(request: Request, draft: Draft, notices: list[str]) -> Job:
    """A job with the objects of SRC in the shapes of TGT."""
    assert request.mask is not None and request.target_mask is not None
    note = notices.append
    masks = objects.read(request.mask, request.target_mask, bool(request.mask_invert), draft, note)
    name = request.warp or next(iter(WARPS))
    weight = WEIGHT if request.labels_weight is None else float(request.labels_weight)
    size = draft.exemplars[0].size
    hole, margin = None, None
    if request.keep_background:
        margin = default_margin(size) if request.margin is None else request.margin
        hole = _hole(masks, margin, draft.tile, note)
        if hole is not None:
            inpaint.check_borders(draft, hole)
    start = objects.start(masks, WARPS[name], draft.exemplars[0].valid, note)
    if hole is not None:
        start = _kept(start, hole)
    rows.release(masks.source, masks.target)
    asked_by = frozenset({"mask", "target_mask"})
    guide = Guide("labels", (masks.source,), masks.target, weight, "l0", palette=masks.colours, asked_by=asked_by)
    section = _section(request, warp=name, labels_weight=weight, margin=margin)
    parts = {"start": start, "hole": hole, "guides": (guide,)}
    draft = replace(draft, remarks=(*draft.remarks, *masks.remarks))
    return synthesize.finish(draft, "edit", size, notices, masks.inputs, section, **parts)


def _kept(start: Tensor, hole: Tensor) -> Tensor:
    """Where pixels start from, (1, 2, h, w): what is kept needs no start, and has its own place."""

    def make(top: int, bottom: int) -> Tensor:
        own = objects.places((bottom - top, start.shape[3]), top)
        return torch.where(hole[:, :, top:bottom], start[:, :, top:bottom], own)

    return rows.composed(start.shape, make, start)


def _hole(masks: objects.Masks, margin: int, tile: tuple[bool, bool], note: Note) -> Tensor | None:
    """The pixels to synthesise: the objects that change and `margin` pixels round them, but no object that stays; None
    when that is everything."""
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


VERB = Verb("edit", build, settings=settings, check_preset=check_preset)
