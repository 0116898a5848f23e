"""Loose pieces dropped onto a ground: a depth buffer that remembers which piece is seen where."""

import numpy as np

from fields import APRON, OVER, N, X, Y


class Heap:
    """Height, owner (-1 is ground), and place within the owner (u along it, v across, about -1..1)."""

    def __init__(self, ground):
        self.height = ground.copy()
        self.owner = np.full(ground.shape, -1)
        self.u = np.zeros_like(ground)
        self.v = np.zeros_like(ground)

    def window(self, x, y, reach):
        """The part of the grid within `reach` of a position: its slices, and offsets from the position."""
        where = tuple(
            slice(*(int(np.clip((c + side * reach + APRON) * OVER, 0, N)) for side in (-1, 1))) for c in (y, x)
        )
        return where, X[where] - x, Y[where] - y

    def drop(self, owner, x, y, radius, angle, shape, aspect=1.0):
        """Stamp one piece; `shape(u, v)` is its height in pixels, -inf outside it."""
        where, dx, dy = self.window(x, y, radius * 1.5)
        c, s = np.cos(angle), np.sin(angle)
        u, v = (c * dx + s * dy) / radius, (c * dy - s * dx) / (radius * aspect)
        top = shape(u, v)
        shown = top > self.height[where]
        for layer, value in ((self.height, top), (self.owner, owner), (self.u, u), (self.v, v)):
            layer[where][shown] = value[shown] if np.ndim(value) else value


def blob(rng, height, base, power=2.4, ragged=0.1, lean=0.15):
    """A rounded stone: a superellipse with a wavering outline, its top leaning to one side."""
    waves = rng.normal(0, ragged, 4) / (1.0, 1.5, 2.2, 3.0)
    phase = rng.uniform(0, 2 * np.pi, 4)
    tilt = rng.normal(0, lean, 2)

    def shape(u, v):
        angle = np.arctan2(v, u)
        outline = 1.0 + sum(waves[k] * np.cos((k + 2) * angle + phase[k]) for k in range(4))
        r = np.hypot(u, v) / outline
        dome = (1.0 - np.minimum(r, 1.0) ** power) ** (1.0 / power)
        return np.where(r < 1.0, base + height * dome * (1.0 + tilt[0] * u + tilt[1] * v), -np.inf)

    return shape


def shard(rng, height, base, sides=6, bevel=0.3):
    """A broken stone: a random convex outline cut by flat facets."""
    turns = np.sort(rng.uniform(0, 2 * np.pi / sides, sides) + np.arange(sides) * 2 * np.pi / sides)
    reach = rng.uniform(0.6, 1.0, sides)
    steep = rng.uniform(0.5, 1.5, sides) / bevel
    tilt = rng.normal(0, 0.25, 2)

    def shape(u, v):
        inside = np.full(np.broadcast_shapes(u.shape, v.shape), np.inf)
        slope = np.ones_like(inside)
        for turn, r, k in zip(turns, reach, steep, strict=True):
            edge = r - (np.cos(turn) * u + np.sin(turn) * v)
            inside = np.minimum(inside, edge)
            slope = np.minimum(slope, 0.25 + edge * k)
        return np.where(inside > 0, base + height * slope * (1.0 + tilt[0] * u + tilt[1] * v), -np.inf)

    return shape
