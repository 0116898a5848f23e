"""A relief under distant lamps, as photographs show it: matt colours, a highlight lobe, attached and cast shadows."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

Array = np.ndarray


@dataclass(frozen=True)
class Scene:
    """A surface that repeats: heights (H, W) in pixels, unit normals and colours in linear light (H, W, 3)."""

    height: Array
    normals: Array
    colours: Array

    def photograph(self, lamp: Array, shine: float = 0.3, noise: float = 0.003) -> Array:
        """Samples of 8 bits, sRGB, under a lamp in a direction (3,), x right, y up, z to the viewer."""
        halfway = lamp + np.array([0, 0, 1])
        facing = self.normals @ lamp
        lobe = shine * (self.normals @ (halfway / np.linalg.norm(halfway))).clip(0) ** 60 * (facing > 0)
        light = (self.colours * facing.clip(0)[..., None] + lobe[..., None]) * self._lit(lamp)[..., None]
        light += noise * np.random.default_rng(round(1000 * abs(lamp[0]))).standard_normal(light.shape)
        light = light.clip(0, 1)
        coded = np.where(light <= 0.0031308, light * 12.92, 1.055 * light.clip(1e-6) ** (1 / 2.4) - 0.055)
        return np.rint(255 * coded).astype(np.uint8)

    def _lit(self, lamp: Array) -> Array:
        """Where no higher place stands between a point and the lamp, (H, W)."""
        side = len(self.height)
        rise = lamp[2] / math.hypot(lamp[0], lamp[1])
        lit = np.ones_like(self.height, dtype=bool)
        for step in range(1, side // 2):
            right, up = (round(step * part / math.hypot(lamp[0], lamp[1])) for part in lamp[:2])
            there = np.roll(self.height, (up, -right), (0, 1))
            lit &= there <= self.height + rise * math.hypot(right, up) + 1e-3
        return lit


def scene(side: int = 72, relief: float = 7.0) -> Scene:
    """Waves with square plates on them, in a mosaic of colours."""
    y, x = np.mgrid[:side, :side]
    t = 2 * math.pi / side
    waves = np.sin(2 * t * x + t * y) + 0.7 * np.cos(3 * t * x - 2 * t * y + 1) + 0.6 * np.sin(4 * t * y + 2 * t * x)
    height = (waves - waves.min()) / (waves.max() - waves.min()) * relief
    height += 3.0 * ((abs(x % 36 - 18) < 6) & (abs(y % 36 - 18) < 6))
    right = (np.roll(height, -1, 1) - np.roll(height, 1, 1)) / 2
    down = (np.roll(height, -1, 0) - np.roll(height, 1, 0)) / 2
    normals = np.dstack([-right, down, np.ones_like(right)])
    cells = np.random.default_rng(0).random((12, 12, 3)) * 0.6 + 0.25
    colours = np.kron(cells, np.ones((side // 12, side // 12, 1)))
    return Scene(height, normals / np.linalg.norm(normals, axis=2, keepdims=True), colours)


def lamps(count: int, heights: tuple[float, ...] = (35, 55)) -> Array:
    """Lamps all round, at these heights in degrees in turn, (k, 3)."""
    turns = np.radians(360 * np.arange(count) / count + 10)
    above = np.radians([heights[number % len(heights)] for number in range(count)])
    return np.stack([np.cos(above) * np.cos(turns), np.cos(above) * np.sin(turns), np.sin(above)], 1)
