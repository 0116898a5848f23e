"""Histogram-preserving blending as a page: the texture without end beside the same texture repeated."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from texsynth.image import seen
from texsynth.image.picture import Picture
from texsynth.material import roles
from texsynth.report import plane, view
from texsynth.report.plane import Shell
from texsynth.tiles import shading
from texsynth.tiles.blending import Gaussian, Grid, Slopes

SCRIPT = (Path(__file__).parent / "blend.js").read_text("utf-8")
BASE = "base colour"


@dataclass(frozen=True)
class Blending:
    """A map that a page blends.

    layer: how it is blended. texture: itself, which is repeated beside. down: does green of a normal map point down?
    """

    layer: Gaussian | Slopes
    texture: Picture
    down: bool = False


def page(grid: Grid, maps: Mapping[str, Blending], title: str, said: str = "") -> str:
    """The whole document. maps: the image, by this name and first, and the maps of its material, by theirs. title: the
    name of the texture. said: a sentence on it, as on how well it is suited."""
    height, width = grid.size
    parts = {name: role for role, name in view.by_role(name for name in maps if name != "image").items()}
    described, notes = [], set()
    for name, blending in maps.items():
        entry, note = _map(name, blending, len(maps))
        described.append({**entry, "part": parts.get(name, "")})
        notes |= note
    content = {
        "glsl": shading.source("blend.glsl"),
        "size": [width, height],
        "grid": grid.side,
        "sharpness": grid.sharpness,
        "cells": grid.cells,
        "steps": list(grid.steps),
        "linear": seen.is_linear(maps["image"].texture),
        "maps": described,
    }
    sentence = [f"{said[:1].upper()}{said[1:].rstrip('.')}."] if said else []
    lines = [f"{width} x {height} pixels.", *sentence, *(f"Shown {note}." for note in sorted(notes))]
    views = [(BASE, BASE), *([("lit", "lit material")] if roles.NORMAL in parts.values() else [])]
    views += [(name, name) for name in maps if name != "image"]
    names = "blended without end", "texture repeated"
    heading = f"{title}: blended by a shader"
    return plane.page(Shell(heading, " ".join(lines), *names, views, grid.seed, "triangles"), content, SCRIPT)


def _map(name: str, blending: Blending, share: int) -> tuple[dict[str, Any], set[str]]:
    """What the page knows of a map, and what of its pictures is not as in the files."""
    layer = blending.layer
    role = roles.role_of(name)
    source = plane.embedded(Picture(layer.texture), False, share=2 * share)
    texture = plane.embedded(
        blending.texture, name == "image" or (role is not None and role.is_colour), share=2 * share
    )
    shared = {
        "name": BASE if name == "image" else name,
        "down": blending.down,
        "source": source.source,
        "plain": texture.source,
    }
    notes = {source.note, texture.note} - {""}
    if isinstance(layer, Slopes):
        numbers = {"kind": "normals", "levels": 1, "same": _three(layer.common), "origin": _three(layer.mean)}
        return {**shared, **numbers, "axes": [0.0] * 9, "table": ""}, notes
    axes = torch.zeros(3, 3)
    axes[: len(layer.axes), : len(layer.axes)] = layer.axes
    return {
        **shared,
        "kind": "scalar" if layer.texture.shape[1] == 1 else "colours",
        "levels": layer.table.shape[1],
        "same": _three(layer.common),
        "origin": _three(layer.origin),
        "axes": axes.T.flatten().tolist(),  # column by column
        "table": _sixteen_bits(layer.table),
    }, notes


def _three(values: Tensor) -> list[float]:
    return [*values.tolist(), 0.0, 0.0][:3]


def _sixteen_bits(table: Tensor) -> str:
    """A table (C, levels, width) in [0, 1], level by level and value by value."""
    values = (table.permute(1, 2, 0) * 65535).round().numpy().astype("<u2")
    return base64.b64encode(np.ascontiguousarray(values).tobytes()).decode()
