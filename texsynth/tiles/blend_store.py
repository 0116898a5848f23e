"""The JSON of a texture that is ready for blending: all numbers that a shader needs, by the names of its uniforms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from texsynth.tiles.blending import Gaussian, Slopes
from texsynth.tiles.blendset import BlendSet
from texsynth.tiles.suitability import Suitability

VERSION = 1  # of the form of the JSON
KEY = "texsynth_blend"  # that says so
DIGITS = 9  # of a float32, with which it is exact


def described(
    ready: BlendSet,
    suited: Suitability,
    files: Mapping[str, Mapping[str, str]],
    record: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The JSON. files: of the image, by this name, and of each map, the names of its files by what they are for a
    shader: "gaussian" and "table", or "normal". record: of the run; None for none."""
    grid, (height, width) = ready.grid, ready.grid.size
    content: dict[str, Any] = {
        KEY: VERSION,
        "blend_size": [width, height],
        "blend_seed": grid.seed,
        "blend_grid": grid.side,
        "blend_sharpness": grid.sharpness,
        "blend_cells": grid.cells,
        "blend_steps": list(grid.steps),
        "image": {**files["image"], **uniforms(ready.image)},
        "maps": {name: {**files[name], **uniforms(layer)} for name, layer in ready.maps.items()},
        "lattice": ready.lattice if isinstance(ready.lattice, str) else ready.lattice.words,
        "suitability": {
            "fits": suited.fits,
            "error": suited.plain,
            "error_in_step": suited.in_step,
            "sentence": suited.sentence,
        },
    }
    return content if record is None else {**content, "record": dict(record)}


def uniforms(layer: Gaussian | Slopes) -> dict[str, Any]:
    """The numbers of one map, by the names of uniforms; those of a map of one channel are no lists."""
    common = _exact(layer.common.tolist())
    if isinstance(layer, Slopes):
        return {"blend_slopes": _exact(layer.mean.tolist()), "blend_common": common}
    axes = _exact(layer.axes.T.flatten().tolist())
    columns = [axes[at : at + len(common)] for at in range(0, len(axes), len(common))]
    numbers = {"blend_common": common, "blend_origin": _exact(layer.origin.tolist()), "blend_axes": columns}
    if len(common) == 1:
        numbers = {name: values[0] for name, values in numbers.items()} | {"blend_axes": axes[0]}
    return {"blend_levels": int(layer.table.shape[1]), **numbers}


def _exact(values: list[float]) -> list[Any]:
    return [float(f"{value:.{DIGITS}g}") for value in values]
