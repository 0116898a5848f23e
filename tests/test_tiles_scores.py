"""Scores of tiles and of blending: what is suited to blending, planes that repeat, and borders that are not equal."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from pictures import pattern, spots
from texsynth.tiles import suitability
from texsynth.tiles.suitability import Suitability


def bricks(h: int = 128, w: int = 128) -> Tensor:
    return (torch.from_numpy(pattern("bricks", h, w)).permute(2, 0, 1)[None].float() / 255).repeat_interleave(2, 3)


def ghosts(image: Tensor) -> Tensor:
    """Copies of a picture out of step with each other, in equal shares."""
    return torch.stack([image.roll(move, (2, 3)) for move in ((0, 0), (3, 9), (5, 21))]).mean(0)


def grains(image: Tensor) -> Tensor:
    """More of the same grains."""
    return spots(2 * image.shape[2], 2 * image.shape[3], seed=1)


def nothing(_: Tensor) -> Tensor | None:
    return None


# ---- suitability ----


def test_grains_fit_and_bricks_ghost() -> None:
    fitting = suitability.score(spots(140, 130), grains, nothing)
    assert fitting.fits and not fitting.needs_lattice and fitting.plain < 1
    assert fitting.sentence.startswith("fits: ") and "\n" not in fitting.sentence
    ghosting = suitability.score(bricks(), ghosts, nothing)
    assert not ghosting.fits and ghosting.plain > 2
    assert ghosting.sentence.startswith("does not fit: large objects ghost") and "tiles corner" in ghosting.sentence


def test_bricks_fit_in_step() -> None:
    suited = suitability.score(bricks(), ghosts, lambda image: image.clone())
    assert suited.fits and suited.needs_lattice
    assert suited.sentence.startswith("fits with lattice offsets")
    out_of_step = suitability.score(bricks(), ghosts, ghosts)
    assert not out_of_step.fits and "in step or not" in out_of_step.sentence


@pytest.mark.parametrize(
    ("plain", "in_step", "word"),
    [(0.8, None, "fits:"), (0.9, 0.89, "fits:"), (1.0, 0.8, "fits with"), (2.0, 1.1, "does not")],
)
def test_the_sentence_follows_the_numbers(plain: float, in_step: float | None, word: str) -> None:
    assert Suitability(plain, in_step).sentence.startswith(word)


def test_the_score_does_not_depend_on_threads_or_on_size() -> None:
    image = spots(140, 130)
    numbers = []
    for threads in (1, 2):
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        numbers.append(suitability.error(image, grains(image)))
        torch.set_num_threads(before)
    assert numbers[0] == numbers[1]
    large = image.repeat_interleave(5, 2).repeat_interleave(5, 3)
    assert max(suitability.reduced(large).shape[2:]) <= suitability.LONGEST * suitability.SIDE
    tiny = spots(20, 20)
    assert suitability.error(tiny, spots(40, 40, seed=2)) < 1
