"""Style distance of exemplar-guided synthesis (Zheng et al. 2020, MSCA): are the shallow Gram matrices right?

The mean over relu1_1, relu1_2, relu2_1 and relu2_2 of VGG-19 of the mean squared difference of the entries of the Gram
matrices F F^T / M. The paper names the first two blocks and no scale; here each layer is divided by its mean on the
exemplar. Values start at 0, for an exemplar with itself, and have no upper limit. They compare only between runs with
the same weights.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from texsynth.features import Extract
from texsynth.losses.gram import gram
from texsynth.metrics import About, Pair, scaled_features

LAYERS = ("relu1_1", "relu1_2", "relu2_1", "relu2_2")
ABOUT = About("mean squared difference of Gram matrices of the first two blocks of VGG-19", needs={"vgg19": LAYERS})


def measure(pair: Pair, extract: Extract, rng: torch.Generator) -> float:
    return float(torch.stack(gram_differences(pair, extract, LAYERS)).mean())


def gram_differences(pair: Pair, extract: Extract, layers: Sequence[str]) -> list[Tensor]:
    """For each layer the mean squared difference of the entries of the two Gram matrices, in scaled features."""
    sides = scaled_features(extract, layers, pair.exemplar, pair.output)
    matrices = [[gram(side[layer][0].flatten(1).T) for side in sides] for layer in layers]
    return [(output - exemplar).square().mean() for exemplar, output in matrices]
