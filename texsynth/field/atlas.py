"""The atlas of source pixels, and fields of pointers into it.

The planes (field/planes.py) are padded by reflection: the padding completes windows at the border, but is never copied.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import count

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.field.geometry import cubic, rotated
from texsynth.field.planes import COPIES, Coordinates, Copying, Planes, reflected
from texsynth.native.sums import running
from texsynth.pyramid import halved
from texsynth.task import Task

COPY_SETS: dict[str, tuple[str, ...]] = {
    "none": ("none",),
    "flips": ("none", "flip-x", "flip-y", "rotate-180"),
    "rotations": ("none", "rotate-90", "rotate-180", "rotate-270"),
    "all": tuple(COPIES),
}
LONG = 4  # times as long as wide: from there on the area of an exemplar says more than its sides
PLACES_READ_AT_ONCE = 1 << 16  # places between pixels: bounds the memory
MIDDLE = 0.5  # of the range of colours, which is 0 where maps are compared beside them


@dataclass(frozen=True)
class Atlas(Planes):
    """All planes with their pixels.

    colours: (N, 3) in [0, 1].
    valid: (N,) bool, the pixels that may be copied.
    home: (N,) int64, the pixel of the exemplars, in reading order, that each one is a copy of; -1 in the padding.
    compared: (N, 3 + K), the colours, less MIDDLE where maps are compared with them, and the K channels of these, as
        their copies turn them; the colours themselves where there are none.
    vectors: of how many pairs of the channels after the colours each is a vector (x, y), y down.
    """

    colours: Tensor
    valid: Tensor
    home: Tensor
    compared: Tensor
    vectors: int = 0

    @property
    def elongation(self) -> float:
        """How many times as long as wide the largest exemplar is."""
        size = max(self.exemplars, key=max)
        return max(size) / min(size)

    @property
    def is_long(self) -> bool:
        """Is the largest exemplar so long that work that goes by its sides would be far above its area?"""
        return self.elongation > LONG

    @property
    def deviation(self) -> Tensor:
        """The standard deviation of what is compared of pixels that may be copied, over all channels together: a scalar
        above 0."""
        return self.compared[self.valid].var(0, unbiased=False).sum().sqrt() + 1e-6

    @property
    def colours_alone(self) -> Atlas:
        """The same, with nothing compared but the colours."""
        return self if self.compared is self.colours else replace(self, compared=self.colours, vectors=0)

    @property
    def device(self) -> torch.device:
        return self.home.device

    def home_of(self, index: Tensor) -> Tensor:
        return self.home[index]

    def picture(self, values: Tensor) -> Tensor:
        """A table (N, C) as pictures of the padded planes, (planes, C, rows, row)."""
        return values.view(self.planes, self.rows, self.row, -1).permute(0, 3, 1, 2)


@dataclass(frozen=True)
class Field:
    """For every output pixel the source pixel that it is copied from.

    index: (h, w) int64, pixels of the atlas.
    cost: (h, w), the squared distance of windows, relative to the variance of the exemplars' windows.
    tile: whether the output wraps in (y, x).
    place: (h, w, 2), of freely turned copies the exact (y, x) in the plane, of which `index` is the nearest pixel.
    angle: (h, w), by how many radians clockwise on screen such copies are turned.
    """

    index: Tensor
    cost: Tensor
    atlas: Atlas
    tile: tuple[bool, bool]
    place: Tensor | None = None
    angle: Tensor | None = None

    @property
    def size(self) -> tuple[int, int]:
        return self.index.shape[0], self.index.shape[1]

    @property
    def copies(self) -> tuple[str, ...]:
        return self.atlas.copies

    def part(self, top: int, bottom: int) -> Field:
        """The rows from `top` to `bottom`."""
        place, angle = (None if each is None else each[top:bottom] for each in (self.place, self.angle))
        return replace(self, index=self.index[top:bottom], cost=self.cost[top:bottom], place=place, angle=angle)

    def image(self) -> Tensor:
        """The picture that this field copies together, (1, 3, h, w)."""
        return self.read(self.atlas.colours)

    def read(self, table: Tensor) -> Tensor:
        """What the field copies from a table of source pixels, (N, C) -> (1, C, h, w)."""
        values = table[self.index] if self.place is None else read_between(self.atlas, self.index, self.place, table)
        return values.permute(2, 0, 1).unsqueeze(0).contiguous()


def turn(image: Tensor, copy: str) -> Tensor:
    """One copy of a picture (..., H, W), flipped and rotated without resampling."""
    turns, mirrored = COPIES[copy]
    image = image.flip(-1) if mirrored else image
    return torch.rot90(image, turns, (-2, -1)) if turns else image  # which would copy a picture that is not turned


def turn_guide(values: Tensor, copy: str, distance: str) -> Tensor:
    """One copy of a guide (1, C, H, W); directions, vectors (x, y) with y down, turn with it."""
    moved = turn(values, copy)
    if distance != "direction":
        return moved
    turns, mirrored = COPIES[copy]
    x, y = moved[:, :1], moved[:, 1:]
    if mirrored:
        x = -x
    for _ in range(turns):  # counter-clockwise on screen, y down: (x, y) -> (y, -x)
        x, y = y, -x
    return torch.cat([x, y], 1)


def build_atlas(task: Task, copies: Sequence[str], margin: int) -> Atlas:
    """The atlas of every copy of every exemplar of `task`, with `margin` pixels of reflected padding."""
    planes, homes = [], 0
    for exemplar in task.exemplars:
        h, w = exemplar.size
        home = torch.arange(homes, homes + h * w, device=task.device).view(1, 1, h, w)
        homes += h * w
        valid = torch.ones_like(home, dtype=torch.bool) if exemplar.valid is None else exemplar.valid
        planes += [(turn(exemplar.image, c), turn(valid.to(task.device), c), turn(home, c)) for c in copies]
    rows = max(image.shape[2] for image, _, _ in planes) + 2 * margin
    row = max(image.shape[3] for image, _, _ in planes) + 2 * margin
    colours = torch.cat([_lay(_reflect(i.to(task.device), margin), rows, row, 0.0) for i, _, _ in planes])
    valid = torch.cat([_lay(F.pad(v, (margin,) * 4), rows, row, False) for _, v, _ in planes])
    home = torch.cat([_lay(F.pad(h, (margin,) * 4, value=-1), rows, row, -1) for _, _, h in planes])
    table = colours.permute(0, 2, 3, 1).reshape(-1, 3).contiguous()
    shapes = tuple((i.shape[2], i.shape[3]) for i, _, _ in planes)
    exemplars = tuple(e.size for e in task.exemplars)
    atlas = Atlas(tuple(copies), shapes, exemplars, rows, row, margin, table, valid.flatten(), home.flatten(), table)
    further = [exemplar.further for exemplar in task.exemplars if exemplar.further is not None]
    if not further:
        return atlas
    vectors = task.exemplars[0].vectors
    compared = torch.cat([table - MIDDLE, spread_further(further, atlas, vectors)], 1)
    return replace(atlas, compared=compared, vectors=vectors)


def with_copies_in_use(field: Field, task: Task) -> Field:
    """The field without the copies that it does not use; the pictures as they are stay."""
    plane, y, x = field.atlas.split(field.index)
    count = len(field.copies)
    used = sorted({0, *(plane % count).unique().tolist()})
    atlas = build_atlas(task, [field.copies[n] for n in used], field.atlas.margin)
    place = torch.zeros(count, dtype=torch.long, device=plane.device)
    place[used] = torch.arange(len(used), device=plane.device)
    index = atlas.join(plane // count * len(used) + place[plane % count], y, x)
    return replace(field, index=index, atlas=atlas)


def spread(layers: Sequence[Tensor], atlas: Planes, distance: str = "l2") -> Tensor:
    """Layers of the exemplars, each (1, C, H, W), as a table of source pixels (N, C), continued by reflection. The
    vectors of a guide whose `distance` is "direction" turn with their copies."""
    copies = [turn_guide(layer.to(atlas.device), c, distance) for layer in layers for c in atlas.copies]
    planes = torch.cat([_lay(_reflect(copy, atlas.margin), atlas.rows, atlas.row, 0.0) for copy in copies])
    return planes.permute(0, 2, 3, 1).reshape(atlas.pixels, -1).contiguous()


def spread_further(layers: Sequence[Tensor], atlas: Planes, vectors: int) -> Tensor:
    """Layers as in `spread`, of whose channels so many first pairs are vectors that turn with their copies."""
    pairs = [spread([layer[:, 2 * n : 2 * n + 2] for layer in layers], atlas, "direction") for n in range(vectors)]
    return torch.cat([*pairs, spread([layer[:, 2 * vectors :] for layer in layers], atlas)], 1)


def _reflect(image: Tensor, margin: int) -> Tensor:
    """Mirror padding of any width, also for pictures smaller than the margin."""
    for dim in (-2, -1):
        image = image.index_select(dim, reflected(image.shape[dim], margin).to(image.device))
    return image


def _lay(plane: Tensor, rows: int, row: int, fill: float) -> Tensor:
    """A plane (1, C, H, W) in the upper left corner of (1, C, rows, row)."""
    return F.pad(plane, (0, row - plane.shape[3], 0, rows - plane.shape[2]), value=fill)


def read_between(atlas: Atlas, index: Tensor, place: Tensor, table: Tensor) -> Tensor:
    """Values (h, w, C) of a table (N, C) between source pixels, at `place` (h, w, 2) near the pixels `index` (h, w);
    those of these pixels where some around may not be copied."""
    values = table[index]
    origin = atlas.join(atlas.split(index)[0], *torch.zeros_like(index)[None].expand(2, -1, -1))
    first = origin + place[..., 0].floor().long() * atlas.row + place[..., 1].floor().long()
    part = place - place.floor()
    chunks = zip(first.flatten().split(PLACES_READ_AT_ONCE), part.flatten(0, 1).split(PLACES_READ_AT_ONCE), strict=True)
    mixed = torch.cat([cubic(table, atlas.row, f, p) for f, p in chunks]).view_as(values)
    holes = ~atlas.valid & (atlas.home >= 0)
    if not holes.any():
        return mixed
    near = F.max_pool2d(F.pad(atlas.picture(holes[:, None].float()), (1, 2, 1, 2)), 4, stride=1)
    return torch.where(near.flatten()[first][..., None] > 0, values, mixed)


def settle(atlas: Atlas, plane: Tensor, place: Tensor) -> tuple[Tensor, Tensor]:
    """The pixels (...) nearest to places (..., 2) in planes (...), and the places themselves; both are moved to a pixel
    that may be copied where the nearest one may not."""
    y, x = place.round().long().unbind(-1)
    index = atlas.join(plane, y, x)
    if not atlas.valid[index].all():
        index = _snap(atlas, plane, y, x, index)
    settled_plane, *pixel = atlas.split(index)
    exact = torch.stack(pixel, -1)
    limit = torch.tensor(atlas.shapes, device=plane.device)[settled_plane] - 1
    clipped = torch.minimum(place.clamp(min=0), limit)
    near = ((clipped - exact).abs().amax(-1) <= 0.5) & (settled_plane == plane)
    return index, torch.where(near[..., None], clipped, exact)


def _snap(atlas: Atlas, plane: Tensor, y: Tensor, x: Tensor, index: Tensor) -> Tensor:
    """Pointers (...) at (plane, y, x), those that may not be copied replaced: by a pixel of the same coarse pixel, or
    else by any pixel that may be copied."""
    for dy, dx in ((0, 1), (1, 0), (1, 1)):
        sibling = atlas.join(plane, y ^ dy, x ^ dx)
        index = torch.where(~atlas.valid[index] & atlas.valid[sibling], sibling, index)
    usable = atlas.valid.nonzero()[:, 0]
    return torch.where(atlas.valid[index], index, usable[index % len(usable)])


def double(field: Field, atlas: Atlas, size: tuple[int, int]) -> Field:
    """The field one level finer, of `size`, into the `atlas` of that level: each pixel takes twice its parent's
    coordinate plus its own parity, which turns with the copy."""
    rows, cols = (torch.arange(n, device=field.index.device) for n in size)
    plane, y, x = field.atlas.split(field.index[rows // 2][:, cols // 2])
    cost = field.cost[rows // 2][:, cols // 2]
    if field.place is None or field.angle is None:
        ys, xs = 2 * y + (rows % 2)[:, None], 2 * x + (cols % 2)[None, :]
        index = atlas.join(plane, ys, xs)
        if not atlas.valid[index].all():
            index = _snap(atlas, plane, ys, xs, index)
        return Field(index, cost, atlas, field.tile)
    place, angle = (t[rows // 2][:, cols // 2] for t in (field.place, field.angle))
    off = torch.stack(torch.meshgrid(rows % 2 - 0.5, cols % 2 - 0.5, indexing="ij"), -1)
    index, place = settle(atlas, plane, 2 * place + 0.5 + rotated(-angle, off))
    return Field(index, cost, atlas, field.tile, place, angle)


def enlarge(field: Field, task: Task) -> Field:
    """A coarse field raised to the full size of `task` by doubling: what a run that was stopped early leaves."""
    reached = next(n for n in count() if (halved(task.size[0], n), halved(task.size[1], n)) == field.size)
    for level in reversed(range(reached)):
        finer = task.at(level)
        field = double(field, build_atlas(finer, field.copies, field.atlas.margin), finer.size)
    return field


def coordinates(field: Copying) -> Coordinates:
    """Where each output pixel comes from, in pixels of the exemplars as they were read; on the CPU."""
    at = field.atlas.origins(field.index)
    return Coordinates(at.exemplar.cpu(), at.copy.cpu(), at.y.cpu(), at.x.cpu())


def count_copies(atlas: Atlas, index: Tensor) -> Tensor:
    """How often each pixel of the exemplars is copied by `index`, (homes,) int64."""
    return torch.bincount(atlas.home[index.flatten()], minlength=atlas.homes)


def usage(atlas: Atlas, index: Tensor) -> Tensor:
    """How often each pixel of the exemplars is used by `index`, relative to even use: (homes,), mean about 1."""
    return usage_of(atlas, count_copies(atlas, index))


def usage_of(atlas: Atlas, copies: Tensor) -> Tensor:
    """The same by the counts of `count_copies`, (homes,)."""
    usable = torch.zeros(atlas.homes, device=copies.device)
    usable[atlas.home[atlas.valid]] = 1
    return copies.float() * (usable.sum() / copies.sum())


def blur_homes(atlas: Atlas, values: Tensor, size: int) -> Tensor:
    """Means over size x size windows, cut off at the borders, of values per exemplar pixel, (homes,) -> (homes,)."""
    parts = values.split([h * w for h, w in atlas.exemplars])
    pictures = (part.view(shape) for part, shape in zip(parts, atlas.exemplars, strict=True))
    return torch.cat([_box(_box(picture, size).T, size).T.flatten() for picture in pictures])


def _box(rows: Tensor, size: int) -> Tensor:
    """The running mean along the rows of (n, w), by differences of sums: its cost does not grow with the size."""
    w, half = rows.shape[1], size // 2
    total = F.pad(running(rows), (1, 0))
    at = torch.arange(w, device=rows.device)
    low, high = (at - half).clamp(min=0), (at + half + 1).clamp(max=w)
    return (total[:, high] - total[:, low]) / (high - low)
