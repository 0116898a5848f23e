"""What masked spatial-channel attention looked at (Zheng et al. 2020, MSCA, supplement), as pictures.

The regions of exemplar and target at the finest scale; how much of each target label's look comes from each exemplar
label, found by sending labels in place of features through the attention, unmasked; and labels that are used alike as
a tree (average linkage of the rows of that table).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor
from torch.nn import functional as F

from texsynth.learned.msca.network import spread

MOST, LEAVES = 20, 25  # labels in the table and in the tree
CELL, GAP = 24, 4  # pixels of the drawings
WIDTH = 400  # of the tree
WHITE, INK = (255, 255, 255), (60, 60, 60)
Merge = tuple[int, int, float]  # two clusters and how far they are apart


@dataclass(frozen=True)
class Seen:
    """The attention of the finest scale on whole pictures. alphas: of each exemplar (1, K, H, W), adding up to 1 over
    the positions of all. beta: (1, K, h, w), adding up to 1 over the regions. labels: one-hot, of each exemplar
    (1, L, H, W); target: of the target (1, L, h, w)."""

    alphas: Sequence[Tensor]
    beta: Tensor
    labels: Sequence[Tensor]
    target: Tensor
    shares: Tensor | None = None


def drawn(seen: Seen, palette: Tensor) -> dict[str, Tensor]:
    """Pictures (1, 3, H, W) in [0, 1] by name: a region each, its places in the exemplars beside those in the target;
    the table "transfer"; and, where there are two labels, the tree "dendrogram". palette: their colours (L, 3)."""
    pictures = {f"region-{number:02d}": _region(seen, number) for number in range(seen.beta.shape[1])}
    table, most = transfer(seen), frequent(seen)
    pictures["transfer"] = _table(table, most[:MOST], palette)
    if len(most) > 1:
        pictures["dendrogram"] = _tree(merges(rows(table, most[:LEAVES])), palette[most[:LEAVES]])
    return pictures


def transfer(seen: Seen) -> Tensor:
    """(L, L), rows exemplar labels, columns target labels: what share of a target label's look comes from which
    exemplar label. A column adds up to 1, or is 0 for a label that the target lacks."""
    held = [
        (labels.flatten(2) @ a.flatten(2).transpose(1, 2)).transpose(1, 2)
        for a, labels in zip(seen.alphas, seen.labels, strict=True)
    ]
    if seen.shares is None:
        soft = spread(torch.stack(held).sum(0), seen.beta)
    else:
        soft = torch.stack([seen.shares[:, j : j + 1] * spread(h, seen.beta) for j, h in enumerate(held)]).sum(0)
    table = soft[0].flatten(1) @ seen.target[0].flatten(1).T
    return table / table.sum(0).clamp_min(1e-12)


def frequent(seen: Seen) -> list[int]:
    """The labels that there are, most frequent first."""
    counts = sum(labels.sum((0, 2, 3)) / labels[0, 0].numel() for labels in (*seen.labels, seen.target))
    assert isinstance(counts, Tensor)
    order: list[int] = counts.argsort(descending=True, stable=True).tolist()
    return [label for label in order if float(counts[label]) > 0]


def rows(table: Tensor, labels: Sequence[int]) -> Tensor:
    """The features by which labels are compared, (n, n): their rows, where the share that a label keeps for itself is
    replaced by the second largest of its row, or all labels would be apart for their diagonals."""
    out = table[labels][:, labels].clone()
    out.diagonal().copy_(out.topk(2, 1).values[:, 1])
    return out


def merges(features: Tensor) -> list[Merge]:
    """The n - 1 steps of average linkage by Euclidean distance, nearest first: features (n, D). Clusters 0 to n - 1 are
    the rows; step k makes cluster n + k."""
    distances, sizes = torch.cdist(features.double(), features.double()), dict.fromkeys(range(len(features)), 1)
    apart = {(a, b): float(distances[a, b]) for b in sizes for a in range(b)}
    done: list[Merge] = []
    while len(sizes) > 1:
        (a, b), height = min(apart.items(), key=lambda item: item[1])
        new, counts = len(features) + len(done), (sizes.pop(a), sizes.pop(b))
        del apart[a, b]
        for other in sizes:
            both = [apart.pop((min(one, other), max(one, other))) for one in (a, b)]
            apart[other, new] = (both[0] * counts[0] + both[1] * counts[1]) / sum(counts)
        sizes[new] = sum(counts)
        done.append((a, b, height))
    return done


def _region(seen: Seen, number: int) -> Tensor:
    """Its places in the exemplars beside those in the target, each white where there is most of it."""
    maps = [alpha[:, number : number + 1] for alpha in seen.alphas]
    most = torch.stack([m.max() for m in maps]).max().clamp_min(1e-12)
    wanted = seen.beta[:, number : number + 1]
    maps = [*(m / most for m in maps), wanted / wanted.max().clamp_min(1e-12)]
    height = max(m.shape[2] for m in maps)
    padded = [F.pad(m, [0, GAP, 0, height - m.shape[2]], value=0.5) for m in maps]
    return torch.cat(padded, 3)[..., :-GAP].expand(-1, 3, -1, -1).clamp(0, 1)


def _table(table: Tensor, labels: Sequence[int], palette: Tensor) -> Tensor:
    """Colours of the exemplar's labels down, of the target's across; black is 0, white 1."""
    side = (len(labels) + 1) * CELL + GAP
    image = Image.new("RGB", (side, side), WHITE)
    draw = ImageDraw.Draw(image)
    for i, row in enumerate(labels):
        at = (i + 1) * CELL + GAP
        for box in ((0, at), (at, 0)):
            _swatch(draw, box, palette[row])
        for j, column in enumerate(labels):
            grey = round(255 * float(table[row, column]))
            x = (j + 1) * CELL + GAP
            draw.rectangle((x, at, x + CELL - 1, at + CELL - 1), (grey, grey, grey))
    return _tensor(image)


def _tree(steps: Sequence[Merge], colours: Tensor) -> Tensor:
    """Labels down, in the order of the tree; merges to the right, the further the less alike."""
    count = len(colours)
    image = Image.new("RGB", (CELL + 2 * GAP + WIDTH, count * CELL), WHITE)
    draw = ImageDraw.Draw(image)
    places: dict[int, tuple[float, float]] = {}
    for line, leaf in enumerate(_order(steps, count)):
        _swatch(draw, (0, line * CELL), colours[leaf])
        places[leaf] = float(CELL + GAP), (line + 0.5) * CELL
    scale = WIDTH / max(steps[-1][2], 1e-12)
    for number, (a, b, height) in enumerate(steps):
        x = CELL + GAP + height * scale
        (x0, y0), (x1, y1) = places[a], places[b]
        draw.line([(x0, y0), (x, y0), (x, y1), (x1, y1)], INK, 2)
        places[count + number] = x, (y0 + y1) / 2
    return _tensor(image)


def _order(steps: Sequence[Merge], count: int) -> list[int]:
    """The leaves, those of a cluster beside each other."""
    held = {leaf: [leaf] for leaf in range(count)}
    for number, (a, b, _) in enumerate(steps):
        held[count + number] = held.pop(a) + held.pop(b)
    return held[count + len(steps) - 1]


def _swatch(draw: ImageDraw.ImageDraw, at: tuple[int, int], colour: Tensor) -> None:
    red, green, blue = (round(255 * float(value)) for value in colour)
    x, y = at
    draw.rectangle((x, y, x + CELL - 1, y + CELL - 1), (red, green, blue), INK)


def _tensor(image: Image.Image) -> Tensor:
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 255
