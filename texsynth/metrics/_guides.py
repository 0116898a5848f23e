"""Finding the guide that a metric judges."""

from __future__ import annotations

from texsynth.errors import InputError
from texsynth.metrics import NotApplicable, Pair
from texsynth.task import Guide


def guide(name: str, pair: Pair) -> Guide:
    """The pair's guide called `name`, as its metric is.

    Raises NotApplicable where there is none, and InputError where its maps are not of the sizes of the pictures.
    """
    found = next((guide for guide in pair.guides if guide.name == name), None)
    if found is None:
        raise NotApplicable(
            f"{name}: no {name} map was given; it compares the output with the map that it was to follow"
        )
    for which, values, image in (("source", found.sources[0], pair.exemplar), ("target", found.target, pair.output)):
        if values.shape[2:] != image.shape[2:]:
            (h, w), (high, wide) = values.shape[2:], image.shape[2:]
            raise InputError(f"{name}: the {which} map is {w}x{h}, but its picture {wide}x{high}; resize the map")
    return found
