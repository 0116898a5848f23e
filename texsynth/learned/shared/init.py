"""First values of the exemplar networks: normal numbers of the size of Glorot and Bengio (2010), times a small gain."""

from __future__ import annotations

import math
from typing import TypeVar

import torch
from torch import nn

from texsynth.learned.shared.conv import Conv

Net = TypeVar("Net", bound=nn.Module)
LEAK = 0.25  # of rectifiers that learn theirs


@torch.no_grad()
def initialise(module: Net, rng: torch.Generator, gain: float = 0.02) -> Net:
    """Fill every parameter, in the order of their names, from a generator on the CPU and nothing else; gives it back.

    Kernels and matrices are normal, of deviation gain * sqrt(2 / (inputs + outputs)); weights of norms are 1, slopes
    of PReLU 0.25, biases and lone numbers (gates) 0. The vectors of spectral normalisation are drawn and settled.
    """
    for part in module.modules():
        for name, parameter in part.named_parameters(recurse=False):
            if parameter.dim() > 1:
                inputs, outputs = parameter[0].numel(), parameter[:, 0].numel()
                deviation = gain * math.sqrt(2 / (inputs + outputs))
                parameter.copy_(torch.randn(parameter.shape, generator=rng) * deviation)
            elif name == "weight" and parameter.dim() == 1:
                parameter.fill_(LEAK if isinstance(part, nn.PReLU) else 1.0)
            else:
                parameter.zero_()
        if isinstance(part, Conv):
            part.settle(rng)
    return module
