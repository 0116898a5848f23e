"""The price of uneven use, on and off (Zhou et al. 2023, after Kaspar et al. 2015): python occurrence.py [--help]

Without it the patches that fit everywhere are used everywhere. The gradient method pays by how often a source patch is
the nearest; the field has prices of transport and of repeats near by in its place, and can take the paper's on top.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import figure
import rows
from figure import Outcome

GRADIENT = {
    "loss": "correspondence",
    "features": "windows",
    "layers": ["full", "half", "quarter"],
    "stride": 2,
    "sample": 1200,
}
STEPS = [120, 80, 40]
NAMES = ("use", "repetition")
WAYS: dict[str, tuple[str, dict[str, Any]]] = {
    **{
        f"gradient, occurrence {price:g}": ("ot", {"objectives": [GRADIENT | {"occurrence": price}], "steps": STEPS})
        for price in (0.0, 0.05, 0.5)
    },
    "field, no price at all": ("guided-correspondence", {"proportion": 0.0, "spread": 0.0}),
    "field, its own prices": ("guided-correspondence", {}),
    "field, occurrence 0.5 on top": ("guided-correspondence", {"occurrence": 0.5}),
}


def main(arguments: Sequence[str] | None = None) -> Outcome:
    """Run it."""
    note = "`use` is 0 where all parts of the exemplar are used alike, `repetition` 0 where nothing comes twice."
    return rows.side_by_side(figure.options("occurrence", __doc__, arguments), WAYS, note, NAMES)


if __name__ == "__main__":
    figure.command(main)
