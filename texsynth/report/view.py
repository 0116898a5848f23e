"""A material under a moving light, for the report: which pictures of a page are its maps, and what shows them."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from texsynth.material import roles

HERE = Path(__file__).parent
LIGHT = HERE / "light.js"  # what draws: a module, which the studio serves as it is
DRAWING, CONTROLS = re.sub("(?m)^export ", "", LIGHT.read_text("utf-8")), (HERE / "view.js").read_text("utf-8")
SCRIPT = f'(() => {{\n"use strict";\n{DRAWING}{CONTROLS}}})();\n'
LIT = {roles.NORMAL, roles.HEIGHT, roles.ROUGHNESS, roles.SMOOTHNESS, roles.METALLIC, roles.OCCLUSION, roles.EMISSIVE}
USUAL, DEEPEST = 0.04, 0.2  # the relief where nothing tells it, and the most that is shown, in widths of the picture
SHAPES = {"both": "sphere and plane", "sphere": "sphere", "plane": "plane"}


@dataclass(frozen=True)
class Shown:
    """A map as the page shows it.

    pixels: (1, C, H, W) in [0, 1].
    down: does green of this normal map point down?
    """

    pixels: Tensor
    down: bool = False


def by_role(names: Iterable[str]) -> dict[str, str]:
    """From the names of maps: the one that is shown in each role of a material, the first where several mean the same.
    Empty where no map answers to light."""
    chosen: dict[str, str] = {}
    for name in names:
        if (role := roles.role_of(name)) is not None and role.name != roles.BASE_COLOUR:
            chosen.setdefault(role.name, name)
    return chosen if LIT & chosen.keys() else {}


def attributes(role: str, down: bool = False) -> str:
    """What the picture of a map says of itself to the view."""
    return f' data-role="{role}"' + (' data-green="down"' if down else "")


def relief(height: Tensor, normal: Tensor | None, down: bool) -> float:
    """From lowest to highest, in widths of the picture: the depth whose slopes are nearest to those of the normals.

    height: (1, C, H, W) in [0, 1], of which the first channel counts. normal: (1, 3, h, w) in [0, 1]. Least squares
    over all pixels but those of the steepest two percent, where pieces of other heights meet. USUAL without normals,
    where sizes differ, or where the two do not agree.
    """
    if normal is None or normal.shape[2:] != height.shape[2:] or normal.shape[1] < 3 or min(height.shape[2:]) < 3:
        return USUAL
    values = height[0, 0].double()
    x, y, z = (2 * normal[0, :3].double() - 1)[:, 1:-1, 1:-1]
    rise = torch.stack([values[1:-1, 2:] - values[1:-1, :-2], values[:-2, 1:-1] - values[2:, 1:-1]]) / 2  # right, up
    slope = torch.stack([-x, y if down else -y]) / z.where(z > 0.1, (1 - x**2 - y**2).clamp(min=0.01).sqrt())
    gentle = rise.abs() <= rise.abs().flatten().kthvalue(max(1, int(0.98 * rise.numel()))).values
    power = rise[gentle].square().sum()
    depth = float((rise * slope)[gentle].sum() / power.clamp(min=1e-12)) / values.shape[1]
    return min(depth, DEEPEST) if depth > 0 else USUAL


def depth(shown: Mapping[str, Shown]) -> float:
    """The relief of a material, of whose maps these are shown, by role; 0 where its height is unknown."""
    normal, height = shown.get(roles.NORMAL), shown.get(roles.HEIGHT)
    if height is None:
        return 0.0
    return relief(height.pixels, None if normal is None else normal.pixels, normal is not None and normal.down)


def figure(shown: Mapping[str, Shown], tileable: bool) -> str:
    """The view of a page whose pictures have the attributes of these maps, by role; script and controls included."""
    normal = shown.get(roles.NORMAL)
    green = {None: "", True: " (green down)", False: " (green up)"}[None if normal is None else normal.down]
    said = ["base colour", *(role + green * (role == roles.NORMAL) for role in shown)]
    return (
        '<figure id="view">'
        '<p class="missing">Here the material is shown under a moving light, in browsers with WebGL 2 and scripts.</p>'
        '<canvas tabindex="0" role="img" aria-label="The material under a moving light"></canvas>'
        f'<form class="controls" autocomplete="off">{_controls(depth(shown), roles.HEIGHT in shown, tileable)}</form>'
        f"<figcaption>Lit: {html.escape(', '.join(said))}. <small>The light follows the pointer or the arrow keys, and "
        "goes round by itself (space); dragging turns, a double click turns back.</small></figcaption>"
        f"</figure><script>{SCRIPT}</script>"
    )


def _controls(deep: float, is_deep: bool, tileable: bool) -> str:
    """Fields of the form, each within its label; what does not wrap is first shown once."""
    times = 2 if tileable else 1
    shapes = "".join(f'<option value="{value}">{text}</option>' for value, text in SHAPES.items())
    tiles = "".join(f'<option value="{n}"{" selected" * (n == times)}>{n} x {n}</option>' for n in range(1, 5))
    slider = f'<input type="range" name="relief" min="0" max="{100 * DEEPEST:g}" step="0.1" value="{100 * deep:.1f}">'
    return (
        f'<label>shape <select name="shape">{shapes}</select></label>'
        f'<label>tiles <select name="tiles">{tiles}</select></label>'
        f"<label{'' if is_deep else ' hidden'}>relief {slider}</label>"
        '<label><input type="checkbox" name="moves" checked> moving light</label>'
    )
