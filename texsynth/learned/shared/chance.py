"""Random numbers from the generator of a run."""

import torch


def integer(bound: int, rng: torch.Generator) -> int:
    """An integer in [0, bound)."""
    return int(torch.randint(bound, (), generator=rng))


def share(rng: torch.Generator) -> float:
    """A number in [0, 1)."""
    return float(torch.rand((), generator=rng))
