"""The attention of MSCA as pictures (masked spatial-channel attention, Zheng et al. 2020, supplement).

They show the regions of exemplar and target at the finest scale; how much of each target label's look comes from each
exemplar label, computed by sending labels in place of features through the unmasked attention; and a tree of the labels
that are used alike (average linkage of the rows of that table).
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

TABLE_LABELS, TREE_LABELS = 20, 25  # the most labels that are drawn
CELL, GAP = 24, 4  # pixels of the drawings
TREE_WIDTH = 400  # pixels
WHITE, INK = (255, 255, 255), (60, 60, 60)
Merge = tuple[int, int, float]  # two clusters and the distance between them


@dataclass(frozen=True)
class AttentionMaps:
    """The attention of the finest scale on whole pictures.

    alphas: of each exemplar (1, K, H, W), adding up to 1 over the positions of all.
    beta: (1, K, h, w), adding up to 1 over the regions.
    labels, target: the labels of each exemplar, and of the target, one-hot.
    shares: (1, J, h, w), the share of each exemplar at every pixel, where that changes from place to place.
    """

    alphas: Sequence[Tensor]
    beta: Tensor
    labels: Sequence[Tensor]
    target: Tensor
    shares: Tensor | None = None


def pictures(maps: AttentionMaps, palette: Tensor) -> dict[str, Tensor]:
    """Pictures (1, 3, H, W) in [0, 1] by name: of each region, its places in the exemplars beside those in the target;
    "transfer", the table, and, of two labels or more, "dendrogram", the tree. palette: (L, 3), the labels' colours."""
    out = {f"region-{number:02d}": _region(maps, number) for number in range(maps.beta.shape[1])}
    table, labels = transfer(maps), frequent(maps)
    out["transfer"] = _table(table, labels[:TABLE_LABELS], palette)
    if len(labels) > 1:
        out["dendrogram"] = _tree(merges(rows(table, labels[:TREE_LABELS])), palette[labels[:TREE_LABELS]])
    return out


def transfer(maps: AttentionMaps) -> Tensor:
    """The share of each target label's look (columns) that comes from each exemplar label (rows): (L, L); a column adds
    up to 1, or is 0 for a label that the target lacks."""
    pooled = [
        (labels.flatten(2) @ alpha.flatten(2).transpose(1, 2)).transpose(1, 2)
        for alpha, labels in zip(maps.alphas, maps.labels, strict=True)
    ]
    if maps.shares is None:
        soft = spread(torch.stack(pooled).sum(0), maps.beta)
    else:
        parts = [maps.shares[:, j : j + 1] * spread(vectors, maps.beta) for j, vectors in enumerate(pooled)]
        soft = torch.stack(parts).sum(0)
    table = soft[0].flatten(1) @ maps.target[0].flatten(1).T
    return table / table.sum(0).clamp_min(1e-12)


def frequent(maps: AttentionMaps) -> list[int]:
    """The labels of exemplars and target, most frequent first."""
    counts = sum(labels.sum((0, 2, 3)) / labels[0, 0].numel() for labels in (*maps.labels, maps.target))
    assert isinstance(counts, Tensor)
    order: list[int] = counts.argsort(descending=True, stable=True).tolist()
    return [label for label in order if float(counts[label]) > 0]


def rows(table: Tensor, labels: Sequence[int]) -> Tensor:
    """The features by which labels are compared, (n, n): their rows of the table, in which the second largest share
    replaces the one that a label keeps for itself, or the diagonal would keep all labels apart."""
    out = table[labels][:, labels].clone()
    out.diagonal().copy_(out.topk(2, 1).values[:, 1])
    return out


def merges(features: Tensor) -> list[Merge]:
    """The n - 1 steps of average linkage of features (n, D) by Euclidean distance, nearest first; clusters 0 to n - 1
    are the rows, and step k makes cluster n + k."""
    features = features.cpu().double()  # read one by one below, and mps has no float64
    distances, sizes = torch.cdist(features, features), dict.fromkeys(range(len(features)), 1)
    apart = {(a, b): float(distances[a, b]) for b in sizes for a in range(b)}
    steps: list[Merge] = []
    while len(sizes) > 1:
        (a, b), height = min(apart.items(), key=lambda item: item[1])
        new, counts = len(features) + len(steps), (sizes.pop(a), sizes.pop(b))
        del apart[a, b]
        for other in sizes:
            both = [apart.pop((min(one, other), max(one, other))) for one in (a, b)]
            apart[other, new] = (both[0] * counts[0] + both[1] * counts[1]) / sum(counts)
        sizes[new] = sum(counts)
        steps.append((a, b, height))
    return steps


def _region(maps: AttentionMaps, number: int) -> Tensor:
    """A region's places in the exemplars beside those in the target, each white where there is most of it."""
    planes = [alpha[:, number : number + 1] for alpha in maps.alphas]
    most = torch.stack([plane.max() for plane in planes]).max().clamp_min(1e-12)
    wanted = maps.beta[:, number : number + 1]
    planes = [*(plane / most for plane in planes), wanted / wanted.max().clamp_min(1e-12)]
    height = max(plane.shape[2] for plane in planes)
    padded = [F.pad(plane, [0, GAP, 0, height - plane.shape[2]], value=0.5) for plane in planes]
    return torch.cat(padded, 3)[..., :-GAP].expand(-1, 3, -1, -1).clamp(0, 1)


def _table(table: Tensor, labels: Sequence[int], palette: Tensor) -> Tensor:
    """The table with the colours of the exemplar's labels down, of the target's across; black is 0, white 1."""
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
    """The tree with labels down, in its order, and merges to the right, the further the less alike."""
    count = len(colours)
    image = Image.new("RGB", (CELL + 2 * GAP + TREE_WIDTH, count * CELL), WHITE)
    draw = ImageDraw.Draw(image)
    # Order the leaves, those of a cluster beside each other.
    clusters = {leaf: [leaf] for leaf in range(count)}
    for number, (a, b, _) in enumerate(steps):
        clusters[count + number] = clusters.pop(a) + clusters.pop(b)
    # Draw the leaves, and then the merges.
    places: dict[int, tuple[float, float]] = {}
    for line, leaf in enumerate(clusters[count + len(steps) - 1]):
        _swatch(draw, (0, line * CELL), colours[leaf])
        places[leaf] = float(CELL + GAP), (line + 0.5) * CELL
    scale = TREE_WIDTH / max(steps[-1][2], 1e-12)
    for number, (a, b, height) in enumerate(steps):
        x = CELL + GAP + height * scale
        (x0, y0), (x1, y1) = places[a], places[b]
        draw.line([(x0, y0), (x, y0), (x, y1), (x1, y1)], INK, 2)
        places[count + number] = x, (y0 + y1) / 2
    return _tensor(image)


def _swatch(draw: ImageDraw.ImageDraw, at: tuple[int, int], colour: Tensor) -> None:
    """Draw a cell of a colour, with a border."""
    red, green, blue = (round(255 * float(value)) for value in colour)
    x, y = at
    draw.rectangle((x, y, x + CELL - 1, y + CELL - 1), (red, green, blue), INK)


def _tensor(image: Image.Image) -> Tensor:
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 255
