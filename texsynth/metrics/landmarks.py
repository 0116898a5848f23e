"""Repetition that is noticed: how many more times than once does the output show what is rare in the exemplar?

The exemplar's windows are put into 16 x 16 cells by where they are, and those of the output into the cell of the most
similar window of the exemplar, which says how many copies of each cell the output has. The value is the mean over the
cells of the copies beyond the first, weighted by rarity: by how little else in the exemplar looks like a place
(texsynth/field/rarity.py). The measure is our own. It is 0 where rare places come once or never, and where the exemplar
has none; an output in proportion, at four times the area, scores about 3.
"""

from __future__ import annotations

import torch
from torch.nn import functional as F

from texsynth.field import rarity
from texsynth.field.atlas import build_atlas
from texsynth.field.space import find_basis
from texsynth.metrics import About, Pair
from texsynth.patches.matches import WINDOW, match, working_level
from texsynth.pyramid import halved, octaves
from texsynth.task import Exemplar, Task

CELLS = 16
COARSE_SIDE = 64  # pixels of the shorter side, about, at which rarity is measured
PATCH, COMPONENTS = 9, 24  # of the windows that are compared there
ABOUT = About("copies beyond the first of what is rare in the exemplar, on average", smallest_side=WINDOW + CELLS - 1)


def measure(pair: Pair, extract: None, rng: torch.Generator) -> float:
    # Find what is rare.
    h, w = pair.exemplar.shape[2:]
    exemplar = Exemplar("exemplar", pair.exemplar).at(octaves(min(h, w), COARSE_SIDE, 0)[1])
    atlas = build_atlas(Task((exemplar,), exemplar.size), ("none",), PATCH // 2)
    marks = rarity.find(atlas, find_basis(atlas, PATCH, COMPONENTS, rng), 1, "rare", rng)
    if marks is None:
        return 0.0
    # Count the copies of each cell.
    matches, level = match(pair.exemplar, pair.output, rng), working_level(pair.exemplar, pair.output)
    down, across = (matches.number.cpu() // matches.grid[1], matches.number.cpu() % matches.grid[1])
    cells = down * CELLS // matches.grid[0] * CELLS + across * CELLS // matches.grid[1]
    windows = [halved(length, level) - WINDOW + 1 for length in pair.output.shape[2:]]
    area = windows[0] * windows[1] / (matches.grid[0] * matches.grid[1])
    copies = torch.bincount(cells, minlength=CELLS**2) * (area * CELLS**2 / len(cells))
    # Weigh what is beyond the first.
    rare = F.adaptive_avg_pool2d(marks.rarity.view(1, 1, *exemplar.size), CELLS).flatten().cpu()
    return float((rare * (copies - 1).clamp(min=0)).sum() / rare.sum())
