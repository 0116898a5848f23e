"""What the page can ask for: the options of its verbs and the settings of presets, from the same definitions as the
command line. `document` is all of it, as JSON has it; `sheet` reads what the page makes of it.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping
from typing import Any

from texsynth import preset
from texsynth.requests.option import ARGUMENT, Option, options

VERBS = ("synthesize", "control", "inpaint", "edit")
STRAIGHTEN = "capture"  # which makes exemplars of photographs
ITS_OWN = {"Output", "Machine", "Messages"}  # panels of what the studio itself decides
# Beside these: what names files that are not pictures, or that the page has no place for, and what writes others.
# Settings of presets stand apart in a sheet.
LEFT_OUT = {"repeat", "field", "model", "weights", "method", "settings", "find_maps"}
LEFT_OUT |= {"label_exemplars", "label_map", "blend", "blend_map"}
LEFT_OUT |= {"save_attention", "save_warp", "save_guides", "check", "preview"}
SHOWN = {"size", "seed", "tile", "preset", "quality", "exact_copies", "flatten", "make_tileable", "band", "extend"}
SHOWN |= {"retarget", "reshuffle", "keep_background", "margin", "grow", "reverse"}
KINDS: Mapping[type, str] = {bool: "switch", int: "whole", float: "number", str: "text", list: "text"}
# The roles of what is painted, one for each file of an option; its own file is called STEM_ROLE.
ROLES: Mapping[str, tuple[str, ...]] = {
    "progression": ("progression_source", "progression"),
    "labels": ("labels_source", "labels"),
    "orientation": ("orientation",),
    "source_orientation": ("orientation_source",),
    "guide_weight_map": ("guide_weight_map",),
    "source_mask": ("source_mask",),
    "mask": ("mask",),
    "target_mask": ("target_mask",),
    "remove": ("remove",),
}


def request(verb: str) -> Any:
    """The dataclass of a verb's requests."""
    return importlib.import_module(f"texsynth.requests.{verb}").Request


def asked_of(verb: str) -> Mapping[str, Option]:
    """The options of a verb that the page gives, by name."""
    every = (o for o in options(request(verb)) if o.flags not in ((), (ARGUMENT,)))
    return {o.name: o for o in every if o.panel not in ITS_OWN and o.name not in LEFT_OUT}


def kind(o: Option) -> str:
    """What a form has for an option: "file", "files" and "pair" are layers and pictures."""
    if o.role:
        return "pair" if o.kind is tuple else "files" if o.kind is list else "file"
    return "choice" if choices(o) else KINDS[o.kind]


def choices(o: Option) -> tuple[str, ...]:
    """The only words for an option; none where others are allowed, or there is a long list of them."""
    if o.name == "preset":
        return tuple(preset.names())
    metavar = o.metavar or ""
    return o.choices or (tuple(metavar.split("|")) if re.fullmatch(r"[a-z-]+(\|[a-z-]+)+", metavar) else ())


def document() -> dict[str, Any]:
    """Everything that the page shows; needs torch, as settings of presets are those of methods."""
    return {
        "verbs": {v: {"options": [_option(o) for o in asked_of(v).values()]} for v in (*VERBS, STRAIGHTEN)},
        "presets": [each for name in preset.names() if (each := _preset(name)) is not None],
        "default": preset.DEFAULT,
        "qualities": list(preset.QUALITIES),
    }


def _option(o: Option) -> dict[str, Any]:
    return {
        "name": o.name,
        "flag": o.flag,
        "help": o.help,
        "panel": o.panel,
        "kind": kind(o),
        "choices": list(choices(o)),
        "low": o.low,
        "high": o.high,
        "default": o.default,
        "ways": list(o.ways),
        "shown": o.name in SHOWN or o.kind is float,
    }


def _preset(name: str) -> dict[str, Any] | None:
    """A preset, its variants by quality, whether it copies, so that maps can follow, and the networks that it lacks
    here, as nothing is fetched; None for one that needs a network of `texsynth train`."""
    from texsynth.features import features
    from texsynth.methods import method
    from texsynth.weights import pretrained

    stages = [(method(stage.method), stage.settings) for stage in preset.load(name).stages]
    if any(module.RECIPES for module, _ in stages):
        return None
    used = (features(key).WEIGHTS for module, settings in stages for key in module.needs(settings, None))
    graded = {quality: name + suffix for quality, suffix in preset.QUALITIES.items() if name + suffix in preset.names()}
    lacks = sorted({network for network in used if network is not None and pretrained.find(network) is None})
    copies = any(module.COPIES for module, _ in stages)
    return {**preset.described(name), "graded": graded, "copies": copies, "lacks": lacks}
