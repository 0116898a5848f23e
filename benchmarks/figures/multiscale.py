"""Transport on many scales against one (Houdard et al. 2021): python multiscale.py [--help]

The paper's layers compare patches of the same size at several resolutions; the levels here also work coarse to fine.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import figure
import rows
from figure import Outcome

WAYS: dict[str, tuple[str, dict[str, Any]]] = {
    "one layer, one level": ("ot", {"layers": ["full"], "scales": [1.0], "steps": [200]}),
    "three layers, one level": ("ot", {"scales": [1.0], "steps": [200]}),
    "one layer, coarse to fine": ("ot", {"layers": ["full"]}),
    "three layers, coarse to fine": ("ot", {}),
}


def main(arguments: Sequence[str] | None = None) -> Outcome:
    """Run it."""
    note = "Structure larger than a patch comes from coarse scales alone."
    return rows.side_by_side(figure.options("multiscale", __doc__, arguments), WAYS, note)


if __name__ == "__main__":
    figure.command(main)
