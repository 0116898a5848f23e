"""The grid of two features and two statistics: {patches, VGG-19} x {Gram, transport}: python grid.py [--help]

After Houdard et al. 2021, who hold transport of patches against Gram matrices of VGG: what is owed to the features,
and what to the distance between their distributions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import figure
import rows
from figure import Outcome

WAYS: dict[str, tuple[str, dict[str, Any]]] = {
    "patches, Gram": ("gram-windows", {}),
    "patches, transport": ("ot", {}),
    "VGG-19, Gram": ("gram", {}),
    "VGG-19, transport": ("ot-features", {}),
}


def main(arguments: Sequence[str] | None = None) -> Outcome:
    """Run it."""
    note = "Each method wins on the statistic that it optimises: `transport` and `gram_distance` are two of these."
    return rows.side_by_side(figure.options("grid", __doc__, arguments), WAYS, note)


if __name__ == "__main__":
    figure.command(main)
