"""Sizes of patches and numbers of scales: python patches.py [--help]

The field by the size of its windows and of its first level, transport by the size of its patches: small ones keep
colours and lose objects, large ones keep objects and lose fine detail. multiscale.py has the layers of transport.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import figure
import rows
from figure import Outcome

FIELD, TRANSPORT = "guided-correspondence", "ot"
NAMES = ("copy_rate",)
WAYS: dict[str, tuple[str, dict[str, Any]]] = {
    **{f"field, windows of {side} px": (FIELD, {"patch": side}) for side in (5, 9, 15)},
    **{f"field, coarsest {side} px": (FIELD, {"coarsest": side}) for side in (32, 128)},
    **{f"transport, patches of {side} px": (TRANSPORT, {"patch": side}) for side in (2, 4, 6)},
}


def main(arguments: Sequence[str] | None = None) -> Outcome:
    """Run it."""
    note = "What windows and levels do, for the field and for transport; the defaults are 9 px from 64 px, and 4 px."
    return rows.side_by_side(figure.options("patches", __doc__, arguments), WAYS, note, NAMES)


if __name__ == "__main__":
    figure.command(main)
