"""Scenes of two materials, for edits: an object, its mask, and the shape that it could have."""

import numpy as np

import fibres
import masonry
from fields import SIZE, smoothstep

ROWS, COLUMNS = np.mgrid[0:SIZE, 0:SIZE] + 0.5


def ellipse(x, y, width, height):
    """Distance from the middle of an ellipse, 1 on its edge."""
    return np.hypot((COLUMNS - x) / width, (ROWS - y) / height)


def flat(shape):
    """A mask of what lies within a distance of 1."""
    return np.where(shape < 1, 255, 0).astype(np.uint8)


def mat(rng):
    """A round wicker mat on boards, its shadow part of its mask; and a target: further right, wider and lower."""
    boards, wicker = (draw(rng)[""].astype(float) for draw in (masonry.planks, fibres.wicker))
    here = ellipse(92, 112, 60, 60)
    shadow = smoothstep(1.16, 0.96, ellipse(96, 119, 62, 62))
    rim = smoothstep(0.88, 0.94, here)
    bulge = 1.04 - 0.10 * here**2
    bound = (
        wicker * (bulge * (1 - 0.45 * rim * (0.8 + 0.2 * np.sin(40 * np.arctan2(ROWS - 112, COLUMNS - 92)))))[..., None]
    )
    edge = smoothstep(1.01, 0.99, here)[..., None]
    picture = boards * (1 - 0.55 * shadow)[..., None] * (1 - edge) + bound * edge
    return {
        "": np.clip(picture, 0, 255).round().astype(np.uint8),
        "mask": flat(ellipse(95, 116, 70, 70)),  # the shadow goes with it
        "target": flat(ellipse(160, 128, 84, 60)),
    }
