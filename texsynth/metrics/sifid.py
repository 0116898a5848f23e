"""Single-image Frechet distance (after Shaham et al. 2019, SinGAN): are the features' means and covariances right?

|m - m*|^2 + tr(C + C* - 2 (C C*)^(1/2)) of the Gaussians fitted to the 64 channels of a shallow layer over all
positions. The paper takes InceptionV3 in front of its first pool. Differs from the paper in: the layer is relu1_2 of
VGG-19, which has as many channels and sees windows of 5 x 5 pixels, so that no second network is needed; and it is
divided by its mean on the exemplar. Published values do not compare, nor do those of other weights. Values start at 0,
for an exemplar with itself, and have no upper limit; copied outputs score below 1, noise above 100.
"""

from __future__ import annotations

import torch
from torch import Tensor

from texsynth.features import Extract
from texsynth.metrics import About, Pair, scaled_features

LAYER = "relu1_2"
ABOUT = About(
    "Frechet distance of Gaussians fitted to the 64 channels of VGG-19's relu1_2 (in place of Inception's)",
    needs={"vgg19": (LAYER,)},
)


def measure(pair: Pair, extract: Extract, rng: torch.Generator) -> float:
    sides = scaled_features(extract, (LAYER,), pair.exemplar, pair.output)
    exemplar, output = (side[LAYER][0].flatten(1).T for side in sides)
    return frechet(exemplar, output)


def frechet(one: Tensor, other: Tensor) -> float:
    """Squared Frechet distance of the Gaussians fitted to the rows of (n, D) and (m, D)."""
    tables = [table.cpu().double() for table in (one, other)]  # roots of small eigenvalues need the digits
    means, covariances = [table.mean(0) for table in tables], [torch.cov(table.T) for table in tables]
    values, vectors = torch.linalg.eigh(covariances[0])
    root = (vectors * values.clamp(min=0).sqrt()) @ vectors.T
    # the trace of the root of C C*, which has the eigenvalues of a symmetric matrix
    shared = torch.linalg.eigvalsh(root @ covariances[1] @ root).clamp(min=0).sqrt().sum()
    shift = (means[0] - means[1]).square().sum()
    traces = covariances[0].trace() + covariances[1].trace()
    return max(0.0, float(shift + traces - 2 * shared))
