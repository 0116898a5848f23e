"""What tests of trainings share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from texsynth.training import checkpoint, loop
from texsynth.training.checkpoint import Checkpoint
from texsynth.training.loop import Progress, State

FOLDER = Path("m_training")


def kept() -> Checkpoint:
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

    def train(training: Any, settings: Any, state: State, report: Any, keep: Any, _: Any) -> State:
        seen = [0]

        def told(progress: Progress) -> None:
            seen.append(progress.step)
            report(progress)

        return original(training, settings, state, told, keep, lambda: seen[-1] >= step)

    patch.setattr(loop, "train", train)
