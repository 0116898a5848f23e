"""Checkpoints: all that a training run needs to go on as if it had never stopped."""

from __future__ import annotations

import copy
import io
import re
import warnings
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from texsynth.errors import WeightsError
from texsynth.foreign import regular
from texsynth.training.loop import HistoryRow, State
from texsynth.training.recipes import Training
from texsynth.weights import header

ABOUT = {"recipe": str, "preset": dict, "seed": int, "flatten": bool, "inputs": list}  # what going on looks at
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
    """Read a checkpoint without running pickled code; raises WeightsError when it is missing or damaged."""
    if not path.is_file():
        raise WeightsError(f"--resume: there is no {path}; leave the flag out to start anew")
    kept = None
    with suppress(AssertionError, *header.DAMAGE), regular.opened(path) as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of odd pickles, which are refused below
        header.check_zip(file)
        parts = dict(torch.load(file, map_location="cpu", weights_only=True))
        rows = tuple(HistoryRow(**row) for row in parts["state"]["rows"])
        kept = Checkpoint(parts["about"], State(**{**parts["state"], "rows": rows}), {key: parts[key] for key in KEYS})
    if kept is None or not (_is_state(kept.state) and _is_about(kept.about)):
        raise WeightsError(f"--resume: {path} is damaged; leave the flag out to start anew")
    return kept


def _is_state(state: State) -> bool:
    """Are the parts of a state of the types that it declares?"""
    numbers = [state.step, state.best_step, *(row.step for row in state.rows)]
    measures = [state.best, *(row.metric for row in state.rows if row.metric is not None)]
    losses: list[Any] = [row.losses for row in state.rows]
    return (
        all(type(number) is int and number >= 0 for number in numbers)
        and all(type(measure) is float for measure in measures)
        and all(isinstance(each, dict) for each in losses)
        and all(isinstance(name, str) and type(value) is float for each in losses for name, value in each.items())
        and isinstance(state.tensors, dict)
        and all(
            isinstance(n, str) and isinstance(value, torch.Tensor) and header.is_plain(value)
            for n, value in state.tensors.items()
        )
    )


def _is_about(about: Any) -> bool:
    """Has the description of a run the parts that going on looks at, of the right types?"""
    if not isinstance(about, dict) or not all(isinstance(about.get(key), kind) for key, kind in ABOUT.items()):
        return False
    preset, entries = about["preset"], about["inputs"]
    return (
        isinstance(preset.get("name"), str)
        and isinstance(preset.get("settings"), dict)
        and (about.get("crop") is None or re.fullmatch(r"\d+(,\d+){3}", str(about["crop"])) is not None)
        and 0 <= about["seed"] < 1 << 63
        and all(isinstance(e, dict) and all(isinstance(e.get(k), str) for k in ("name", "sha256")) for e in entries)
    )


def restore(checkpoint: Checkpoint, training: Training, rng: torch.Generator) -> None:
    """Bring a newly built training to where the checkpoint was; raises WeightsError when the two do not fit."""
    parts = checkpoint.parts
    try:
        for name, module in training.modules.items():
            _check_alike(parts["modules"][name], module.state_dict())
            module.load_state_dict(parts["modules"][name])
        for name, optimiser in training.optimisers.items():
            _check_real(parts["optimisers"][name])
            optimiser.load_state_dict(parts["optimisers"][name])
            _check_optimiser(optimiser)
            _try(optimiser)
        _check_alike(parts["memory"], training.memory)
        for name, tensor in training.memory.items():
            tensor.copy_(parts["memory"][name])
        rng.set_state(parts["rng"])
    except (RuntimeError, LookupError, ValueError, TypeError, AttributeError, ArithmeticError):
        raise WeightsError("--resume: the checkpoint is of another version; leave the flag out to start anew") from None


def _check_alike(kept: Mapping[str, torch.Tensor], wanted: Mapping[str, torch.Tensor]) -> None:
    """Raise ValueError where a tensor is of another shape or type than it was: PyTorch would stretch or convert it."""
    if any((kept[name].shape, kept[name].dtype) != (tensor.shape, tensor.dtype) for name, tensor in wanted.items()):
        raise ValueError


def _check_real(tree: Any) -> None:
    """Raise ValueError where complex numbers are among what an optimiser keeps, which it would convert."""
    values = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, (list, tuple)) else ()
    for value in values:
        _check_real(value)
    if isinstance(tree, torch.Tensor) and tree.is_complex():
        raise ValueError


def _try(optimiser: torch.optim.Optimizer) -> None:
    """Make a step with a copy, which raises where anything is missing that steps need, or of another kind."""
    trial = copy.deepcopy(optimiser)
    for parameter in (each for group in trial.param_groups for each in group["params"]):
        parameter.grad = torch.zeros_like(parameter)
    trial.step()


def _check_optimiser(optimiser: torch.optim.Optimizer) -> None:
    """Raise ValueError where what an optimiser keeps of a parameter has another shape."""
    for parameter, kept in optimiser.state.items():
        for value in kept.values():
            if isinstance(value, torch.Tensor) and value.shape not in (parameter.shape, ()):
                raise ValueError
