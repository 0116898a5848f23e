"""What tests of trainings share."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from texsynth.task import Estimate
from texsynth.training import checkpoint, loop
from texsynth.training.checkpoint import Checkpoint
from texsynth.training.loop import Progress, State
from texsynth.training.recipes import Training

FOLDER = Path("m_training")
Build = Callable[[], tuple[Training, torch.Generator]]  # a training, and the generator of its run


def stored() -> Checkpoint:
    """The checkpoint that a command left."""
    return checkpoint.load(FOLDER / "checkpoint.pt")


def same(a: Any, b: Any) -> bool:
    """Are two nested states equal, tensors bit for bit?"""
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    return bool(a == b)


def stop_after(step: int, patch: pytest.MonkeyPatch) -> None:
    """Let trainings end after a step, as Ctrl-C during it would have it."""
    original = loop.train

    def train(training: Any, settings: Any, state: State, report: Any, save: Any, _: Any) -> State:
        steps = [0]

        def recorded(progress: Progress) -> None:
            steps.append(progress.step)
            report(progress)

        return original(training, settings, state, recorded, save, lambda: steps[-1] >= step)

    patch.setattr(loop, "train", train)


def check_resumed(build: Build, steps: int = 2) -> None:
    """Assert that a training that is stopped after some steps and resumed goes on as if nothing had happened.

    Modules, optimisers, memory and the state of the generator must be all there is; samples, measures and torch's own
    chance must change nothing.
    """
    whole, rng = build()
    for number in range(steps):
        whole.step(number)
    parts = [*whole.modules.values(), *whole.optimisers.values()]
    states = copy.deepcopy([part.state_dict() for part in parts])
    memory, state = copy.deepcopy(dict(whole.memory)), rng.get_state()
    torch.manual_seed(5)
    again, other = build()
    for part, state_dict in zip([*again.modules.values(), *again.optimisers.values()], states, strict=True):
        part.load_state_dict(state_dict)
    for name, tensor in memory.items():
        again.memory[name].copy_(tensor)
    again.sample(), again.measure(), again.tensors()
    other.set_state(state)
    assert whole.step(steps) == again.step(steps)
    for name, module in whole.modules.items():
        assert same(dict(module.state_dict()), dict(again.modules[name].state_dict())), name


def check_growing(*costs: Estimate) -> None:
    """Assert that each estimate asks for more memory and time than the one before."""
    for less, more in pairwise(costs):
        assert 0 < less.memory < more.memory and 0 < less.seconds < more.seconds


def check_learning(module: nn.Module, skipped: str = "nothing") -> None:
    """Assert that every parameter has a gradient, except those whose names begin with `skipped`."""
    for name, parameter in module.named_parameters():
        if not name.startswith(skipped):
            assert parameter.grad is not None and bool(parameter.grad.any()), name


def check_chance(build: Build) -> None:
    """Assert that steps draw from the generator of the run alone, that samples and measures are the same every time,
    and that looking at them changes nothing."""
    torch.manual_seed(3)
    watched, blind = build()[0], build()[0]
    before = torch.random.get_rng_state()
    for number in range(3):
        assert watched.measure() == watched.measure()
        assert same(list(watched.sample()), list(watched.sample()))
        assert watched.step(number) == blind.step(number)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert same(dict(watched.tensors()), dict(blind.tensors()))


def check_gradients(training: Training, without: Collection[str] = ()) -> Mapping[str, float]:
    """Assert that the first step gives every parameter of the network a gradient above rounding, except those named,
    and moves it; returns the losses."""
    parameters = dict(training.modules["net"].named_parameters())
    before = copy.deepcopy(parameters)
    losses = training.step(0)
    for name, parameter in parameters.items():
        assert parameter.grad is not None, name
        if name not in without:
            assert float(parameter.grad.abs().max()) > 1e-7, name
            assert not torch.equal(parameter, before[name]), name
    return losses
