"""The settings of the field solver (methods/field.py)."""

from __future__ import annotations

from dataclasses import dataclass

from texsynth.errors import UsageError
from texsynth.field import rarity
from texsynth.methods import _turned
from texsynth.settings import setting


@dataclass(frozen=True)
class Settings:
    """Defaults of the field solver.

    patch: The side of the windows that are compared, in pixels; it is odd.
    components: The number of principal components that describe a window.
    passes: The passes of each level, the finest last.
    coarsest: The exemplar's shorter side at the first level, in pixels.
    finest: The exemplar's shorter side at the last level, 0 for full size.
    copies: The flipped and turned copies that are sources, too; auto takes all where lines bend round a hole.
    block: The side of the first pieces, in shorter sides of the exemplar.
    overlap: The overlap of the first pieces, as a share of their side.
    tries: The number of matches whose cuts are compared for a piece.
    starts: The number of fillings of a hole, or of quilts without recuts, of which the best is kept; along directions
        at most 4.
    recuts: The rounds of laying fresh pieces over seams, of the first quilt and of the finer levels after it.
    spread: The price of repeats near by, in variances of the exemplar.
    proportion: The price of other proportions of colours, in variances.
    occurrence: The price of an uneven use of source pixels, in variances.
    similar: The number of look-alikes that are kept for each source pixel.
    kappa: The factor on the distance of jumps to look-alikes; more keeps pieces whole.
    mend: The factor on the distance of jumps to look-alikes, in a hole.
    align: The rounds of sliding whole pieces, at each level.
    landmarks: Whether rare places of the exemplar come back in proportion to the output's area, seldom or once.
    lattice: Whether a regular exemplar keeps its period.
    regular: The autocorrelation at which lattice=auto keeps the period.
    layout: The price of leaving the picture that the field starts from, per level, the finest last.
    guided: The side of the first pieces where guides steer, in shorter sides of the exemplar.
    """

    patch: int = setting(9, low=3, high=31)
    components: int = setting(24, low=3, high=243)
    passes: tuple[int, ...] = setting((8, 4, 2), low=0, high=100)
    coarsest: int = setting(64, low=8, high=256)
    finest: int = setting(0, low=0, high=4096)
    copies: str = setting(_turned.AUTO, choices=_turned.CHOICES)
    block: float = setting(0.5, low=0.05, high=0.9)
    overlap: float = setting(0.5, low=0.1, high=0.5)
    tries: int = setting(32, low=1, high=256)
    starts: int = setting(4, low=1, high=100)
    recuts: tuple[int, ...] = setting((24,), low=0, high=1000)
    spread: float = setting(0.1, low=0.0, high=10.0)
    proportion: float = setting(0.1, low=0.0, high=10.0)
    occurrence: float = setting(0.0, low=0.0, high=10.0)
    similar: int = setting(3, low=0, high=16)
    kappa: float = setting(2.5, low=1.0, high=100.0)
    mend: float = setting(1.5, low=1.0, high=100.0)
    align: int = setting(8, low=0, high=100)
    landmarks: str = setting("rare", choices=rarity.SETTINGS)
    lattice: str = setting("auto", choices=("auto", "on", "off"))
    regular: float = setting(0.25, low=0.0, high=1.0)
    layout: tuple[float, ...] = setting((1.0, 0.5, 0.2), low=0.0, high=100.0)
    guided: float = setting(0.25, low=0.05, high=0.9)

    def __post_init__(self) -> None:
        if self.patch % 2 == 0:
            raise UsageError(f"patch = {self.patch}, but a window has an odd side; {self.patch + 1} is the nearest")
        if not self.passes:
            raise UsageError("passes is empty; at least one number is needed")
        if 0 < self.finest < self.coarsest:
            raise UsageError(f"finest = {self.finest} is below coarsest = {self.coarsest}")
