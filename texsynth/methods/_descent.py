"""One level of the optimising method at work: the pixels that move, what moves them, and all that both remember, which
can be kept as plain tensors and taken up again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from texsynth.task import Stored

# What an optimiser remembers, beside what it works out anew; of lists, of each item.
ALIKE = ("exp_avg", "exp_avg_sq")  # in the form of the pixels
FLAT = ("d", "prev_flat_grad", "old_dirs", "old_stps")  # in one row
POSITIVE = ("step", "exp_avg_sq", "func_evals", "n_iter")
LISTS = ("old_dirs", "old_stps", "ro")
ADAM = ({"step", "exp_avg", "exp_avg_sq"},)
LBFGS = ({"func_evals", "n_iter"}, {"func_evals", "n_iter", "d", "t", "H_diag", "prev_flat_grad", "prev_loss"})
NUMBERS = {int: torch.int64, float: torch.float64}  # Python's own


@dataclass(frozen=True)
class Descent:
    """The level at work.

    drawn: the state of the run's generator when the level began to draw from it.
    scales: the factor of every objective's value.
    pixels: (1, 3, h, w), a leaf that requires a gradient.
    losses: the tensors that the losses change in place, by name.
    """

    drawn: Tensor
    scales: tuple[float, ...]
    pixels: Tensor
    optimiser: torch.optim.Optimizer
    losses: Mapping[str, Tensor]

    def tensors(self) -> dict[str, Tensor]:
        """All that it remembers, as plain tensors by name."""
        plain = {"drawn": self.drawn, "scales": torch.tensor(self.scales, dtype=torch.float64), "pixels": self.pixels}
        plain |= {f"loss.{name}": values for name, values in self.losses.items()}
        for key, value in self.optimiser.state[self.pixels].items():
            if key in LISTS:
                plain |= {f"optimiser.{key}.{number}": item for number, item in enumerate(value)}
            elif isinstance(value, Tensor):
                plain[f"optimiser.{key}"] = value
            elif type(value) in NUMBERS:
                plain[f"optimiser.{key}.{type(value).__name__}"] = torch.tensor(value, dtype=NUMBERS[type(value)])
        return plain

    def go_on(self, stored: Stored) -> None:
        """Take up what an earlier process stored of this level; raises InputError where it does not fit."""
        with torch.no_grad():
            self.pixels.copy_(stored.tensor("pixels", torch.float32, tuple(self.pixels.shape), 0, 1))
            for name, values in self.losses.items():
                values.copy_(stored.tensor(f"loss.{name}", values.dtype, tuple(values.shape)))
        state = self.optimiser.state[self.pixels]
        state.update(_remembered(stored, self.pixels))
        if state.keys() - set(LISTS) not in (ADAM if isinstance(self.optimiser, torch.optim.Adam) else LBFGS):
            raise stored.damaged()
        if "n_iter" in state:
            counts = {len(state.setdefault(key, [])) for key in LISTS}
            if len(counts) > 1 or max(counts) > self.optimiser.param_groups[0]["history_size"]:
                raise stored.damaged()


def _remembered(stored: Stored, pixels: Tensor) -> dict[str, Any]:
    """What the optimiser remembers."""
    state: dict[str, Any] = {}
    lists: dict[str, dict[int, Tensor]] = {}
    for name in sorted(name for name in stored.names if name.startswith("optimiser.")):
        _, key, *rest = name.split(".")
        shape = tuple(pixels.shape) if key in ALIKE else (pixels.numel(),) if key in FLAT else ()
        low = 0 if key in POSITIVE else None
        if rest and rest[0] in ("int", "float"):
            kind = int if rest[0] == "int" else float
            state[key] = stored.tensor(name, NUMBERS[kind], (), low).item()
            continue
        value = stored.tensor(name, torch.float32, shape, low)
        value = value if key == "step" else value.to(pixels.device)  # the number of steps stays on the CPU
        if key in LISTS and len(rest) == 1 and rest[0].isdecimal():
            lists.setdefault(key, {})[int(rest[0])] = value
        else:
            state[key] = value
    return state | {key: [items[number] for number in sorted(items)] for key, items in lists.items()}
