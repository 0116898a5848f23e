"""How much each map counts where pieces, cuts and windows are compared."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from texsynth.errors import UsageError, listed, shown
from texsynth.image.load import Note
from texsynth.job import Layer
from texsynth.material import matching
from texsynth.material.matching import Weighed


def weights(layers: Mapping[str, Layer], asked: Mapping[str, Any] | None, note: Note | None) -> dict[str, float]:
    """How much each map counts where pieces are compared, by its name: what is asked for, and else what is usual.
    Raises UsageError for names that are none, and numbers that cannot be.

    note: of a run that repeats another, is told which maps counted in that and are none of this one; None else.
    """
    asked = dict(asked or {})
    if note is not None:
        missing = [name for name in asked if name not in layers and name != matching.ALL and asked[name]]
        asked = {name: number for name, number in asked.items() if name in layers or name == matching.ALL}
        if missing:
            note(
                f"the recorded run compared {listed(missing)} beside its colours, too, and this one does not have them"
            )
    for name, number in asked.items():
        flag = f"--map-weight {shown(f'{name}={number}')}"
        if isinstance(number, bool) or not isinstance(number, (int, float)) or not 0 <= number < math.inf:
            raise UsageError(f"{flag}: a number from 0 up is needed")
        if name not in layers and name != matching.ALL:
            names = f"the maps are {', '.join(layers)}" if layers else "there are no maps; --map NAME=FILE adds one"
            raise UsageError(f"{flag}: no map has this name; {names}")
        if name in layers and layers[name].role == "labels" and number > 0:
            raise UsageError(f"{flag}: that map holds labels, which are not compared; leave the flag out")
    return matching.weights_of({name: layer.role for name, layer in layers.items()}, asked)


def weighed(layers: Mapping[str, Layer], weights: Mapping[str, float]) -> list[Weighed]:
    """The maps as they are compared."""
    return [Weighed(each.pictures, each.role, each.scale, weights[name]) for name, each in layers.items()]
