"""The lattice of a near-regular texture: the two shortest shifts that map it onto itself, read from its autocorrelation
(what Hays et al. 2006, "Discovering texture regularity as a higher-order correspondence problem", look for)."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.field.atlas import Atlas
from texsynth.field.quilt import Steer
from texsynth.pyramid import shrink
from texsynth.task import Period

SHORTEST_PERIOD = 0.03  # of the shorter side: below this a "period" is grain, not structure
LONGEST_PERIOD = 0.5  # of each side: a picture must hold a period at least twice
SMALLEST_OVERLAP = 0.02  # of the pixels, at a shift: where less overlaps, the shift counts for less
LOWEST_PEAK = 0.1  # autocorrelation of a shift that counts as a peak
STRONG_PEAK = 0.8  # of the highest peak: of the peaks above, the shortest shift is taken
SMALLEST_SINE = 0.4  # of the angle between the two vectors
FREE_OFFSET = 0.35  # pixels that a piece in a hole may be out of step
MOST_MULTIPLES = 4  # of each vector that together make a step along an axis
LARGEST_SLANT = 0.03  # of its length, by which such a step may miss the axis
LARGEST_MISFIT = 0.02  # of a step, by which a side may miss whole steps and still wrap well
LAST_MULTIPLE = 8  # of a vector, along which its peak is followed to a fraction of a pixel
PHASES = 16  # phases a side of a cell among which the balanced one is chosen
REGULAR = 0.25  # the autocorrelation from which on a texture is regular
REGULAR_SIDE = 256  # the shorter side, at most, of the picture in which the lattice of a regular one is looked for
CANVAS_SAMPLES = 96  # places a side of the canvas at which a phase is judged


@dataclass(frozen=True)
class Lattice:
    """The two shifts of a texture, and how well they fit.

    vectors: (2, 2), rows (y, x) in pixels.
    height, first: the autocorrelation, in [-1, 1], at the weaker of their peaks and at that of the first.
    drift: (H, W, 2), how far each pixel of a bent exemplar lies from its place in the lattice (field/bend.py); None
        where it is rigid.
    """

    vectors: Tensor
    height: float
    first: float = 0.0
    drift: Tensor | None = None

    def times(self, factor: float) -> Lattice:
        """The lattice, which is not bent, of the same texture in a picture so many times as fine."""
        return replace(self, vectors=self.vectors * factor)

    def describe(self, factor: int) -> str:
        """The lattice in words, in pixels `factor` times finer."""
        a, b = ((round(float(x), 1), round(float(y), 1)) for y, x in self.vectors * factor)
        drift = 0.0 if self.drift is None else factor * float(self.drift.norm(dim=-1).max())
        bent = f", bent by up to {drift:.1f} pixels" if drift else ""
        return f"steps (x, y) of {a} and {b} pixels, autocorrelation {self.height:.2f}{bent}"

    def bent(self, size: tuple[float, float], tile: tuple[bool, bool]) -> Tensor:
        """The vectors stretched so that a canvas of `size` holds a whole number of cells where it wraps, (2, 2)."""
        axes = torch.diag(torch.tensor([float(size[0]), float(size[1])]))
        cells = axes @ torch.linalg.inv(self.vectors)  # the canvas's sides in lattice units
        whole = torch.where(torch.tensor(tile)[:, None], cells.round(), cells)
        if abs(float(torch.linalg.det(whole))) < 0.5:  # the canvas holds less than a cell: nothing to bend to
            return self.vectors
        bent: Tensor = torch.linalg.inv(whole) @ axes
        return bent


@dataclass(frozen=True)
class InStep:
    """How strictly a canvas keeps the step of a lattice.

    price: of a source pixel that is out of step by a tenth of a cell or more, in variances of the exemplar.
    anchored: every source pixel is in step with its own place, as in a picture with a hole.
    stripes: only steps along the first vector count.
    """

    price: float
    anchored: bool = False
    stripes: bool = False


def find(image: Tensor, valid: Tensor | None = None) -> Lattice | None:
    """The lattice of (1, 3, H, W), or of what is `valid` in it, or None when no two independent peaks stand out."""
    correlation = autocorrelation(image, valid)
    peaks = _peaks(correlation)
    first = _shortest(peaks)
    if first is None:
        return None
    v = first[1:]
    sine = (peaks[:, 1] * v[1] - peaks[:, 2] * v[0]).abs() / (peaks[:, 1:].norm(dim=1) * v.norm())
    second = _shortest(peaks[sine > SMALLEST_SINE])
    if second is None:
        return None
    vectors = torch.stack([_sharpen(correlation, peak[1:]) for peak in (first, second)])
    return Lattice(vectors, float(min(first[0], second[0])), float(first[0]))


def regular(image: Tensor) -> Lattice | None:
    """The lattice of a regular texture (1, 3, h, w), in its pixels; None for others."""
    level = max(0, math.ceil(math.log2(min(image.shape[2:]) / REGULAR_SIDE)))
    coarse = find(shrink(image, level))
    return None if coarse is None or coarse.height < REGULAR else coarse.times(2**level)


def steer(
    lattice: Lattice, image: Tensor, atlas: Atlas, size: tuple[float, float], tile: tuple[bool, bool], step: InStep
) -> Steer:
    """The price of copying a source pixel of `image` to a place of the canvas that is out of step with it: quadratic in
    the distance to the nearest place in step, and full at a tenth of a cell."""
    device, bent = atlas.home.device, lattice.bent(size, tile)
    phase = (torch.zeros(2) if step.anchored else balance(image, lattice, bent, size)).to(device)
    vectors = lattice.vectors.to(device)
    source, canvas = torch.linalg.inv(vectors), torch.linalg.inv(bent).to(device)
    drift = None if lattice.drift is None else lattice.drift.to(device)
    tolerance = 0.1 * vectors.norm(dim=1).min()

    def charge(index: Tensor, y: Tensor, x: Tensor) -> Tensor:
        _, sy, sx = atlas.split(index)
        if step.stripes:
            steps = torch.stack([sy - y, sx - x], -1).float() @ vectors[0] / vectors[0].square().sum()
            off = (steps - steps.round()).abs() * vectors[0].norm()
        else:
            place = torch.stack([sy, sx], -1).float() + (0 if drift is None else drift[sy, sx])
            cells = place @ source - torch.stack([y, x], -1).float() @ canvas - phase
            off = ((cells - cells.round()) @ vectors).norm(dim=-1)
        if step.anchored:  # what lies around a piece tells its place better than this
            off = (off - FREE_OFFSET).clamp(min=0)
        charged: Tensor = step.price * (off / tolerance).square().clamp(max=1)
        return charged

    return charge


def steer_parts(lattice: Lattice, image: Tensor, atlas: Atlas, period: Period, price: float) -> Steer:
    """As `steer`, where parts of a plane of this period lie on a canvas, which is the first exemplar; `image` is the
    second. Parts of the canvas may be copied as well, and are in step with the plane."""
    device, bent = atlas.home.device, lattice.bent(period.size, (True, True))
    assert period.shift is not None
    shift, vectors = period.shift[0].movedim(0, -1).to(device), lattice.vectors.to(device)
    source, canvas = torch.linalg.inv(vectors), torch.linalg.inv(bent).to(device)
    phase = balance(image, lattice, bent, period.size).to(device)
    drift = torch.zeros(1, 1, 2) if lattice.drift is None else lattice.drift
    drift, tolerance = drift.to(device), 0.1 * vectors.norm(dim=1).min()

    def at(table: Tensor, y: Tensor, x: Tensor) -> Tensor:
        return torch.stack([y, x], -1) + table[y.clamp(max=table.shape[0] - 1), x.clamp(max=table.shape[1] - 1)]

    def charge(index: Tensor, y: Tensor, x: Tensor) -> Tensor:
        plane, sy, sx = atlas.split(index)
        of_canvas = plane[..., None] == 0
        cells = torch.where(of_canvas, at(shift, sy, sx) @ canvas, at(drift, sy, sx) @ source - phase)
        cells = cells - at(shift, y, x) @ canvas
        off = (((cells - cells.round()) @ vectors).norm(dim=-1) - FREE_OFFSET).clamp(min=0)
        charged: Tensor = price * (off / tolerance).square().clamp(max=1)
        return charged

    return charge


def bending(lattice: Lattice, size: tuple[float, float], tile: tuple[bool, bool]) -> str | None:
    """In words, how a tiling canvas stretches the lattice; None when it need not."""
    change = torch.linalg.inv(lattice.vectors) @ lattice.bent(size, tile) - torch.eye(2)
    percent = 100 * float(change.abs().max())
    return f"bent by up to {percent:.1f}% so that whole cells fit" if percent > 0.05 else None


def steps(lattice: Lattice) -> tuple[float | None, float | None]:
    """The shortest steps (down, along), in pixels, that map the texture onto itself; None along an axis without one."""
    counts = torch.arange(-MOST_MULTIPLES, MOST_MULTIPLES + 1.0)
    moves = torch.cartesian_prod(counts, counts) @ lattice.vectors  # (n, 2)
    length = moves.norm(dim=1)
    shortest = []
    for axis in (0, 1):
        straight = moves[(length > 0) & (moves[:, 1 - axis].abs() <= LARGEST_SLANT * length), axis].abs()
        shortest.append(float(straight.min()) if len(straight) else None)
    return shortest[0], shortest[1]


def whole(lattice: Lattice, size: tuple[int, int], tile: tuple[bool, bool]) -> tuple[int, int] | None:
    """The largest (height, width) within `size` that holds whole steps along every axis that wraps; None where `size`
    does already, or the lattice has no step along such an axis."""
    sides, fits = list(size), True
    for axis, (side, step, wraps) in enumerate(zip(size, steps(lattice), tile, strict=True)):
        if not wraps:
            continue
        if step is None or step > side:
            return None
        fits &= abs(side / step - round(side / step)) <= LARGEST_MISFIT
        sides[axis] = min(side, round(math.floor(side / step + LARGEST_MISFIT) * step))
    return None if fits else (sides[0], sides[1])


def autocorrelation(image: Tensor, valid: Tensor | None = None) -> Tensor:
    """The normalised autocorrelation of (1, 3, H, W), or of what is `valid` in it, over shifts up to half of each side,
    (H/2 * 2 + 1, W/2 * 2 + 1); 1 in the middle."""
    h, w = image.shape[2:]
    mask = torch.ones(1, h, w) if valid is None else valid[0].to(image)
    centred = (image[0] - (image[0] * mask).sum((1, 2), keepdim=True) / mask.sum()) * mask
    spectra = (torch.fft.rfft2(layers, s=(2 * h, 2 * w)) for layers in (centred, mask))
    raw, count = (torch.fft.irfft2((each * each.conj()).sum(0), s=(2 * h, 2 * w)) for each in spectra)
    shifts = torch.fft.fftshift(raw / count.clamp(min=max(1.0, SMALLEST_OVERLAP * float(mask.sum()))))
    ry, rx = int(h * LONGEST_PERIOD), int(w * LONGEST_PERIOD)
    part = shifts[h - ry : h + ry + 1, w - rx : w + rx + 1]
    normalised: Tensor = part / part[ry, rx].clamp(min=1e-9)
    return normalised


def _peaks(correlation: Tensor) -> Tensor:
    """The local maxima of one half plane of shifts, (n, 3): height, dy, dx."""
    ry, rx = correlation.shape[0] // 2, correlation.shape[1] // 2
    near = max(3, int(2 * SHORTEST_PERIOD * min(correlation.shape)) | 1)
    top = F.max_pool2d(correlation[None, None], near, stride=1, padding=near // 2)[0, 0]
    y, x = (correlation == top).nonzero(as_tuple=True)
    height, dy, dx = correlation[y, x], y - ry, x - rx
    far = dy**2 + dx**2 >= max(3.0, 2 * SHORTEST_PERIOD * min(correlation.shape)) ** 2
    inside, half = (dy.abs() < ry) & (dx.abs() < rx), (dy > 0) | ((dy == 0) & (dx > 0))
    return torch.stack([height, dy.float(), dx.float()], 1)[far & inside & half & (height > LOWEST_PEAK)]


def _shortest(peaks: Tensor) -> Tensor | None:
    """The strong peak (3,) of the shortest shift; None without peaks."""
    if len(peaks) == 0:
        return None
    strong = peaks[peaks[:, 0] >= STRONG_PEAK * peaks[:, 0].max()]
    return strong[strong[:, 1:].norm(dim=1).argmin()]


def _sharpen(correlation: Tensor, vector: Tensor) -> Tensor:
    """The shift `vector` (2,) to a fraction of a pixel: the peaks of its multiples tell an error so many times over."""
    ry, rx = correlation.shape[0] // 2, correlation.shape[1] // 2
    for k in range(1, LAST_MULTIPLE + 1):
        at = (vector * k).round().long()
        if at[0].abs() > ry - 3 or at[1].abs() > rx - 3:
            break
        y, x = int(at[0]) + ry, int(at[1]) + rx
        patch = correlation[y - 2 : y + 3, x - 2 : x + 3]
        dy, dx = divmod(int(patch.argmax()), 5)
        if not (0 < dy < 4 and 0 < dx < 4):
            break
        sy, sx = _vertex(patch[dy - 1 : dy + 2, dx]), _vertex(patch[dy, dx - 1 : dx + 2])
        vector = torch.tensor([y - ry + dy - 2 + sy, x - rx + dx - 2 + sx]) / k
    return vector


def _vertex(three: Tensor) -> float:
    """Where the parabola through three samples has its top, in [-0.5, 0.5]."""
    a, b, c = (float(t) for t in three)
    bend = a - 2 * b + c
    return 0.0 if bend >= 0 else max(-0.5, min(0.5, 0.5 * (a - c) / bend))


def balance(image: Tensor, lattice: Lattice, bent: Tensor, size: tuple[float, float]) -> Tensor:
    """The phase (2,) in cells at which a canvas of `size` with the vectors `bent` comes closest to the mean colour of
    (1, 3, H, W): of a canvas that holds six and a half rows, which half row it is."""
    h, w = image.shape[2:]
    drift = 0 if lattice.drift is None else lattice.drift.flatten(0, 1)
    cells = _phase((_positions((h, w), (h, w)) + drift) @ torch.linalg.inv(lattice.vectors))
    total = torch.zeros(PHASES * PHASES, 3).index_add_(0, cells, image[0].flatten(1).T)
    count = torch.bincount(cells, minlength=PHASES * PHASES)[:, None]
    mean = image.mean((2, 3))
    colours = torch.where(count > 0, total / count.clamp(min=1), mean)
    canvas = _positions(size, (CANVAS_SAMPLES, CANVAS_SAMPLES)) @ torch.linalg.inv(bent)
    phases = _positions((PHASES, PHASES), (PHASES, PHASES)) / PHASES
    off = torch.stack([(colours[_phase(canvas + phase)].mean(0) - mean[0]).norm() for phase in phases])
    return phases[off.argmin()]


def _positions(size: tuple[float, float], most: tuple[int, int]) -> Tensor:
    """Up to `most` evenly spread pixel positions of a picture of `size`, (n, 2) float (y, x)."""
    return torch.cartesian_prod(*(torch.linspace(0, s - 1, int(min(s, m))) for s, m in zip(size, most, strict=True)))


def _phase(cells: Tensor) -> Tensor:
    """Lattice coordinates (n, 2) -> the bin (n,) of their fractional part, of PHASES x PHASES."""
    bins = ((cells - cells.floor()) * PHASES).long().clamp(max=PHASES - 1)
    return bins[:, 0] * PHASES + bins[:, 1]
