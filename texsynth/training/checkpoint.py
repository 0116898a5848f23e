"""Checkpoints: everything that a run needs to go on as if it had never stopped."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from texsynth.errors import InputError
from texsynth.image import files
from texsynth.training.loop import Row, State
from texsynth.training.recipes import Training

KEYS = ("about", "state", "modules", "optimisers", "memory", "rng")


@dataclass(frozen=True)
class Checkpoint:
    """about: the run, JSON-able. state: how far it is. parts: the states of modules, optimisers, memory and chance."""

    about: Mapping[str, Any]
    state: State
    parts: Mapping[str, Any]


def save(path: Path, about: Mapping[str, Any], state: State, training: Training, rng: torch.Generator) -> None:
    """Write a checkpoint, whole or not at all; raises ResourceError and UsageError."""
    content = {
        "about": dict(about),
        "state": {**_plain(state), "tensors": dict(state.tensors)},
        "modules": {name: module.state_dict() for name, module in training.modules.items()},
        "optimisers": {name: optimiser.state_dict() for name, optimiser in training.optimisers.items()},
        "memory": dict(training.memory),
        "rng": rng.get_state(),
    }
    with files.whole(path) as part, part.open("wb") as file:
        torch.save(content, file)


def load(path: Path) -> Checkpoint:
    """Read a checkpoint; raises InputError when there is none, or it is damaged. No pickled code is run."""
    if not path.is_file():
        raise InputError(f"--resume: there is no {path}; leave the flag out to start anew")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        found = {key: content[key] for key in KEYS}
        state = found["state"]
        rows = tuple(Row(**row) for row in state["rows"])
        return Checkpoint(found["about"], State(**{**state, "rows": rows}), found)
    except (pickle.UnpicklingError, RuntimeError, EOFError, LookupError, TypeError, ValueError, OSError):
        raise InputError(f"--resume: {path} is damaged; leave the flag out to start anew") from None


def restore(kept: Checkpoint, training: Training, rng: torch.Generator) -> None:
    """Bring a training that was built anew to where the checkpoint was; raises InputError when it does not fit."""
    parts = kept.parts
    try:
        for name, module in training.modules.items():
            module.load_state_dict(parts["modules"][name])
        for name, optimiser in training.optimisers.items():
            optimiser.load_state_dict(parts["optimisers"][name])
        for name, tensor in training.memory.items():
            tensor.copy_(parts["memory"][name])
        rng.set_state(parts["rng"])
    except (RuntimeError, LookupError, ValueError, TypeError):
        raise InputError("--resume: the checkpoint is of another version; leave the flag out to start anew") from None


def _plain(state: State) -> dict[str, Any]:
    plain = {name: getattr(state, name) for name in ("step", "best", "best_step")}
    return {**plain, "rows": [asdict(row) for row in state.rows]}
