"""Checkpoints: all that a training run needs to go on as if it had never stopped."""

from __future__ import annotations

import io
import pickle
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from texsynth.errors import InputError
from texsynth.training.loop import HistoryRow, State
from texsynth.training.recipes import Training

KEYS = ("about", "state", "modules", "optimisers", "memory", "rng")


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint file holds.

    about: the description of the run, as plain values.
    parts: the states of modules, optimisers, memory and random generator, by the keys of the file.
    """

    about: Mapping[str, Any]
    state: State
    parts: Mapping[str, Any]


def content(about: Mapping[str, Any], state: State, training: Training, rng: torch.Generator) -> bytes:
    """A checkpoint as a file holds it."""
    plain = {name: getattr(state, name) for name in ("step", "best", "best_step")}
    parts = {
        "about": dict(about),
        "state": plain | {"rows": [asdict(row) for row in state.rows], "tensors": dict(state.tensors)},
        "modules": {name: module.state_dict() for name, module in training.modules.items()},
        "optimisers": {name: optimiser.state_dict() for name, optimiser in training.optimisers.items()},
        "memory": dict(training.memory),
        "rng": rng.get_state(),
    }
    file = io.BytesIO()  # torch tells a full disk in no way that could be understood
    torch.save(parts, file)
    return file.getvalue()


def load(path: Path) -> Checkpoint:
    """Read a checkpoint without running pickled code; raises InputError when it is missing or damaged."""
    if not path.is_file():
        raise InputError(f"--resume: there is no {path}; leave the flag out to start anew")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        parts = {key: content[key] for key in KEYS}
        rows = tuple(HistoryRow(**row) for row in parts["state"]["rows"])
        return Checkpoint(parts["about"], State(**{**parts["state"], "rows": rows}), parts)
    except (pickle.UnpicklingError, RuntimeError, EOFError, LookupError, TypeError, ValueError, OSError):
        raise InputError(f"--resume: {path} is damaged; leave the flag out to start anew") from None


def restore(checkpoint: Checkpoint, training: Training, rng: torch.Generator) -> None:
    """Bring a newly built training to where the checkpoint was; raises InputError when the two do not fit."""
    parts = checkpoint.parts
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
